"""What a shipment is, and what can become of it.

    PENDING → BOOKED or REFUSED
       any of these, or nothing → CANCELLING → CANCELLED

PENDING and CANCELLING are written before the carrier is asked, so that whatever happens afterwards it is known that it
may have been. From CANCELLING on the order is closed: also one that nobody has asked to book yet, for the booking may
still be on its way here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.common.values.errors import TaskFailed


class State(StrEnum):
    """Where a shipment is."""

    PENDING = "PENDING"
    BOOKED = "BOOKED"
    REFUSED = "REFUSED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"

    @property
    def is_closed(self) -> bool:
        """Whether nothing is booked from it on."""
        return self in {State.CANCELLING, State.CANCELLED}


class ShipmentRefused(TaskFailed):
    """The carrier said no, and booked nothing."""

    def __init__(self, cause: str) -> None:
        super().__init__("ShipmentRefused", cause)


class OrderClosed(TaskFailed):
    """The order was given up before it was booked."""

    def __init__(self) -> None:
        super().__init__("OrderClosed", "the order's shipment was cancelled before")


@dataclass(frozen=True, slots=True)
class Item:
    """A product and how many of it."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Address:
    """Where a parcel goes. `country` is an ISO 3166-1 alpha-2 code."""

    name: str
    line1: str
    city: str
    postal_code: str
    country: str

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Address":
        """Reads an address as a task carries it.

        Raises:
            KeyError: when a member is missing.
        """
        return cls(data["name"], data["line1"], data["city"], data["postal_code"], data["country"])


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes where."""

    items: tuple[Item, ...]
    address: Address


@dataclass(frozen=True, slots=True)
class Booking:
    """What the carrier took on."""

    tracking_number: str
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class Shipment:
    """An order's shipment. Every change makes a new one. Who gets it is not in it: that is the carrier's.

    Args:
        order_id: also its key at the carrier.
        customer_id: whose order it is; None for a workflow that began before its tasks named one.
        booking: what was booked, even if it was cancelled since.
        cause: why it was refused.
        decided_at: when it came to its state.
        version: how often it was written; the store's guard against lost updates.
    """

    order_id: str
    state: State
    decided_at: datetime
    customer_id: str | None = None
    booking: Booking | None = None
    cause: str | None = None
    version: int = 0

    def booked(self, booking: Booking) -> "Shipment":
        """The shipment after the carrier has taken it on."""
        return replace(self, state=State.BOOKED, booking=booking, decided_at=booking.booked_at)

    def refused(self, cause: str, at: datetime) -> "Shipment":
        """The shipment after the carrier has refused it."""
        return replace(self, state=State.REFUSED, cause=cause, decided_at=at)

    def closed(self, at: datetime) -> "Shipment":
        """The shipment that the carrier is about to be asked to give up."""
        return replace(self, state=State.CANCELLING, decided_at=at)

    def cancelled(self, booking: Booking | None, at: datetime) -> "Shipment":
        """The shipment after the carrier has given up what it had booked, which may be nothing."""
        return replace(self, state=State.CANCELLED, booking=booking, decided_at=at)

    def receipt(self) -> Booking:
        """What is booked.

        Raises:
            ShipmentRefused, OrderClosed: why nothing is.
        """
        if self.state is State.REFUSED:
            raise ShipmentRefused(self.cause or "the carrier refused the parcel")
        if self.state.is_closed or self.booking is None:
            raise OrderClosed
        return self.booking


def begun(order_id: str, customer_id: str | None, at: datetime) -> Shipment:
    """The shipment that the carrier is about to be asked for."""
    return Shipment(order_id, State.PENDING, at, customer_id)
