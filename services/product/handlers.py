"""What the product service does: one function per request and task. Each may be called again with the same.

A task commits first, then publishes its fact, then returns for its answer: whatever fails in between, the task comes
again, finds what it committed, and publishes and answers the same.
"""

import random
import time
from collections.abc import Callable, Iterable
from datetime import datetime

from services.common import clock, telemetry
from services.common.clock import Clock
from services.common.errors import NotFound, Unavailable
from services.common.events import Publisher
from services.product import domain, messages
from services.product.domain import Contradiction, Inventory, Item, Move, Reservation, Stocked
from services.product.ports import Catalogue, Page, Search, Stale, Stock

log = telemetry.logger(__name__)

# Orders for the same product meet; DynamoDB then refuses all but one of them, and the others go again.
TRIES = 8
FIRST_PAUSE = 0.02

Decision = Callable[[Reservation | None], tuple[Reservation, Move | None]]


class NoSuchProduct(NotFound):
    """There is no such product."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"no product {sku}")


def list_products(search: Search, after: str | None, limit: int, *, catalogue: Catalogue) -> Page:
    """The products that a search finds, by SKU."""
    return catalogue.page(search, after, limit)


def show_product(sku: str, *, catalogue: Catalogue) -> Stocked:
    """A product.

    Raises:
        NoSuchProduct: when there is none of that SKU.
    """
    found = catalogue.find(sku)
    if found is None:
        raise NoSuchProduct(sku)
    return found


def show_inventory(sku: str, *, catalogue: Catalogue) -> Inventory:
    """A product's stock.

    Raises:
        NoSuchProduct: when there is none of that SKU.
    """
    return show_product(sku, catalogue=catalogue).inventory


def reserve_stock(
    order_id: str, items: Iterable[Item], *, stock: Stock, publisher: Publisher, now: Clock = clock.now
) -> datetime:
    """The task ReserveStock: keeps all items for the order, or none; answers when it did.

    Raises:
        TaskFailed: when it does not, with the code OutOfStock, UnknownProduct or OrderClosed.
    """
    wanted = domain.merged(items)

    def decide(known: Reservation | None) -> tuple[Reservation, Move | None]:
        if known is not None:
            return known, None
        return domain.reserve(order_id, wanted, stock.levels([item.sku for item in wanted]), now())

    reservation = _decided(order_id, decide, stock).granted()
    publisher.publish([messages.reserved(reservation)])
    return reservation.decided_at


def release_stock(order_id: str, *, stock: Stock, publisher: Publisher, now: Clock = clock.now) -> datetime:
    """The task ReleaseStock: nothing is kept for the order any more, and nothing will be; answers since when.

    Raises:
        Contradiction: when the stock is sold.
    """

    def decide(known: Reservation | None) -> tuple[Reservation, Move | None]:
        return known.release(now()) if known else (domain.closed(order_id, now()), None)

    reservation = _decided(order_id, decide, stock)
    if reservation.items:
        publisher.publish([messages.released(reservation)])
    return _end(reservation)


def commit_stock(order_id: str, *, stock: Stock, publisher: Publisher, now: Clock = clock.now) -> datetime:
    """The task CommitStock: what was kept for the order is sold; answers since when.

    Raises:
        Contradiction: when nothing is kept for the order.
    """

    def decide(known: Reservation | None) -> tuple[Reservation, Move | None]:
        if known is None:
            raise Contradiction(f"there is no stock of order {order_id} to sell")
        return known.commit(now())

    reservation = _decided(order_id, decide, stock)
    publisher.publish([messages.committed(reservation)])
    return _end(reservation)


def _decided(order_id: str, decide: Decision, stock: Stock) -> Reservation:
    """The order's reservation after a decision that was based on what holds when it is written."""
    for attempt in range(TRIES):
        known = stock.reservation(order_id)
        reservation, move = decide(known)
        if reservation == known:
            return reservation
        try:
            stock.save(reservation, known.state if known else None, move)
        except Stale:
            time.sleep(FIRST_PAUSE * 2**attempt * random.random())  # noqa: S311 - a pause, not a secret
            continue
        log.info("stock_decided", state=reservation.state.value, error=reservation.error)
        return reservation
    raise Unavailable(f"the stock of order {order_id} is being moved too often; send the same again")


def _end(reservation: Reservation) -> datetime:
    if reservation.ended_at is None:
        raise Contradiction(f"the reservation of order {reservation.order_id} ended at no time")
    return reservation.ended_at
