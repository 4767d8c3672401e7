"""Every message that the product service sends or understands.

The shapes are the JSON Schemas in `contracts`; whoever changes one here changes it there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.common import clock
from services.common.events import Event
from services.product.domain import Item, Product, Reservation

SOURCE = "/product"


def upserted(product: Product) -> Event:
    """shop.product.upserted.v1. The same product tells the same fact, however often it is published."""
    return Event(
        type="shop.product.upserted.v1",
        source=SOURCE,
        subject=product.sku,
        id=f"{product.sku}-{clock.rfc3339(product.updated_at)}",
        time=product.updated_at,
        data={
            "sku": product.sku,
            "name": product.name,
            "category": product.category,
            "price": product.price.to_dict(),
        },
    )


def reserved(reservation: Reservation) -> Event:
    """shop.stock.reserved.v1."""
    return _moved("reserved", reservation, reservation.decided_at)


def released(reservation: Reservation) -> Event:
    """shop.stock.released.v1."""
    return _moved("released", reservation, reservation.ended_at)


def committed(reservation: Reservation) -> Event:
    """shop.stock.committed.v1."""
    return _moved("committed", reservation, reservation.ended_at)


def items(task: Mapping[str, Any]) -> Sequence[Item]:
    """The items of a ReserveStock.

    Raises:
        KeyError, ValueError: when the task breaks its contract.
    """
    wanted = [Item(item["sku"], item["quantity"]) for item in task["items"]]
    if not wanted or any(type(item.quantity) is not int or item.quantity < 1 for item in wanted):
        raise ValueError("a reservation is of one piece or more")
    return wanted


def _moved(how: str, reservation: Reservation, at: datetime | None) -> Event:
    return Event(
        type=f"shop.stock.{how}.v1",
        source=SOURCE,
        subject=reservation.order_id,
        id=f"{reservation.order_id}-stock-{how}",
        time=at or reservation.decided_at,
        data={
            "order_id": reservation.order_id,
            "items": [{"sku": item.sku, "quantity": item.quantity} for item in reservation.items],
        },
    )
