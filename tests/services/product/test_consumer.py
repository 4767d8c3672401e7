"""The tasks for stock: results, events and reservations, also when tasks are repeated, late or out of order."""

from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

import services.product
from services.common.messaging.events import Event
from services.common.values.errors import PermanentError
from services.product import consumer, messages
from services.product.domain import Contradiction, Inventory
from tests.services.memory import MemoryAnswers
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import inventory, product, task, told

CONTRACTS = Path(services.product.__file__).parent / "contracts"
ITEMS = [{"sku": "CUP", "quantity": 2}, {"sku": "TEA", "quantity": 1}]


class Desk:
    """The handlers of the consumer, with a shop in memory."""

    def __init__(self) -> None:
        self.shop = MemoryShop()
        self.shop.put(product("CUP"), 5, None)
        self.shop.put(product("TEA"), 3, None)
        self.answers = MemoryAnswers()
        self._handlers = consumer.tasks(self.shop, self.answers)
        self._tokens = 0

    def do(self, name: str, order_id: str = "order-1", **fields: Any) -> Any:
        """Returns the output, or the error code."""
        self._tokens += 1
        token = f"token-{self._tokens}"
        self.answers.waiting.add(token)
        message = task(name, order_id, token, **fields)
        check(name, message)
        self._handlers[name](message)
        if token in self.answers.failures:
            return self.answers.failures[token][0]
        check(f"{name}.result", self.answers.outputs[token])
        return self.answers.outputs[token]

    def cups(self) -> Inventory:
        return inventory(self.shop, "CUP")

    @property
    def told(self) -> list[Event]:
        return told(self.shop.outbox)

    def published(self) -> list[str]:
        for event in self.told:
            check(event.type, event.to_dict())
        return [event.type for event in self.told]


def check(contract: str, message: Any) -> None:
    schema = orjson.loads((CONTRACTS / f"{contract}.json").read_bytes())
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(
        orjson.loads(orjson.dumps(message))
    )


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_given_available_stock_when_it_is_reserved_then_it_is_held_and_its_event_is_published(
    desk: Desk,
) -> None:
    assert "reserved_at" in desk.do("ReserveStock", items=ITEMS)

    assert desk.cups() == Inventory("CUP", 3, 2)
    assert desk.published() == ["shop.stock.reserved.v1"]
    assert desk.told[0].data["items"] == ITEMS


def test_given_items_of_the_same_product_when_they_are_reserved_then_their_quantities_are_added(
    desk: Desk,
) -> None:
    desk.do("ReserveStock", items=[ITEMS[0], ITEMS[0]])

    assert desk.cups() == Inventory("CUP", 1, 4)


@pytest.mark.parametrize(
    ("sku", "quantity", "error"), [("CUP", 6, "OutOfStock"), ("NONE", 1, "UnknownProduct")]
)
def test_given_an_order_that_cannot_be_fulfilled_completely_when_it_is_reserved_then_no_stock_is_reserved(
    desk: Desk, sku: str, quantity: int, error: str
) -> None:
    items = [{"sku": "TEA", "quantity": 1}, {"sku": sku, "quantity": quantity}]

    assert desk.do("ReserveStock", items=items) == error

    assert inventory(desk.shop, "TEA") == Inventory("TEA", 3)
    assert desk.published() == []


def test_given_a_refused_reservation_when_stock_is_available_later_then_its_task_is_still_refused(
    desk: Desk,
) -> None:
    """Stock that a second delivery of a refused task reserves would never be released."""
    desk.do("ReserveStock", "order-0", items=[{"sku": "CUP", "quantity": 5}])
    assert desk.do("ReserveStock", items=ITEMS) == "OutOfStock"
    desk.do("ReleaseStock", "order-0")

    assert desk.do("ReserveStock", items=ITEMS) == "OutOfStock"
    assert desk.cups() == Inventory("CUP", 5)


