"""Events as the order service publishes them."""

from datetime import UTC, datetime
from typing import Any

from services.common.messaging.events import Event
from services.common.values.money import Money
from services.order import domain, messages
from services.order.domain import Item as Wanted
from services.order.domain import Order, Product, State

DAY = datetime(2026, 1, 31, 12, tzinfo=UTC)
ADDRESS = domain.Address("Ada", "1 Road", "Berlin", "10115", "DE")
TEA = Product("TEA", "Earl Grey", Money(1299, "EUR"), 1)
CUP = Product("CUP", "A cup", Money(500, "EUR"), 1)


def order(order_id: str, at: datetime = DAY, **pieces: int) -> Order:
    """An order, of two packs of tea and one cup by default."""
    wanted = [Wanted(sku, quantity) for sku, quantity in (pieces or {"TEA": 2, "CUP": 1}).items()]
    return domain.place(order_id, "alice", wanted, {"TEA": TEA, "CUP": CUP}, ADDRESS, at)


def accepted(placed: Order) -> dict[str, Any]:
    return messages.accepted(placed).to_dict()


def shipped(order_id: str, at: datetime = DAY) -> dict[str, Any]:
    return _ended(order_id, State.SHIPPED, at, tracking_number="T1")


def undone(
    order_id: str, state: State = State.CANCELLED, refunded: int = 0, at: datetime = DAY
) -> dict[str, Any]:
    return _ended(order_id, state, at, cause="the customer", refunded=Money(refunded, "EUR").to_dict())


def _ended(order_id: str, state: State, at: datetime, **data: Any) -> dict[str, Any]:
    return Event(
        type=messages.ENDS[state],
        source=messages.SOURCE,
        subject=order_id,
        id=f"{order_id}-{state.lower()}",
        time=at,
        data={"order_id": order_id, "customer_id": "alice", **data},
    ).to_dict()
