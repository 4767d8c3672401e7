"""Every message that the product service sends or understands.

The shapes are the JSON Schemas in `contracts`; whoever changes one here changes it there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.common.messaging.events import Event
from services.product.domain import Item, Product, Reservation

if TYPE_CHECKING:
    from services.product.low_stock import LowStock

SOURCE = "/product"


def upserted(product: Product) -> Event:
    """shop.product.upserted.v1. The same version tells the same name and price, however often it is published."""
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
    """What a decision tells: shop.stock.reserved.v1, .released.v1, .committed.v1, or nothing when nothing was moved."""
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
    """The items of a ReserveStock.

    Raises:
        KeyError, ValueError: when the task breaks its contract.
    """
    wanted = [Item(item["sku"], item["quantity"]) for item in task["items"]]
    if not wanted or any(type(item.quantity) is not int or item.quantity < 1 for item in wanted):
        raise ValueError("a reservation is of one piece or more")
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
