"""The states of an order, and the transitions between them.

    PENDING → RESERVED → PAID → SHIPPED
        └─────────┴────────┴──→ REJECTED (nothing was charged)
        └─────────┴────────┴──→ CANCELLING (being undone) → CANCELLED (undone) or REJECTED

Events about an order arrive late, repeatedly and out of order. The state is therefore the furthest step of a timeline to
which steps are only added. The customer's cancellation and the workflow's confirmation compete: after one of them, the other
is rejected, and an order is stored only if it has not been written since it was read. No transition leads from CANCELLING
back to PAID or SHIPPED. An order becomes CANCELLING when the customer cancels it, and when the workflow begins to undo it
although it may have been charged.
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
# Upper bound of the difference between two clocks, far above that of AWS.
CLOCKS_DIFFER = timedelta(days=7)


class State(StrEnum):
    """The state of an order."""

    PENDING = "PENDING"
    RESERVED = "RESERVED"
    PAID = "PAID"
    SHIPPED = "SHIPPED"
    CANCELLING = "CANCELLING"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"

    @property
    def rank(self) -> int:
        """Position in the order of states. All final states have the same rank."""
        return _RANKS[self]

    @property
    def is_end(self) -> bool:
        """Whether the state is final."""
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
    """The order contains unknown products."""

    def __init__(self, skus: Iterable[str]) -> None:
        names = sorted(skus)
        super().__init__(f"no such product: {', '.join(names)}", extra={"skus": names})


class TooMany(RuleBroken):
    """The quantity of a product exceeds the limit of an order."""

    def __init__(self, sku: str, quantity: int) -> None:
        super().__init__(
            f"{quantity} of {sku}: an order can contain at most {LARGEST_QUANTITY} pieces of a product"
        )


class MixedCurrencies(RuleBroken):
    """The prices of the products are in different currencies."""

    def __init__(self, currencies: Iterable[str]) -> None:
        super().__init__(
            f"the products are priced in {' and '.join(sorted(currencies))}; place one order for each currency"
        )


class TotalChanged(Conflict):
    """The total of the order differs from the expected total."""

    def __init__(self, expected: Money, total: Money) -> None:
        super().__init__(
            f"the total is now {total.amount} {total.currency} (minor units) instead of {expected.amount} "
            f"{expected.currency}; show the new total to the customer, and place the order again with a new Idempotency-Key",
            extra={"total": total.to_dict()},
        )


class TooLateToCancel(Conflict):
    """The order can no longer be cancelled."""


class OrderCancelled(TaskFailed):
    """The workflow must not continue: the order is being undone, or was undone."""

    def __init__(self, cause: str) -> None:
        super().__init__("OrderCancelled", cause)


class Contradiction(PermanentError):
    """The workflow reports two different final states of one order. This is a defect that an operator has to investigate."""


@dataclass(frozen=True, slots=True)
class Product:
    """The order service's copy of a product.

    Args:
        version: a higher version has the newer name and price; 0 for an event without a version.
    """

    sku: str
    name: str
    price: Money
    version: int


def latest_version(now: datetime) -> int:
    """The highest version to accept. Versions are times in milliseconds; a far higher one could never be replaced."""
    return int((now + CLOCKS_DIFFER).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Item:
    """A product and its quantity."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Line:
    """An ordered item, with the name of the product and the price of one piece at the time of the order."""

    sku: str
    name: str
    quantity: int
    price: Money

    def to_dict(self) -> dict[str, Any]:
        """{"sku", "name", "quantity", "price"}."""
        return {"sku": self.sku, "name": self.name, "quantity": self.quantity, "price": self.price.to_dict()}


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """The shipping address. `country` is an ISO 3166-1 alpha-2 code. Its `repr` is empty: errors may be logged."""

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
    """A state that an order reached, with the time and the cause."""

    state: State
    at: datetime
    cause: str

    def to_dict(self) -> dict[str, str]:
        """{"state", "at", "cause"}."""
        return {"state": self.state.value, "at": clock.rfc3339(self.at), "cause": self.cause}


