"""What the product service does: one function per request and task. Each may be called again with the same.

A task commits its state together with the fact to be told of it, then returns for its answer: if its process dies in
between, the task comes again, finds what it committed, and answers the same. Telling the fact is the outbox's part: it
neither delays the answer nor fails it.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from services.common.messaging.outbox import OutboxRecord, of_fact, of_facts
from services.common.runtime import telemetry
from services.common.runtime.retrying import retry_on_stale
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.errors import NotFound
from services.product import domain, messages
from services.product.domain import Contradiction, Inventory, Item, Move, Product, Reservation, Stocked
from services.product.ports import Catalogue, Page, Search, Stock

log = telemetry.logger(__name__)

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


def put_product(
    product: Product, initial_stock: int, *, catalogue: Catalogue, now: Clock = clock.now
) -> OutboxRecord:
    """Names and prices a product, in its next version; one that is named and priced so already is told of again.

    One that was named and priced at a later time than this stays as it is, and is told of again as well.

    Returns:
        What is to be told.

    Raises:
        Unavailable: when others were always faster; the same may succeed later.
    """
    return _put(product.sku, lambda known: product.after(known, now()), initial_stock, catalogue)


def add_product(
    product: Product, initial_stock: int, *, catalogue: Catalogue, now: Clock = clock.now
) -> OutboxRecord:
    """As `put_product`, except that a product that there is keeps its name and price, and is told of again."""
    return _put(product.sku, lambda known: (known or product).after(known, now()), initial_stock, catalogue)


def _put(
    sku: str, decide: Callable[[Product | None], Product], initial_stock: int, catalogue: Catalogue
) -> OutboxRecord:
    def put() -> OutboxRecord:
        found = catalogue.find(sku)
        known = found.product if found else None
        wanted = decide(known)
        told = of_fact(messages.upserted(wanted))
        if wanted == known:
            catalogue.tell(told)
        else:
            catalogue.put(wanted, initial_stock, told)
        return told

    return retry_on_stale(put, f"product {sku}")


def reserve_stock(order_id: str, items: Iterable[Item], *, stock: Stock, now: Clock = clock.now) -> datetime:
    """The task ReserveStock: keeps all items for the order, or none; answers when it did.

    Raises:
        TaskFailed: when it does not, with the code OutOfStock, UnknownProduct or OrderClosed.
    """
    wanted = domain.merged(items)

    def decide(known: Reservation | None) -> tuple[Reservation, Move | None]:
        if known is not None:
            return known, None
        return domain.reserve(order_id, wanted, stock.levels([item.sku for item in wanted]), now())

    return _decided(order_id, decide, stock).granted().decided_at


def release_stock(order_id: str, *, stock: Stock, now: Clock = clock.now) -> datetime:
    """The task ReleaseStock: nothing is kept for the order any more, and nothing will be; answers since when.

    Raises:
        Contradiction: when the stock is sold.
    """

    def decide(known: Reservation | None) -> tuple[Reservation, Move | None]:
        return known.release(now()) if known else (domain.closed(order_id, now()), None)

    return _end(_decided(order_id, decide, stock))


def commit_stock(order_id: str, *, stock: Stock, now: Clock = clock.now) -> datetime:
    """The task CommitStock: what was kept for the order is sold; answers since when.

    Raises:
        Contradiction: when nothing is kept for the order.
    """

    def decide(known: Reservation | None) -> tuple[Reservation, Move | None]:
        if known is None:
            raise Contradiction(f"there is no stock of order {order_id} to sell")
        return known.commit(now())

    return _end(_decided(order_id, decide, stock))


def _decided(order_id: str, decide: Decision, stock: Stock) -> Reservation:
    """The order's reservation after a decision that was based on what holds when it is written."""

    def move_stock() -> Reservation:
        known = stock.reservation(order_id)
        reservation, move = decide(known)
        if reservation == known:
            return reservation
        told = of_facts(messages.stock_facts(reservation))
        stock.save(reservation, known.state if known else None, move, told)
        log.info("stock_decided", state=reservation.state.value, error=reservation.error)
        return reservation

    # Orders for the same product meet; DynamoDB then refuses all but one of them.
    return retry_on_stale(move_stock, f"the stock of order {order_id}")


def _end(reservation: Reservation) -> datetime:
    if reservation.ended_at is None:
        raise Contradiction(f"the reservation of order {reservation.order_id} ended at no time")
    return reservation.ended_at
