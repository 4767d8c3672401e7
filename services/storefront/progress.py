"""The way of an order through its workflow, as a customer follows it, without I/O."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.storefront.domain import Order, State, Step

WAY = (State.PENDING, State.RESERVED, State.PAID, State.SHIPPED)
# An order takes seconds. After this time without a change, a dependency is unavailable, and the order waits for it.
UNUSUAL = timedelta(seconds=30)
# Seconds until an open page needs the next state, by the seconds since the last change of the order.
_PAUSES = ((60.0, 1.0), (600.0, 5.0), (float("inf"), 30.0))
_ERROR = re.compile(r"(?:being undone: )?(?P<error>[A-Za-z.]+)(?:: .*)?", re.DOTALL)
_BY_CUSTOMER = "cancelled by the customer"


class Reach(StrEnum):
    """Whether an order has reached a stage."""

    DONE = "done"
    CURRENT = "current"
    AHEAD = "ahead"
    SKIPPED = "skipped"


class Reason(StrEnum):
    """Why an order is undone."""

    CUSTOMER = "customer"
    OUT_OF_STOCK = "out of stock"
    DECLINED = "declined"
    UNANSWERED = "unanswered"
    NOT_SHIPPED = "not shipped"
    OTHER = "other"


_REASONS = {
    "OrderCancelled": Reason.CUSTOMER,
    "OutOfStock": Reason.OUT_OF_STOCK,
    "UnknownProduct": Reason.OUT_OF_STOCK,
    "PaymentDeclined": Reason.DECLINED,
    "PaymentUnknown": Reason.UNANSWERED,
    "ShipmentRefused": Reason.NOT_SHIPPED,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage on the way of an order. `at`: time at which the order reached it."""

    state: State
    reach: Reach
    at: datetime | None = None


def stages(order: Order) -> tuple[Stage, ...]:
    """The four stages of an order, from its acceptance to its shipment."""
    return tuple(_stages(order))


def _stages(order: Order) -> Iterator[Stage]:
    reached = {step.state: step.at for step in order.timeline}
    is_first_ahead = True
    for state in WAY:
        if state in reached:
            yield Stage(state, Reach.DONE, reached[state])
        elif order.state.is_undone:
            yield Stage(state, Reach.SKIPPED)
        else:
            yield Stage(state, Reach.CURRENT if is_first_ahead else Reach.AHEAD)
            is_first_ahead = False


def undoing(order: Order) -> Step | None:
    """The last step of an order that is being undone, or was undone; None for any other."""
    return order.timeline[-1] if order.timeline and order.state.is_undone else None


def reason(step: Step) -> Reason:
    """Why an order is undone, from the cause in its timeline."""
    if step.cause.endswith(_BY_CUSTOMER):
        return Reason.CUSTOMER
    found = _ERROR.fullmatch(step.cause)
    return _REASONS.get(found["error"], Reason.OTHER) if found else Reason.OTHER


def seconds_since_change(order: Order, now: datetime) -> float:
    """Seconds since the last step of an order."""
    last = order.timeline[-1].at if order.timeline else order.created_at
    return max(0.0, (now - last).total_seconds())


def is_late(order: Order, now: datetime) -> bool:
    """Whether an order has been waiting for an unusual time."""
    return not order.state.is_final and seconds_since_change(order, now) > UNUSUAL.total_seconds()


def version(order: Order, now: datetime) -> str:
    """Changes with everything that the page shows: also when an order begins to take an unusual time."""
    return f"{order.version}{'.late' if is_late(order, now) else ''}"


def pause(order: Order, now: datetime) -> float:
    """Seconds until the next change is probable: an order that has not changed for long is waiting for a repair."""
    seconds = seconds_since_change(order, now)
    return next(pause for limit, pause in _PAUSES if seconds < limit)
