"""Products, and the movements of their stock.

    AVAILABLE ⇄ RESERVED → SOLD

Each piece of stock is on exactly one shelf, and a `Move` transfers pieces between two shelves, so that no change can create or
lose a piece. The reservation of an order is decided once. A refusal is stored as well: otherwise, a message that is delivered
twice could reserve stock that would never be released.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.common.values.errors import PermanentError, TaskFailed
from services.common.values.money import Money

# Lower versions are counters that an earlier version of this service assigned. As a time, this is in 2001.
OLDEST_VERSION = 10**12


class Shelf(StrEnum):
    """The location of a piece of stock."""

    AVAILABLE = "available"
    RESERVED = "reserved"
    SOLD = "sold"


class State(StrEnum):
    """The state of an order's reservation."""

    REFUSED = "REFUSED"
    RESERVED = "RESERVED"
    RELEASED = "RELEASED"
    COMMITTED = "COMMITTED"


class OutOfStock(TaskFailed):
    """The available stock is not sufficient for the order."""

    def __init__(self, cause: str) -> None:
        super().__init__("OutOfStock", cause)


class UnknownProduct(TaskFailed):
    """The order contains an unknown product."""

    def __init__(self, cause: str) -> None:
        super().__init__("UnknownProduct", cause)


class OrderClosed(TaskFailed):
    """The order was closed before its stock was reserved."""

    def __init__(self) -> None:
        super().__init__("OrderClosed", "the stock of the order was already released")


class Contradiction(PermanentError):
    """The workflow requests a change that contradicts an earlier task. This is a defect that an operator has to investigate."""


class StockMissing(PermanentError):
    """The table contains less reserved stock than the reservations, or no such product: it was edited manually."""

    def __init__(self, order_id: str, items: "Iterable[Item]") -> None:
        kept = ", ".join(f"{item.quantity} of {item.sku}" for item in items)
        super().__init__(
            f"order {order_id} has reserved {kept}, but the rows of the products no longer contain it: restore the rows "
            "(`reserved` must be the sum of all reservations), then redrive the dead letters of the queue"
        )


@dataclass(frozen=True, slots=True)
class Product:
    """A product.

    Args:
        category: a lowercase word.
        updated_at: time of the latest confirmation of its name and price.
        version: increases with each change of the name or the price, and orders the copies in other services. 0 before the
            product is stored.
        replaces: version that it was derived from; 0 for none, and its own version if only the time differs.
    """

    sku: str
    name: str
    category: str
    price: Money
    updated_at: datetime
    version: int = 0
    replaces: int = field(default=0, compare=False)

    def after(self, known: "Product | None", at: datetime) -> "Product":
        """The product as the successor of the stored one, or the stored one if its time is later.

        If the name, the category and the price are unchanged, the version stays the same, and only the time changes. Updates
        with an earlier time are ignored from then on.

        The version is the time in milliseconds, or the stored version plus one if the clock is behind. A counter would restart
        after the row of a product was deleted, and other services would ignore the new price until it exceeds their stored
        version. A product whose version is still a counter always gets a new version, which corrects such a price.
        """
        was = known.version if known else 0
        if known and known.updated_at > self.updated_at:
            return known
        if known and was >= OLDEST_VERSION and self._says_the_same_as(known):
            return replace(known, updated_at=self.updated_at, replaces=was)
        return replace(self, version=max(was + 1, int(at.timestamp() * 1000)), replaces=was)

    def _says_the_same_as(self, other: "Product") -> bool:
        return (self.name, self.category, self.price) == (other.name, other.category, other.price)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The number of pieces of a product on each shelf."""

    sku: str
    available: int
    reserved: int = 0
    sold: int = 0


@dataclass(frozen=True, slots=True)
class Stocked:
    """A product and its stock."""

    product: Product
    inventory: Inventory


@dataclass(frozen=True, slots=True)
class Item:
    """A product and its quantity."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Move:
    """Transfers items from one shelf to another: all of them, or none if a shelf contains too few pieces."""

    items: tuple[Item, ...]
    source: Shelf
    target: Shelf


