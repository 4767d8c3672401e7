"""What an order is, and what can become of it.

    PENDING → RESERVED → PAID → SHIPPED
        └─────────┴────────┴──→ REJECTED (nothing was kept)
        └─────────┴────────┴──→ CANCELLING (being undone) → CANCELLED (everything was undone) or REJECTED

News about an order arrives late, twice and out of order, so its state is not stored and overwritten: it is the furthest
step of a timeline that only ever gains steps. Two decisions race, the customer's to cancel and the workflow's to
confirm; each is refused once the other was made, and the store writes an order only if nobody else has since it was
read. From CANCELLING on there is no way forward: it is written when the customer cancels, and when the workflow turns back
although money may have been taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from services.common.values import clock
from services.common.values.errors import Conflict, PermanentError, RuleBroken, TaskFailed
from services.common.values.money import Money

LARGEST_QUANTITY = 99
# At most, and far more than clocks of AWS do.
CLOCKS_DIFFER = timedelta(days=7)


class State(StrEnum):
    """Where an order is."""

    PENDING = "PENDING"
    RESERVED = "RESERVED"
    PAID = "PAID"
    SHIPPED = "SHIPPED"
    CANCELLING = "CANCELLING"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"

    @property
    def rank(self) -> int:
        """How far it is; the three ends are equally far."""
        return _RANKS[self]

    @property
    def is_end(self) -> bool:
        """Whether nothing comes after it."""
        return self.rank == _END


_END = 4
_RANKS = {
    State.PENDING: 0,
    State.RESERVED: 1,
    State.PAID: 2,
    State.CANCELLING: 3,
    State.SHIPPED: _END,
    State.REJECTED: _END,
    State.CANCELLED: _END,
}


_UNDONE = frozenset({State.CANCELLING, State.REJECTED, State.CANCELLED})


class UnknownProducts(RuleBroken):
    """The order names products that the shop does not sell."""

    def __init__(self, skus: Iterable[str]) -> None:
        names = sorted(skus)
        super().__init__(f"no such product: {', '.join(names)}", extra={"skus": names})


class TooMany(RuleBroken):
    """More of one product than an order may have."""

    def __init__(self, sku: str, quantity: int) -> None:
        super().__init__(f"{quantity} of {sku}: an order has at most {LARGEST_QUANTITY} of a product")


class MixedCurrencies(RuleBroken):
    """The products are priced in several currencies."""

    def __init__(self, currencies: Iterable[str]) -> None:
        super().__init__(f"priced in {' and '.join(sorted(currencies))}: order them apart")


class TotalChanged(Conflict):
    """The order costs something else than the customer expects."""

    def __init__(self, expected: Money, total: Money) -> None:
        super().__init__(
            f"the order costs {total.amount} {total.currency} (minor units) now, not {expected.amount} "
            f"{expected.currency}: show the new total, and order again under a new Idempotency-Key",
            extra={"total": total.to_dict()},
        )


class TooLateToCancel(Conflict):
    """The order can no longer be stopped, or ended by itself."""


class OrderCancelled(TaskFailed):
    """The workflow asks to go on with an order that is to be undone."""

    def __init__(self, cause: str) -> None:
        super().__init__("OrderCancelled", cause)


class Contradiction(PermanentError):
    """The workflow reports two different ends of one order: a defect, for people to look at."""


@dataclass(frozen=True, slots=True)
class Product:
    """What the order service knows of a product.

    Args:
        version: of two, the higher one is the newer name and price; 0 for a fact that does not say.
    """

    sku: str
    name: str
    price: Money
    version: int


def latest_version(now: datetime) -> int:
    """The highest version that a product can have: versions are times in milliseconds. A higher one would hold for ever."""
    return int((now + CLOCKS_DIFFER).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Item:
    """A product and how many of it."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Line:
    """An item with the name and the price of one piece that it was ordered at."""

    sku: str
    name: str
    quantity: int
    price: Money

    def to_dict(self) -> dict[str, Any]:
        """{"sku", "name", "quantity", "price"}."""
        return {"sku": self.sku, "name": self.name, "quantity": self.quantity, "price": self.price.to_dict()}


