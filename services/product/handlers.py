"""The use cases of the product service: one idempotent function for each request and task.

A task commits its state together with its outbox record, and then returns its result. If the process crashes in between, the
task is delivered again, finds the committed state, and returns the same result. Publishing the event is left to the outbox,
and neither delays nor fails the task.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from services.common.messaging.outbox import OutboxRecord, of_fact, of_facts
from services.common.runtime.retrying import retry_on_stale
from services.common.telemetry import logs
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.errors import NotFound
from services.product import domain, messages, metrics
from services.product.domain import (
    Contradiction,
    Inventory,
    Item,
    Move,
    Product,
    Reservation,
    State,
    Stocked,
)
from services.product.ports import Catalogue, Page, Search, Stock

log = logs.logger(__name__)

# The reservation that was read, the one to write, and the move of its stock.
Decision = tuple[Reservation | None, Reservation, Move | None]


class NoSuchProduct(NotFound):
    """The product does not exist."""

    def __init__(self) -> None:
        super().__init__("product not found; GET /products lists the products")


def list_products(search: Search, after: str | None, limit: int, *, catalogue: Catalogue) -> Page:
    """The products that match a search, sorted by SKU."""
    return catalogue.page(search, after, limit)


def show_product(sku: str, *, catalogue: Catalogue) -> Stocked:
    """A product and its stock.

    Raises:
        NoSuchProduct: it does not exist.
    """
    found = catalogue.find(sku)
    if found is None:
        raise NoSuchProduct
    return found


def show_inventory(sku: str, *, catalogue: Catalogue) -> Inventory:
    """The stock of a product.

    Raises:
        NoSuchProduct: the product does not exist.
    """
    return show_product(sku, catalogue=catalogue).inventory


def put_product(
    product: Product, initial_stock: int, *, catalogue: Catalogue, now: Clock = clock.now
) -> OutboxRecord:
    """Writes the name and the price of a product in its next version.

    A product that is unchanged, or was updated at a later time, is not written, but its event is published again.

    Returns:
        The outbox record of the event.

    Raises:
        Unavailable: a concurrent write won at every attempt. The same call may succeed later.
    """
    return _put(product.sku, lambda known: product.after(known, now()), initial_stock, catalogue)


def add_product(
    product: Product, initial_stock: int, *, catalogue: Catalogue, now: Clock = clock.now
) -> OutboxRecord:
    """As `put_product`, but an existing product keeps its name and price, and only its event is published again."""
    return _put(product.sku, lambda known: (known or product).after(known, now()), initial_stock, catalogue)


def _put(
    sku: str, decide: Callable[[Product | None], Product], initial_stock: int, catalogue: Catalogue
) -> OutboxRecord:
    def put() -> OutboxRecord:
        found = catalogue.find(sku)
        known = found.product if found else None
        wanted = decide(known)
        outbox_record = of_fact(messages.upserted(wanted))
        if wanted == known:
            catalogue.publish_again(outbox_record)
        else:
            catalogue.put(wanted, initial_stock, outbox_record)
        return outbox_record

    return retry_on_stale(put, f"product {sku}")


def reserve_stock(order_id: str, items: Iterable[Item], *, stock: Stock, now: Clock = clock.now) -> datetime:
    """The task ReserveStock: reserves all items of the order, or none. Returns the time of the reservation.

    Raises:
        TaskFailed: nothing is reserved; the code is OutOfStock, UnknownProduct or OrderClosed.
    """
    wanted = domain.merged(items)

    def decide() -> Decision:
        known, levels = stock.before_reserving(order_id, [item.sku for item in wanted])
        if known is not None:
            return known, known, None
        return known, *domain.reserve(order_id, wanted, levels, now())

    return _decided(order_id, decide, stock).granted().decided_at


def release_stock(order_id: str, *, stock: Stock, now: Clock = clock.now) -> datetime:
    """The task ReleaseStock: releases the reservation, and prevents any later one. Returns the time of the release.

    Raises:
        Contradiction: the stock was sold.
    """

    def decide() -> Decision:
        known = stock.reservation(order_id)
        return known, *(known.release(now()) if known else (domain.closed(order_id, now()), None))

    return _end(_decided(order_id, decide, stock))


def commit_stock(order_id: str, *, stock: Stock, now: Clock = clock.now) -> datetime:
    """The task CommitStock: sells the reserved stock. Returns the time of the sale.

    Raises:
        Contradiction: no stock is reserved for the order.
    """

    def decide() -> Decision:
        known = stock.reservation(order_id)
        if known is None:
            raise Contradiction(f"order {order_id} has no reserved stock to sell")
        return known, *known.commit(now())

    return _end(_decided(order_id, decide, stock))


def _decided(order_id: str, decide: Callable[[], Decision], stock: Stock) -> Reservation:
    """The reservation of an order after `decide`, which is repeated if the data changes before the write."""

    def move_stock() -> Reservation:
        known, reservation, move = decide()
        if reservation == known:
            return reservation
        outbox_record = of_facts(messages.stock_facts(reservation))
        stock.save(reservation, known.state if known else None, move, outbox_record)
        if known is None and reservation.state is not State.RELEASED:
            metrics.note_reserved(reservation)
        log.info("stock_decided", state=reservation.state.value, error=reservation.error)
        return reservation

    # Of concurrent orders for the same product, DynamoDB accepts only one.
    return retry_on_stale(move_stock, f"the stock of order {order_id}")


def _end(reservation: Reservation) -> datetime:
    if reservation.ended_at is None:
        raise Contradiction(f"the reservation of order {reservation.order_id} has no end time")
    return reservation.ended_at
