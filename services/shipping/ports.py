"""The ports of the shipping service: what its handlers require from storage and from the carrier."""

from typing import Protocol

from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import Unanswered
from services.shipping.domain import Booking, Parcel, Shipment


class Refused(Exception):
    """The carrier refused the parcel permanently. The message is the human-readable reason."""


class KeyClosed(Exception):
    """The key was cancelled at the carrier, which books nothing under it any more."""


class CarrierDown(Unanswered):
    """The carrier did not answer. It may have performed the request."""


class Shipments(Protocol):
    """The shipments, one per order."""

    def get(self, order_id: str) -> Shipment | None:
        """The shipment of an order, as last written, or None if it does not exist."""

    def save(self, shipment: Shipment, outbox_record: OutboxRecord | None) -> Shipment:
        """Writes a shipment and its outbox record in one transaction. Returns the shipment as written.

        A new shipment has version 0.

        Raises:
            Stale: the shipment was written since it was read.
        """

    def ping(self) -> None:
        """Raises an exception if shipments cannot be read."""


class Carrier(Protocol):
    """The carrier. Every call is idempotent by its key."""

    def book(self, key: str, parcel: Parcel) -> Booking:
        """Books a parcel once per key. Repeated calls return the same booking.

        Raises:
            Refused: the carrier refused the parcel, and will not book it under this key.
            KeyClosed: the key was cancelled before.
            CarrierDown: it is unknown whether the carrier booked the parcel.
        """

    def cancel(self, key: str) -> Booking | None:
        """Cancels everything that was booked under a key, and prevents later bookings under it.

        Returns:
            The cancelled booking, or None if nothing was booked.

        Raises:
            CarrierDown: it is unknown whether the carrier cancelled the booking.
        """