@dataclass(frozen=True, slots=True)
class Reservation:
    """The reservation of an order. Immutable: every change returns a new reservation.

    Args:
        items: reserved items; empty if it was refused, or released before it was requested.
        decided_at: time at which it reached its first state.
        ended_at: time at which it was released or committed.
        error: error code of a refusal, for the workflow.
        cause: human-readable reason of a refusal.
    """

    order_id: str
    state: State
    items: tuple[Item, ...]
    decided_at: datetime
    ended_at: datetime | None = None
    error: str | None = None
    cause: str | None = None

    def granted(self) -> "Reservation":
        """The reservation itself, if it was granted and not released.

        Raises:
            TaskFailed: it was refused, with the code of `OutOfStock` or `UnknownProduct`.
            OrderClosed: it was released.
        """
        if self.state is State.RELEASED:
            raise OrderClosed
        if self.error is not None:
            raise TaskFailed(self.error, self.cause or "")
        return self

    def release(self, at: datetime) -> tuple["Reservation", Move | None]:
        """The released reservation and its move. Returns the same reservation and None if it was already released.

        Raises:
            Contradiction: the stock was sold.
        """
        if self.state is State.RELEASED:
            return self, None
        if self.state is State.COMMITTED:
            raise Contradiction(f"the stock of order {self.order_id} is sold and cannot be released")
        released = replace(self, state=State.RELEASED, ended_at=at)
        return released, _move(self.items, Shelf.RESERVED, Shelf.AVAILABLE)

    def commit(self, at: datetime) -> tuple["Reservation", Move | None]:
        """The committed reservation and its move. Returns the same reservation and None if it was already committed.

        Raises:
            Contradiction: no stock is reserved.
        """
        if self.state is State.COMMITTED:
            return self, None
        if self.state is not State.RESERVED:
            raise Contradiction(f"the stock of order {self.order_id} is {self.state} and cannot be sold")
        return replace(self, state=State.COMMITTED, ended_at=at), _move(
            self.items, Shelf.RESERVED, Shelf.SOLD
        )


def reserve(
    order_id: str, items: Iterable[Item], stock: Mapping[str, Inventory], at: datetime
) -> tuple[Reservation, Move | None]:
    """A new reservation and its move.

    Args:
        order_id: ID of the order.
        items: items to reserve.
        stock: stock of the existing products, by SKU.
        at: current time.
    """
    wanted = merged(items)
    unknown = sorted(item.sku for item in wanted if item.sku not in stock)
    if unknown:
        return _refused(order_id, UnknownProduct(f"no such product: {', '.join(unknown)}"), at), None
    short = sorted(item.sku for item in wanted if stock[item.sku].available < item.quantity)
    if short:
        return _refused(order_id, OutOfStock(f"not enough of {', '.join(short)}"), at), None
    reservation = Reservation(order_id, State.RESERVED, wanted, at)
    return reservation, _move(wanted, Shelf.AVAILABLE, Shelf.RESERVED)


def closed(order_id: str, at: datetime) -> Reservation:
    """A released reservation of an order without stock, which rejects a later request."""
    return Reservation(order_id, State.RELEASED, (), at, ended_at=at)


def merged(items: Iterable[Item]) -> tuple[Item, ...]:
    """The items with one entry per product, sorted by SKU."""
    quantities: dict[str, int] = {}
    for item in items:
        quantities[item.sku] = quantities.get(item.sku, 0) + item.quantity
    return tuple(Item(sku, quantity) for sku, quantity in sorted(quantities.items()))


def _refused(order_id: str, refusal: TaskFailed, at: datetime) -> Reservation:
    return Reservation(order_id, State.REFUSED, (), at, error=refusal.error, cause=refusal.cause)


def _move(items: tuple[Item, ...], source: Shelf, target: Shelf) -> Move | None:
    return Move(items, source, target) if items else None
