"""The states of a shipment, and the transitions between them.

    PENDING → BOOKED or REFUSED
       any of these states, or no shipment → CANCELLING → CANCELLED

PENDING and CANCELLING are written before the carrier is called, so that a call is known even after a crash. From CANCELLING on,
the order is closed. This also applies to an order without a shipment, because its booking may still be queued.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.common.values.errors import TaskFailed


class State(StrEnum):
    """The state of a shipment."""

    PENDING = "PENDING"
    BOOKED = "BOOKED"
    REFUSED = "REFUSED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"

    @property
    def is_closed(self) -> bool:
        """Whether the order is closed, so that nothing can be booked any more."""
        return self in {State.CANCELLING, State.CANCELLED}


class ShipmentRefused(TaskFailed):
    """The carrier refused the parcel."""

    def __init__(self, cause: str) -> None:
        super().__init__("ShipmentRefused", cause)


class OrderClosed(TaskFailed):
    """The order was closed before it was booked."""

    def __init__(self) -> None:
        super().__init__("OrderClosed", "the shipment of the order was already cancelled")


@dataclass(frozen=True, slots=True)
class Item:
    """A product and its quantity."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """The address of a recipient. `country` is an ISO 3166-1 alpha-2 code. Its `repr` is empty: errors may be logged."""

    name: str
    line1: str
    city: str
    postal_code: str
    country: str

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Address":
        """Parses the address in a task.

        Raises:
            KeyError: a member is missing.
        """
        return cls(data["name"], data["line1"], data["city"], data["postal_code"], data["country"])


@dataclass(frozen=True, slots=True)
class Parcel:
    """The items of an order and their destination."""

    items: tuple[Item, ...]
    address: Address


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking of the carrier."""

    tracking_number: str
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class Shipment:
    """The shipment of an order. Immutable: every change returns a new shipment. It does not contain the address.

    Args:
        order_id: ID of the order, which is also the idempotency key at the carrier.
        customer_id: ID of the customer who placed the order.
        booking: booking of the carrier, even if it was cancelled since.
        cause: reason of a refusal.
        decided_at: time at which the shipment reached its state.
        version: number of writes, which protects against lost updates.
    """

    order_id: str
    state: State
    decided_at: datetime
    customer_id: str
    booking: Booking | None = None
    cause: str | None = None
    version: int = 0

    def booked(self, booking: Booking) -> "Shipment":
        """The shipment after the carrier booked it."""
        return replace(self, state=State.BOOKED, booking=booking, decided_at=booking.booked_at)

    def refused(self, cause: str, at: datetime) -> "Shipment":
        """The shipment after the carrier refused it."""
        return replace(self, state=State.REFUSED, cause=cause, decided_at=at)

    def closed(self, at: datetime) -> "Shipment":
        """The shipment before the carrier is called to cancel it."""
        return replace(self, state=State.CANCELLING, decided_at=at)

    def cancelled(self, booking: Booking | None, at: datetime) -> "Shipment":
        """The shipment after the carrier cancelled its booking, if there was one."""
        return replace(self, state=State.CANCELLED, booking=booking, decided_at=at)

    def receipt(self) -> Booking:
        """The booking of the order.

        Raises:
            ShipmentRefused, OrderClosed: there is no booking.
        """
        if self.state is State.REFUSED:
            raise ShipmentRefused(self.cause or "the carrier refused the parcel")
        if self.state.is_closed or self.booking is None:
            raise OrderClosed
        return self.booking


def begun(order_id: str, customer_id: str, at: datetime) -> Shipment:
    """A new shipment, before the carrier is called."""
    return Shipment(order_id, State.PENDING, at, customer_id)
