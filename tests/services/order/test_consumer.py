"""The tasks and the events that the order service handles, and the events that it publishes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from services.common.messaging.events import ForgedEvent
from services.common.values import clock
from services.common.values.errors import Stale, Unavailable
from services.common.values.money import Money
from services.order.domain import Contradiction, Order, Product
from services.order.handlers import UnknownOrder
from tests.services.order.fakes import MemoryOrders
from tests.services.order.world import World, wish

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
BOOKED = {
    "reserved_at": clock.rfc3339(AT),
    "charged_at": clock.rfc3339(AT + timedelta(seconds=1)),
    "booked_at": clock.rfc3339(AT + timedelta(seconds=2)),
    "tracking_number": "T1",
}
DECLINED = {"error": "PaymentDeclined", "cause": "no money", "refunded": {"amount": 0, "currency": "EUR"}}
REFUSED = {
    "error": "ShipmentRefused",
    "cause": "no such place",
    "refunded": {"amount": 2598, "currency": "EUR"},
}


@pytest.fixture
def order_id(client: FlaskClient) -> str:
    response = client.post("/orders", json=wish(), headers={"Idempotency-Key": "key-1"})
    placed: dict[str, str] = orjson.loads(response.data)
    return placed["id"]


@pytest.fixture
def show(client: FlaskClient, order_id: str) -> Callable[[], dict[str, Any]]:
    def show() -> dict[str, Any]:
        shown: dict[str, Any] = orjson.loads(client.get(f"/orders/{order_id}").data)
        return shown

    return show


def told(world: World, kind: str) -> list[dict[str, Any]]:
    """The pending events of a type in the outbox."""
    return [
        dict(message.payload)
        for record in world.outbox.records.values()
        for message in record.messages
        if message.kind == "fact" and message.payload["type"] == kind
    ]


def test_given_an_order_when_it_is_confirmed_and_completed_then_it_is_shipped_and_its_event_is_published(
    world: World, order_id: str, show: Callable[[], dict[str, Any]]
) -> None:
    assert world.task("ConfirmOrder", order_id).keys() == {"confirmed_at"}

    assert world.task("CompleteOrder", order_id, **BOOKED) == {"state": "SHIPPED"}

    assert [step["state"] for step in show()["timeline"]] == ["PENDING", "RESERVED", "PAID", "SHIPPED"]
    assert show()["tracking_number"] == "T1"
    (fact,) = told(world, "shop.order.shipped.v1")
    assert fact["data"]["order_id"] == order_id


@pytest.mark.parametrize(
    ("undone", "state", "kind"),
    [
        (DECLINED, "REJECTED", "shop.order.rejected.v1"),
        (REFUSED, "CANCELLED", "shop.order.cancelled.v1"),
        ({"error": "OutOfStock", "cause": ""}, "REJECTED", "shop.order.rejected.v1"),
    ],
)
def test_given_an_order_when_it_is_undone_then_its_final_state_and_event_depend_on_the_error(
    world: World, order_id: str, undone: dict[str, Any], state: str, kind: str
) -> None:
    assert world.task("CancelOrder", order_id, **undone) == {"state": state}

    (fact,) = told(world, kind)
    assert fact["data"]["refunded"] == undone.get("refunded", {"amount": 0, "currency": "EUR"})


def test_given_a_completed_task_when_it_is_repeated_then_the_result_is_the_same_and_no_event_is_added(
    world: World, order_id: str
) -> None:
    confirmed = world.task("ConfirmOrder", order_id)
    world.now.passes(minutes=1)

    assert world.task("ConfirmOrder", order_id) == confirmed
    for _ in range(2):
        assert world.task("CompleteOrder", order_id, **BOOKED) == {"state": "SHIPPED"}
    assert len(told(world, "shop.order.shipped.v1")) == 1


def test_given_an_order_cancelled_by_its_customer_when_it_is_confirmed_then_the_confirmation_is_refused(
    world: World, client: FlaskClient, order_id: str
) -> None:
    client.post(f"/orders/{order_id}/cancel")

    assert world.task("ConfirmOrder", order_id) == {"error": "OrderCancelled"}
    assert world.task("CancelOrder", order_id, error="OrderCancelled", cause="") == {"state": "CANCELLED"}


def test_given_a_cancelled_order_when_it_is_checked_before_the_charge_then_the_check_is_refused(
    world: World, client: FlaskClient, order_id: str, show: Callable[[], dict[str, Any]]
) -> None:
    reserved = {"reserved_at": clock.rfc3339(AT)}
    assert world.task("CheckOrder", order_id, **reserved) == {"state": "RESERVED"}
    assert show()["state"] == "RESERVED"

    client.post(f"/orders/{order_id}/cancel")

    assert show()["state"] == "CANCELLING"
    assert world.task("CheckOrder", order_id, **reserved) == {"error": "OrderCancelled"}


def test_given_an_order_cancelled_after_its_check_when_it_is_undone_then_the_customer_is_named_as_the_cause(
    world: World, client: FlaskClient, order_id: str, show: Callable[[], dict[str, Any]]
) -> None:
    assert world.task("CheckOrder", order_id, reserved_at=clock.rfc3339(AT)) == {"state": "RESERVED"}
    assert order_id in world.orders.tokens

    client.post(f"/orders/{order_id}/cancel")

    assert order_id not in world.orders.tokens, "the payment service finds nothing to charge"
    refused = {"error": "OrderClosed", "cause": "the payment token was withdrawn"}
    world.task("StartCancelling", order_id, **refused)
    nothing = {"amount": 0, "currency": "XXX"}
    assert world.task("CancelOrder", order_id, **refused, refunded=nothing) == {"state": "CANCELLED"}
    (fact,) = told(world, "shop.order.cancelled.v1")
    assert fact["data"]["refunded"] == {"amount": 0, "currency": "EUR"}
    assert [step["cause"] for step in show()["timeline"][-2:]] == ["cancelled by the customer"] * 2


@pytest.mark.parametrize(
    ("task", "fields", "is_kept"),
    [
        ("CheckOrder", {"reserved_at": clock.rfc3339(AT)}, True),
        ("ConfirmOrder", {}, True),
        ("StartCancelling", REFUSED, False),
        ("CancelOrder", DECLINED, False),
    ],
)
def test_given_an_accepted_order_when_a_task_starts_to_undo_it_then_its_payment_token_is_removed(
    world: World, order_id: str, task: str, fields: dict[str, Any], is_kept: bool
) -> None:
    world.task(task, order_id, **fields)

    assert (order_id in world.orders.tokens) is is_kept


def test_given_an_order_that_the_workflow_undoes_when_the_customer_cancels_it_then_the_request_is_accepted(
    world: World, client: FlaskClient, order_id: str, show: Callable[[], dict[str, Any]]
) -> None:
    world.task("ConfirmOrder", order_id)

    assert world.task("StartCancelling", order_id, **REFUSED) == {"state": "CANCELLING"}

    assert show()["timeline"][-1]["cause"].startswith("being undone: ShipmentRefused")
    assert client.post(f"/orders/{order_id}/cancel").status_code == 202
    assert world.task("ConfirmOrder", order_id) == {"error": "OrderCancelled"}


def test_given_an_undone_order_when_a_late_confirmation_arrives_then_it_is_refused(
    world: World, order_id: str
) -> None:
    world.task("CancelOrder", order_id, **DECLINED)

    assert world.task("ConfirmOrder", order_id) == {"error": "OrderCancelled"}


def test_given_a_shipped_order_when_it_is_undone_then_an_error_is_raised(world: World, order_id: str) -> None:
    world.task("CompleteOrder", order_id, **BOOKED)

    with pytest.raises(Contradiction):
        world.task("CancelOrder", order_id, **REFUSED)


def test_given_an_unknown_order_when_a_task_arrives_then_it_gets_no_result(world: World) -> None:
    with pytest.raises(UnknownOrder):
        world.task("ConfirmOrder", "none")


def test_given_a_charged_order_when_it_is_confirmed_then_it_is_paid_since_the_time_of_the_charge(
    world: World, order_id: str, show: Callable[[], dict[str, Any]]
) -> None:
    world.task("CheckOrder", order_id, reserved_at=BOOKED["reserved_at"])

    for _ in range(2):
        world.task("ConfirmOrder", order_id, charged_at=BOOKED["charged_at"])

    assert show()["state"] == "PAID"
    assert [(step["state"], step["at"]) for step in show()["timeline"][1:]] == [
        ("RESERVED", BOOKED["reserved_at"]),
        ("PAID", BOOKED["charged_at"]),
    ]


def test_given_a_workflow_of_an_earlier_version_when_it_confirms_an_order_then_the_order_is_confirmed(
    world: World, order_id: str, show: Callable[[], dict[str, Any]]
) -> None:
    """It does not send the time of the charge."""
    world.task("CheckOrder", order_id, reserved_at=BOOKED["reserved_at"])

    assert world.task("ConfirmOrder", order_id).keys() == {"confirmed_at"}

    assert show()["state"] == "RESERVED"


@pytest.mark.parametrize("kind", ["shop.stock.reserved.v1", "shop.payment.charged.v1"])
def test_given_an_event_to_which_an_earlier_version_subscribed_when_it_arrives_then_it_is_ignored(
    world: World, order_id: str, kind: str, show: Callable[[], dict[str, Any]]
) -> None:
    world.fact(kind, {"order_id": order_id})

    assert show()["state"] == "PENDING"


def test_given_an_event_from_another_source_when_it_arrives_then_it_is_rejected(world: World) -> None:
    with pytest.raises(ForgedEvent):
        world.fact("shop.product.upserted.v1", upserted(1, 1), source="/shipping")

    assert world.products.find(["POT"]) == {}


def upserted(amount: int, version: int) -> dict[str, Any]:
    price = {"amount": amount, "currency": "EUR"}
    return {"sku": "POT", "version": version, "name": "A pot", "category": "tea", "price": price}


@pytest.mark.parametrize("clock_is_ahead", [timedelta(0), timedelta(minutes=4), timedelta(minutes=-4)])
def test_given_price_events_in_any_order_when_they_arrive_then_the_price_of_the_highest_version_applies(
    world: World, clock_is_ahead: timedelta
) -> None:
    world.fact("shop.product.upserted.v1", upserted(200, 2), AT)
    world.fact("shop.product.upserted.v1", upserted(100, 1), AT + clock_is_ahead)
    assert world.products.find(["POT"])["POT"].price.amount == 200

    world.fact("shop.product.upserted.v1", upserted(300, 3), AT - clock_is_ahead)
    assert world.products.find(["POT"])["POT"].price.amount == 300


@pytest.mark.parametrize(
    "broken",
    [
        {"sku": ""},
        {"sku": 5},
        {"name": None},
        {"name": ""},
        {"version": -3},
        {"version": "17"},
        {"version": 17.0},
        {"version": True},
        {"version": None},
        {"version": 10**30},
        {"version": 10**13},
        {"price": {"amount": 1.5, "currency": "EUR"}},
        {"price": {"amount": 100, "currency": 5}},
        {"price": None},
    ],
    ids=str,
)
def test_given_a_product_event_that_violates_its_contract_when_it_arrives_then_it_fails_and_changes_nothing(
    world: World, broken: dict[str, Any]
) -> None:
    world.fact("shop.product.upserted.v1", upserted(100, 1))

    with pytest.raises((TypeError, ValueError)):
        world.fact("shop.product.upserted.v1", upserted(200, 2) | broken)

    assert world.products.find(["POT", "", 5]) == {  # type: ignore[list-item]
        "POT": Product("POT", "A pot", Money(100, "EUR"), 1)
    }


class BusyOrders(MemoryOrders):
    """The order is changed between a read and its write."""

    meddle: Callable[[], object] | None = None

    def get(self, order_id: str) -> Order | None:
        order = super().get(order_id)
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        return order


@pytest.fixture
def busy(world: World) -> BusyOrders:
    orders = BusyOrders(world.idempotency, world.outbox)
    world.orders = orders
    return orders


def test_given_a_cancellation_between_read_and_write_when_an_order_is_confirmed_then_the_task_is_refused(
    busy: BusyOrders, world: World, order_id: str
) -> None:
    def customer_cancels() -> None:
        order = busy.get(order_id)
        assert order is not None
        busy.save(order.cancel(AT), None)

    busy.meddle = customer_cancels

    assert world.task("ConfirmOrder", order_id) == {"error": "OrderCancelled"}


def test_given_a_confirmation_between_read_and_write_when_an_order_is_cancelled_then_the_response_is_409(
    busy: BusyOrders, world: World, client: FlaskClient, order_id: str
) -> None:
    busy.meddle = lambda: world.task("ConfirmOrder", order_id)

    assert client.post(f"/orders/{order_id}/cancel").status_code == 409


class ProcessDied(Exception):
    pass


def dies(*_: object) -> None:
    raise ProcessDied


def test_given_a_crash_after_the_write_when_the_task_is_redelivered_then_it_succeeds_and_publishes_once(
    world: World, order_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before_answering:
        before_answering.setattr(world.answers, "succeed", dies)
        with pytest.raises(ProcessDied):
            world.task("CompleteOrder", order_id, **BOOKED)

    assert world.task("CompleteOrder", order_id, **BOOKED) == {"state": "SHIPPED"}
    assert len(told(world, "shop.order.shipped.v1")) == 1


def test_given_permanent_contention_when_an_order_is_confirmed_then_the_task_fails_as_unavailable(
    world: World, order_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always_stale(*_: object) -> Order:
        raise Stale(order_id)

    monkeypatch.setattr(world.orders, "save", always_stale)

    with pytest.raises(Unavailable, match="changed concurrently"):
        world.task("ConfirmOrder", order_id)
