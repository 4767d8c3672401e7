"""What a product is, and how its stock moves.

    AVAILABLE ⇄ RESERVED → SOLD

A piece of stock is on exactly one shelf, and a `Move` takes it from one to another: there is no way to write a change
that makes or loses a piece. An order's reservation is decided once. A refusal is kept too, because a message that comes
twice must not reserve, the second time, what nobody would ever release.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.common.values.errors import PermanentError, TaskFailed
from services.common.values.money import Money

# Versions below this are counts, which an earlier version of this service gave; it is a time in 2001.
OLDEST_VERSION = 10**12


class Shelf(StrEnum):
    """Where a piece of stock is."""

    AVAILABLE = "available"
    RESERVED = "reserved"
    SOLD = "sold"


class State(StrEnum):
    """What became of an order's wish for stock."""

    REFUSED = "REFUSED"
    RESERVED = "RESERVED"
    RELEASED = "RELEASED"
    COMMITTED = "COMMITTED"


class OutOfStock(TaskFailed):
    """There is less than the order wants."""

    def __init__(self, cause: str) -> None:
        super().__init__("OutOfStock", cause)


class UnknownProduct(TaskFailed):
    """The order wants what the shop does not have."""

    def __init__(self, cause: str) -> None:
        super().__init__("UnknownProduct", cause)


class OrderClosed(TaskFailed):
    """The order was given up before its stock was asked for."""

    def __init__(self) -> None:
        super().__init__("OrderClosed", "the order's stock was released before")


class Contradiction(PermanentError):
    """The workflow asks for what its earlier tasks rule out: a defect, for people to look at."""


class StockMissing(PermanentError):
    """The table holds less than orders have reserved, or no such product: it was changed by hand."""

    def __init__(self, order_id: str, items: "Iterable[Item]") -> None:
        kept = ", ".join(f"{item.quantity} of {item.sku}" for item in items)
        super().__init__(
            f"order {order_id} has reserved {kept}, and the products' rows do not hold that any more: restore the rows "
            "(the sum of all reservations is `reserved`), then redrive the dead letters of the queue"
        )


@dataclass(frozen=True, slots=True)
class Product:
    """Something that the shop sells.

    Args:
        category: a lower-case word.
        updated_at: when it was last said to be named and priced so.
        version: grows with each name and price; 0 before it is stored. What is known of a product elsewhere is
            ordered by it.
        replaces: the version that it was made from; 0 for none, and its own when its time alone is another.
    """

    sku: str
    name: str
    category: str
    price: Money
    updated_at: datetime
    version: int = 0
    replaces: int = field(default=0, compare=False)

    def after(self, known: "Product | None", at: datetime) -> "Product":
        """The product as the successor of what is known of it; the known one when that is of a later time.

        One that is named and priced the same stays in its version and is as of the later time: what was said in between
        comes too late.

        The version is the time in milliseconds, or one more than the known version where a clock is late. A count would
        begin anew after the product's row was deleted, and the new price would be ignored by everyone who has
        stored a higher version. A product that still has a count gets a new version in any case, which corrects
        such a price.
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
    """How many pieces of a product are on each shelf."""

    sku: str
    available: int
    reserved: int = 0
    sold: int = 0


@dataclass(frozen=True, slots=True)
class Stocked:
    """A product with its stock."""

    product: Product
    inventory: Inventory


@dataclass(frozen=True, slots=True)
class Item:
    """A product and how many of it."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Move:
    """Takes items from one shelf to another; all of them, or none when one shelf holds too few."""

    items: tuple[Item, ...]
    source: Shelf
    target: Shelf


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was decided about an order's stock. Every change makes a new one.

    Args:
        items: what was reserved; nothing when it was refused, or released before it was asked for.
        decided_at: when it came to its first state.
        ended_at: when it was released or committed.
        error: why it was refused: the code for the workflow,
        cause: and the reason for people.
    """

    order_id: str
    state: State
    items: tuple[Item, ...]
    decided_at: datetime
    ended_at: datetime | None = None
    error: str | None = None
    cause: str | None = None

    def granted(self) -> "Reservation":
        """Itself, when it was reserved and not given up.

        Raises:
            TaskFailed: when it was refused, with the code of `OutOfStock` or `UnknownProduct`.
            OrderClosed: when it was released.
        """
        if self.state is State.RELEASED:
            raise OrderClosed
        if self.error is not None:
            raise TaskFailed(self.error, self.cause or "")
        return self

    def release(self, at: datetime) -> tuple["Reservation", Move | None]:
        """The reservation, given up, and what goes back; itself and nothing when it already was.

        Raises:
            Contradiction: when it is sold.
        """
        if self.state is State.RELEASED:
            return self, None
        if self.state is State.COMMITTED:
            raise Contradiction(f"the stock of order {self.order_id} is sold and cannot be released")
        released = replace(self, state=State.RELEASED, ended_at=at)
        return released, _move(self.items, Shelf.RESERVED, Shelf.AVAILABLE)

    def commit(self, at: datetime) -> tuple["Reservation", Move | None]:
        """The reservation, sold, and what goes out; itself and nothing when it already was.

        Raises:
            Contradiction: when there is nothing reserved to sell.
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
    """What is decided about an order's stock, and what is moved for it.

    Args:
        order_id: whose stock it is.
        items: what it wants.
        stock: what there is of those products that there are.
        at: now.
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
    """The mark that an order is given up before its stock was asked for: who asks later is refused."""
    return Reservation(order_id, State.RELEASED, (), at, ended_at=at)


def merged(items: Iterable[Item]) -> tuple[Item, ...]:
    """One item per product, by SKU."""
    quantities: dict[str, int] = {}
    for item in items:
        quantities[item.sku] = quantities.get(item.sku, 0) + item.quantity
    return tuple(Item(sku, quantity) for sku, quantity in sorted(quantities.items()))


def _refused(order_id: str, refusal: TaskFailed, at: datetime) -> Reservation:
    return Reservation(order_id, State.REFUSED, (), at, error=refusal.error, cause=refusal.cause)


def _move(items: tuple[Item, ...], source: Shelf, target: Shelf) -> Move | None:
    return Move(items, source, target) if items else None
