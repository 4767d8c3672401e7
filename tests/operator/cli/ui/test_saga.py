"""The path of an order through its workflow, from the documents of the public API."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shop_operator.cli.ui.views.saga import _FORWARD, _UNDO, Records, lanes, path
from shop_operator.cli.ui.views.times import moment
from tests.operator.cli.ui.documents import order, payment, shipment

NOW = datetime(2026, 11, 30, 5, 10, tzinfo=UTC)
FORWARD = [
    "ReserveStock",
    "CheckOrder",
    "ChargePayment",
    "ConfirmOrder",
    "CreateShipment",
    "CommitStock",
    "CompleteOrder",
]
UNDO = ["StartCancelling", "CancelShipment", "RefundPayment", "ReleaseStock", "CancelOrder"]


def statuses(*documents: Any) -> tuple[str, str]:
    """The first letters of the statuses of both lanes: done, failed, waiting, skipped, open."""
    found = path(Records(*documents), NOW)
    return "".join(each.status[0] for each in found.forward), "".join(each.status[0] for each in found.undo)


def test_given_the_workflow_then_its_tasks_are_two_lanes_and_each_has_a_rule() -> None:
    assert [each.name for each in lanes().forward] == FORWARD == list(_FORWARD)
    assert [each.name for each in lanes().undo] == UNDO == list(_UNDO)


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ((order(),), ("woooooo", "")),
        ((order("RESERVED"),), ("dwooooo", "")),
        ((order("RESERVED"), payment("PENDING", 0, 0, "UNANSWERED")), ("ddwoooo", "")),
        ((order("RESERVED"), payment("CHARGED", 2500, 0, "CHARGED")), ("dddwooo", "")),
        ((order("RESERVED", "PAID"), payment("CHARGED", 2500)), ("dddwooo", "")),
        ((order("RESERVED", "PAID", confirmed_at="2026-11-30T05:02:30Z"), payment("CHARGED", 2500)), ("ddddwoo", "")),
        # A previous version of the order service does not return confirmed_at.
        ((order("RESERVED", "PAID"), payment("CHARGED", 2500), shipment("PENDING")), ("ddddwoo", "")),
        ((order("RESERVED", "PAID"), payment("CHARGED", 2500), shipment("BOOKED", "T1")), ("dddddwo", "")),
        ((order("RESERVED", "PAID", "SHIPPED"), payment("CHARGED", 2500), shipment("BOOKED", "T1")), ("ddddddd", "")),
        ((order("REJECTED", cause="OutOfStock: 3 left"),), ("foooooo", "ssssd")),
        ((order("RESERVED", "REJECTED"), payment("DECLINED", 0, 0, "DECLINED")), ("ddfoooo", "sssdd")),
        ((order("RESERVED", "CANCELLING"), payment("REFUNDING", 0, 0, "UNANSWERED")), ("ddfoooo", "dswoo")),
        (
            (order("RESERVED", "PAID", "CANCELLING", "CANCELLED"), payment("REFUNDED", 2500, 2500, "CHARGED"), shipment("REFUSED", cause="no")),
            ("ddddfoo", "dsddd"),
        ),
        (
            (order("RESERVED", "PAID", "CANCELLING"), payment("CHARGED", 2500, 0, "CHARGED"), shipment("CANCELLING")),
            ("dddoooo", "dwooo"),
        ),
    ],
)  # fmt: skip
def test_given_the_documents_of_an_order_then_each_task_has_its_status(
    documents: tuple[Any, ...], expected: tuple[str, str]
) -> None:
    assert statuses(*documents) == expected


def test_given_a_task_that_waits_then_it_names_the_time_of_the_last_change_and_the_attempts() -> None:
    records = Records(order("RESERVED"), payment("PENDING", 0, 0, "UNANSWERED", "UNANSWERED"))

    (charge,) = (each for each in path(records, NOW).forward if each.status == "waiting")

    assert (charge.name, charge.attempts, charge.note) == ("ChargePayment", 2, "it was UNANSWERED")
    assert charge.at is not None
    assert (charge.at.stamp, charge.at.ago) == ("2026-11-30T05:01:30Z", "8 min ago")


def test_given_a_confirmed_order_then_the_time_is_that_of_its_confirmation_and_its_shipment_waits_since_then() -> (
    None
):
    records = Records(
        order("RESERVED", "PAID", confirmed_at="2026-11-30T05:02:30Z"), payment("CHARGED", 2500)
    )

    steps = {each.name: each for each in path(records, NOW).forward}

    assert [(steps[each].at or NOW, steps[each].status) for each in ("ConfirmOrder", "CreateShipment")] == [
        (moment("2026-11-30T05:02:30Z", NOW), each) for each in ("done", "waiting")
    ]


@pytest.mark.parametrize(("refunded", "note"), [(2500, "25.00 EUR"), (0, "nothing was charged")])
def test_given_a_refund_then_its_step_states_the_amount(refunded: int, note: str) -> None:
    records = Records(order("RESERVED", "CANCELLED"), payment("REFUNDED", refunded, refunded))

    (refund,) = (each for each in path(records, NOW).undo if each.name == "RefundPayment")

    assert (refund.status, refund.note) == ("done", note)


def test_given_the_generated_workflow_then_it_contains_no_parameter_of_a_task() -> None:
    text = json.dumps([each.__dict__ for each in lanes().forward])

    assert "QueueUrl" not in text
    assert "$" not in text