@pytest.mark.parametrize("end", ["ReleaseStock", "CommitStock"])
def test_given_a_completed_task_when_it_is_repeated_then_the_result_is_the_same_and_no_stock_moves(
    desk: Desk, end: str
) -> None:
    first = desk.do("ReserveStock", items=ITEMS)
    assert desk.do("ReserveStock", items=ITEMS) == first
    ended = desk.do(end)
    after = desk.cups()

    assert desk.do(end) == ended

    assert desk.cups() == after
    assert len(desk.published()) == 2


def test_given_reserved_stock_when_it_is_released_then_it_is_available_again(desk: Desk) -> None:
    desk.do("ReserveStock", items=ITEMS)

    assert "released_at" in desk.do("ReleaseStock")

    assert desk.cups() == Inventory("CUP", 5)
    assert desk.published()[1:] == ["shop.stock.released.v1"]


def test_given_reserved_stock_when_it_is_committed_then_it_is_sold(desk: Desk) -> None:
    desk.do("ReserveStock", items=ITEMS)

    assert "committed_at" in desk.do("CommitStock")

    assert desk.cups() == Inventory("CUP", 3, 0, 2)
    assert desk.published()[1:] == ["shop.stock.committed.v1"]


def test_given_a_release_before_its_reservation_when_the_reservation_arrives_then_it_is_rejected(
    desk: Desk,
) -> None:
    desk.do("ReleaseStock")

    assert desk.do("ReserveStock", items=ITEMS) == "OrderClosed"

    assert desk.cups() == Inventory("CUP", 5)
    assert desk.published() == []


def test_given_a_released_reservation_when_its_task_is_repeated_then_it_is_rejected(desk: Desk) -> None:
    desk.do("ReserveStock", items=ITEMS)
    desk.do("ReleaseStock")

    assert desk.do("ReserveStock", items=ITEMS) == "OrderClosed"
    assert desk.cups() == Inventory("CUP", 5)


@pytest.mark.parametrize("before", [[], ["ReleaseStock"]])
def test_given_no_reservation_when_stock_is_committed_then_a_contradiction_is_raised(
    desk: Desk, before: list[str]
) -> None:
    for name in before:
        desk.do(name)

    with pytest.raises(Contradiction):
        desk.do("CommitStock")


def test_given_sold_stock_when_it_is_released_then_a_contradiction_is_raised(desk: Desk) -> None:
    desk.do("ReserveStock", items=ITEMS)
    desk.do("CommitStock")

    with pytest.raises(Contradiction):
        desk.do("ReleaseStock")


@pytest.mark.parametrize("end", ["ReleaseStock", "CommitStock"])
def test_given_a_missing_stock_row_when_stock_is_released_or_committed_then_the_error_states_the_next_step(
    desk: Desk, end: str
) -> None:
    desk.do("ReserveStock", items=ITEMS)
    desk.shop.remove("CUP")

    with pytest.raises(PermanentError, match=r"reserved 2 of CUP.*restore the rows"):
        desk.do(end)

    desk.shop.put(product("CUP"), 0, None)
    with pytest.raises(PermanentError):
        desk.do(end)


def test_given_a_lost_result_when_the_task_is_redelivered_then_it_is_reported_again_without_another_event(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise ConnectionError("the workflow does not answer")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(desk.answers, "succeed", lost)
        with pytest.raises(ConnectionError):
            desk.do("ReserveStock", items=ITEMS)

    desk.do("ReserveStock", items=ITEMS)

    assert desk.published() == ["shop.stock.reserved.v1"]
    assert desk.cups() == Inventory("CUP", 3, 2)


@pytest.mark.parametrize("items", [[], [{"sku": "CUP", "quantity": 0}], [{"sku": "CUP", "quantity": True}]])
def test_given_a_task_that_violates_its_contract_when_it_is_parsed_then_an_error_is_raised(
    items: list[dict[str, Any]],
) -> None:
    with pytest.raises(ValueError, match="quantity of 1 or more"):
        messages.items({"items": items})