@dataclass(frozen=True, slots=True)
class Address:
    """Where an order goes. `country` is an ISO 3166-1 alpha-2 code."""

    name: str
    line1: str
    city: str
    postal_code: str
    country: str

    def to_dict(self) -> dict[str, str]:
        """{"name", "line1", "city", "postal_code", "country"}."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Step:
    """That an order came to a state, when, and why."""

    state: State
    at: datetime
    cause: str

    def to_dict(self) -> dict[str, str]:
        """{"state", "at", "cause"}."""
        return {"state": self.state.value, "at": clock.rfc3339(self.at), "cause": self.cause}


@dataclass(frozen=True, slots=True)
class Order:
    """An order. Every change makes a new one.

    Args:
        id: UUIDv7, so that ids sort by age.
        timeline: at least one step, in order of state.
        version: how often it was written; the store's guard against lost updates.
        confirmed_at: when the workflow passed the point after which the customer cannot cancel.
        cancel_requested_at: when the customer cancelled.
        tracking_number: the carrier's, once shipped.
        refunded: what was given back, once undone.
    """

    id: str
    customer_id: str
    lines: tuple[Line, ...]
    total: Money
    address: Address
    created_at: datetime
    timeline: tuple[Step, ...]
    version: int = 0
    confirmed_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    tracking_number: str | None = None
    refunded: Money | None = None

    @property
    def state(self) -> State:
        """The furthest state it came to."""
        return self.timeline[-1].state

    @property
    def is_undone(self) -> bool:
        """Whether it is on its way back, or was brought back."""
        return self.cancel_requested_at is not None or self.state in _UNDONE

    def reached(self, step: Step) -> "Order":
        """The order with a step that it took; itself when the step is known.

        Raises:
            Contradiction: when it has another end.
        """
        if any(known.state is step.state for known in self.timeline):
            return self
        if step.state.is_end and (self.state.is_end or (self.is_undone and step.state is State.SHIPPED)):
            raise Contradiction(f"order {self.id} is {self.state} and cannot become {step.state}")
        return replace(self, timeline=tuple(sorted((*self.timeline, step), key=lambda each: each.state.rank)))

    def cancel(self, at: datetime) -> "Order":
        """The order, to be undone by the workflow; itself when it already is.

        Raises:
            TooLateToCancel: when it was confirmed, or has ended in another way.
        """
        if self.state is State.REJECTED:
            raise TooLateToCancel("the order was rejected: there is nothing to cancel")
        if self.is_undone:
            return self
        if self.confirmed_at is not None or self.state is State.SHIPPED:
            raise TooLateToCancel("the order is being shipped and can no longer be cancelled")
        cancelling = self.reached(Step(State.CANCELLING, at, CANCELLED_BECAUSE))
        return replace(cancelling, cancel_requested_at=at)

    def turn_back(self, error: str, cause: str, at: datetime) -> "Order":
        """The order, which the workflow has begun to undo; itself when it is known to be undone."""
        if self.is_undone:
            return self
        if self.state.is_end:
            raise Contradiction(f"order {self.id} is {self.state} and cannot be undone")
        return self.reached(Step(State.CANCELLING, at, f"being undone: {_reason(error, cause)}"))

    def check(self) -> "Order":
        """Itself, when the workflow may go on with it.

        Raises:
            OrderCancelled: when it is undone.
        """
        if self.state in {State.REJECTED, State.CANCELLED}:
            raise OrderCancelled(f"the order is {self.state}")
        if self.cancel_requested_at is not None:
            raise OrderCancelled("the customer cancelled the order")
        if self.is_undone:
            raise OrderCancelled("the order is being undone")
        return self

    def confirm(self, at: datetime) -> "Order":
        """The order, past the point of no return; itself when it already is.

        Raises:
            OrderCancelled: when the customer was faster, or the order has ended.
        """
        self.check()
        return self if self.confirmed_at is not None else replace(self, confirmed_at=at)

    def ship(
        self, tracking_number: str, *, reserved_at: datetime, charged_at: datetime, booked_at: datetime
    ) -> "Order":
        """The order, on its way, with every step that had not been heard of.

        Raises:
            Contradiction: when it was undone.
        """
        shipped = (
            self.reached(Step(State.RESERVED, reserved_at, RESERVED_BECAUSE))
            .reached(Step(State.PAID, charged_at, PAID_BECAUSE))
            .reached(Step(State.SHIPPED, booked_at, f"shipment {tracking_number} booked"))
        )
        return self if shipped == self else replace(shipped, tracking_number=tracking_number)

    def undo(self, error: str, cause: str, refunded: Money, at: datetime) -> "Order":
        """The order, ended with nothing kept: CANCELLED if money went back or the customer cancelled, else REJECTED.

        Raises:
            Contradiction: when it was shipped.
        """
        if self.state in {State.REJECTED, State.CANCELLED}:
            return self
        was_cancelled = (
            refunded.amount > 0 or self.cancel_requested_at is not None or error == "OrderCancelled"
        )
        state = State.CANCELLED if was_cancelled else State.REJECTED
        # The workflow's error says only where it noticed the cancellation.
        reason = CANCELLED_BECAUSE if self.cancel_requested_at is not None else _reason(error, cause)
        return replace(self.reached(Step(state, at, reason)), refunded=refunded)


def _reason(error: str, cause: str) -> str:
    return f"{error}: {cause}" if cause else error


ACCEPTED_BECAUSE = "order accepted"
RESERVED_BECAUSE = "stock reserved"
PAID_BECAUSE = "payment charged"
CANCELLED_BECAUSE = "cancelled by the customer"


def merged(items: Iterable[Item]) -> tuple[Item, ...]:
    """The items with each product once, in the order of their first mention.

    Raises:
        TooMany: when that is more than 99 of one.
    """
    quantities: dict[str, int] = {}
    for item in items:
        quantities[item.sku] = quantities.get(item.sku, 0) + item.quantity
    for sku, quantity in quantities.items():
        if quantity > LARGEST_QUANTITY:
            raise TooMany(sku, quantity)
    return tuple(Item(sku, quantity) for sku, quantity in quantities.items())


def place(
    order_id: str,
    customer_id: str,
    items: Iterable[Item],
    products: Mapping[str, Product],
    address: Address,
    at: datetime,
    expected: Money | None = None,
) -> Order:
    """A new order of `items` (each product once, at least one) at the prices of `products` (by SKU).

    Raises:
        UnknownProducts: when a product is missing from `products`.
        MixedCurrencies: when their prices cannot be added.
        TotalChanged: when their sum is not the total that the customer expects.
    """
    ordered = tuple(items)
    unknown = {item.sku for item in ordered} - products.keys()
    if unknown:
        raise UnknownProducts(unknown)
    lines = tuple(
        Line(item.sku, products[item.sku].name, item.quantity, products[item.sku].price) for item in ordered
    )
    currencies = {line.price.currency for line in lines}
    if len(currencies) > 1:
        raise MixedCurrencies(currencies)
    total = Money(sum(line.price.amount * line.quantity for line in lines), currencies.pop())
    if expected is not None and total != expected:
        raise TotalChanged(expected, total)
    return Order(
        id=order_id,
        customer_id=customer_id,
        lines=lines,
        total=total,
        address=address,
        created_at=at,
        timeline=(Step(State.PENDING, at, ACCEPTED_BECAUSE),),
    )
