"""The messages of the order service match its contracts."""

from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

import services.order
from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock
from services.common.values.money import Money
from services.order import domain, messages
from services.order.domain import Order
from tests.services.order.world import CUP, TEA, TRACEPARENT, Clock, World, wish

CONTRACTS = Path(services.order.__file__).parent / "contracts"
NOW = Clock()()
ADDRESS = domain.Address(**wish()["shipping_address"])
ORDER = domain.place(
    "order-1",
    "guest",
    (domain.Item("TEA", 2), domain.Item("CUP", 1)),
    {"TEA": TEA, "CUP": CUP},
    ADDRESS,
    NOW,
)
AT = clock.rfc3339(NOW)
BOOKED = {"reserved_at": AT, "charged_at": AT, "booked_at": AT, "tracking_number": "T1"}


def check(contract: str, message: Any) -> None:
    schema = orjson.loads((CONTRACTS / f"{contract}.json").read_bytes())
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(
        orjson.loads(orjson.dumps(message))
    )


def fact(record: OutboxRecord) -> dict[str, Any]:
    return dict(record.messages[-1].payload)


@pytest.mark.parametrize(
    ("contract", "record"),
    [
        ("shop.order.accepted.v1", messages.acceptance(ORDER)),
        (
            "shop.order.shipped.v1",
            messages.end(ORDER.ship("T1", reserved_at=NOW, charged_at=NOW, booked_at=NOW)),
        ),
        ("shop.order.rejected.v1", messages.end(ORDER.undo("OutOfStock", "", Money(0, "EUR"), NOW))),
        (
            "shop.order.cancelled.v1",
            messages.end(ORDER.undo("ShipmentRefused", "", Money(3098, "EUR"), NOW)),
        ),
    ],
)
def test_given_an_event_when_it_is_validated_then_it_matches_its_contract(
    contract: str, record: OutboxRecord
) -> None:
    assert fact(record)["type"] == contract
    check(contract, fact(record))


@pytest.mark.parametrize(
    ("task", "fields"),
    [
        ("CheckOrder", {"reserved_at": BOOKED["reserved_at"]}),
        ("StartCancelling", {"error": "States.Timeout", "cause": ""}),
        ("ConfirmOrder", {}),
        ("ConfirmOrder", {"charged_at": BOOKED["charged_at"]}),
        ("CompleteOrder", BOOKED),
        ("CancelOrder", {"error": "OutOfStock", "cause": ""}),
        ("CancelOrder", {"error": "X", "cause": "y", "refunded": {"amount": 1, "currency": "EUR"}}),
    ],
)
def test_given_a_task_of_each_contract_when_it_is_handled_then_its_result_matches_the_contract(
    task: str, fields: dict[str, Any]
) -> None:
    world = World()
    order = _accepted(world)
    check(task, {"task": task, "task_token": "t", "order_id": order.id, "traceparent": TRACEPARENT, **fields})

    answer = world.task(task, order.id, **fields)

    check(f"{task}.result", answer)


def _accepted(world: World) -> Order:
    world.orders._orders[ORDER.id] = ORDER
    return ORDER


def test_given_the_contracts_then_each_is_a_valid_schema_and_none_is_unknown() -> None:
    found = {path.name.removesuffix(".json") for path in CONTRACTS.iterdir()}

    for contract in found:
        jsonschema.Draft202012Validator.check_schema(
            orjson.loads((CONTRACTS / f"{contract}.json").read_bytes())
        )
    assert found == {
        "shop.order.accepted.v1",
        "shop.order.shipped.v1",
        "shop.order.rejected.v1",
        "shop.order.cancelled.v1",
        *(
            f"{task}{kind}"
            for task in ("CheckOrder", "ConfirmOrder", "CompleteOrder", "StartCancelling", "CancelOrder")
            for kind in ("", ".result")
        ),
    }