@dataclass(frozen=True, slots=True)
class Order:
    """An order. Immutable: every change returns a new order.

    Args:
        id: UUIDv7, so that IDs sort by age.
        timeline: at least one step, sorted by the rank of the state.
        version: number of writes, which protects against lost updates.
        confirmed_at: time at which the workflow confirmed the order; it cannot be cancelled afterwards.
        cancel_requested_at: time at which the customer cancelled the order.
        tracking_number: tracking number of the carrier, once shipped.
        refunded: refunded amount, once undone.
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
        """The furthest state that the order reached."""
        return self.timeline[-1].state

    @property
    def is_undone(self) -> bool:
        """Whether the order is being undone, or was undone."""
        return self.cancel_requested_at is not None or self.state in _UNDONE

    def reached(self, step: Step) -> "Order":
        """The order with a step added. Returns the same order if the step is known.

        Raises:
            Contradiction: the order has a different final state.
        """
        if any(known.state is step.state for known in self.timeline):
            return self
        if step.state.is_end and (self.state.is_end or (self.is_undone and step.state is State.SHIPPED)):
            raise Contradiction(f"order {self.id} is {self.state} and cannot become {step.state}")
        return replace(self, timeline=tuple(sorted((*self.timeline, step), key=lambda each: each.state.rank)))

    def cancel(self, at: datetime) -> "Order":
        """The cancelled order, which the workflow undoes. Returns the same order if it is already being undone.

        Raises:
            TooLateToCancel: the order was confirmed, shipped or rejected.
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
        """The order that the workflow began to undo. Returns the same order if that is already known."""
        if self.is_undone:
            return self
        if self.state.is_end:
            raise Contradiction(f"order {self.id} is {self.state} and cannot be undone")
        return self.reached(Step(State.CANCELLING, at, f"being undone: {_reason(error, cause)}"))

    def check(self) -> "Order":
        """The order itself, if the workflow may continue.

        Raises:
            OrderCancelled: the order is being undone, or was undone.
        """
        if self.state in {State.REJECTED, State.CANCELLED}:
            raise OrderCancelled(f"the order is {self.state}")
        if self.cancel_requested_at is not None:
            raise OrderCancelled("the customer cancelled the order")
        if self.is_undone:
            raise OrderCancelled("the order is being undone")
        return self

    def confirm(self, at: datetime) -> "Order":
        """The confirmed order, which can no longer be cancelled. Returns the same order if it is already confirmed.

        Raises:
            OrderCancelled: the customer cancelled it before, or it has ended.
        """
        self.check()
        return self if self.confirmed_at is not None else replace(self, confirmed_at=at)

    def ship(
        self, tracking_number: str, *, reserved_at: datetime, charged_at: datetime, booked_at: datetime
    ) -> "Order":
        """The shipped order, with every step that was missing in its timeline.

        Raises:
            Contradiction: the order was undone.
        """
        shipped = (
            self.reached(Step(State.RESERVED, reserved_at, RESERVED_BECAUSE))
            .reached(Step(State.PAID, charged_at, PAID_BECAUSE))
            .reached(Step(State.SHIPPED, booked_at, f"shipment {tracking_number} booked"))
        )
        return self if shipped == self else replace(shipped, tracking_number=tracking_number)

    def undo(self, error: str, cause: str, refunded: Money, at: datetime) -> "Order":
        """The undone order: CANCELLED if it was refunded or the customer cancelled it, otherwise REJECTED.

        Raises:
            Contradiction: the order was shipped.
        """
        if self.state in {State.REJECTED, State.CANCELLED}:
            return self
        was_cancelled = (
            refunded.amount > 0 or self.cancel_requested_at is not None or error == "OrderCancelled"
        )
        state = State.CANCELLED if was_cancelled else State.REJECTED
        # The error of the workflow names only the task that noticed the cancellation.
        reason = CANCELLED_BECAUSE if self.cancel_requested_at is not None else _reason(error, cause)
        return replace(self.reached(Step(state, at, reason)), refunded=refunded)


def _reason(error: str, cause: str) -> str:
    return f"{error}: {cause}" if cause else error


ACCEPTED_BECAUSE = "order accepted"
RESERVED_BECAUSE = "stock reserved"
PAID_BECAUSE = "payment charged"
CANCELLED_BECAUSE = "cancelled by the customer"


def merged(items: Iterable[Item]) -> tuple[Item, ...]:
    """The items with one entry per product, in the order of their first occurrence.

    Raises:
        TooMany: the quantities of a product add up to more than 99.
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
    """A new order of `items` (at least one, with one entry per product) at the prices of `products` (by SKU).

    Raises:
        UnknownProducts: a product is missing in `products`.
        MixedCurrencies: the prices are in different currencies.
        TotalChanged: the total differs from the expected one.
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
