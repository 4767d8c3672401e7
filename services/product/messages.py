"""The messages that the product service sends and receives. The JSON Schemas in `contracts` define their structure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.common.messaging.events import Event
from services.product.domain import Item, Product, Reservation

if TYPE_CHECKING:
    from services.product.low_stock import LowStock

SOURCE = "/product"


def upserted(product: Product) -> Event:
    """shop.product.upserted.v1. Events with the same version have the same name and price."""
    return Event(
        type="shop.product.upserted.v1",
        source=SOURCE,
        subject=product.sku,
        id=f"{product.sku}-{product.version}",
        time=product.updated_at,
        data={
            "sku": product.sku,
            "version": product.version,
            "name": product.name,
            "category": product.category,
            "price": product.price.to_dict(),
        },
    )


def stock_facts(reservation: Reservation) -> list[Event]:
    """The events of a reservation: shop.stock.reserved.v1, .released.v1 or .committed.v1; none if no stock was moved."""
    if not reservation.items:
        return []
    at = reservation.ended_at or reservation.decided_at
    return [_moved(reservation.state.lower(), reservation, at)]


def low(fact: "LowStock") -> Event:
    """shop.stock.low.v1."""
    return Event(
        type="shop.stock.low.v1",
        source=SOURCE,
        subject=fact.sku,
        id=f"{fact.sku}-low-{fact.episode}",
        time=fact.at,
        data={"sku": fact.sku, "available": fact.available, "threshold": fact.threshold},
    )


def items(task: Mapping[str, Any]) -> Sequence[Item]:
    """The items of a ReserveStock task.

    Raises:
        KeyError, ValueError: the task violates its contract.
    """
    wanted = [Item(item["sku"], item["quantity"]) for item in task["items"]]
    if not wanted or any(type(item.quantity) is not int or item.quantity < 1 for item in wanted):
        raise ValueError("a reservation must contain items with a quantity of 1 or more")
    return wanted


def _moved(how: str, reservation: Reservation, at: datetime) -> Event:
    return Event(
        type=f"shop.stock.{how}.v1",
        source=SOURCE,
        subject=reservation.order_id,
        id=f"{reservation.order_id}-stock-{how}",
        time=at,
        data={
            "order_id": reservation.order_id,
            "items": [{"sku": item.sku, "quantity": item.quantity} for item in reservation.items],
        },
    )
