"""What the shipping service needs from the outside, as its handlers see it."""

from typing import Protocol

from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import Unanswered
from services.shipping.domain import Booking, Parcel, Shipment


class Refused(Exception):
    """The carrier says no for good, and has booked nothing; the message is the reason for people."""


class KeyClosed(Exception):
    """What the key stands for was cancelled at the carrier, who books nothing under it any more."""


class CarrierDown(Unanswered):
    """The carrier did not answer. It may have done what it was asked."""


class Shipments(Protocol):
    """The shipments, one per order."""

    def get(self, order_id: str) -> Shipment | None:
        """The shipment as it was last written."""

    def save(self, shipment: Shipment, told: OutboxRecord | None) -> Shipment:
        """Writes a shipment and what is to be told of it: both or nothing. Answers it as written.

        One that was never written has version 0.

        Raises:
            Stale: when it is not the version that was read.
        """

    def ping(self) -> None:
        """Returns when shipments can be read, raises otherwise."""


class Carrier(Protocol):
    """Whoever moves parcels. Every call is safe to repeat: the key makes it the same call."""

    def book(self, key: str, parcel: Parcel) -> Booking:
        """Books a parcel; the same key is booked once, and answered the same.

        Raises:
            Refused: when it does not, now or ever under this key.
            KeyClosed: when it was cancelled before.
            CarrierDown: when it is not known whether it did.
        """

    def cancel(self, key: str) -> Booking | None:
        """Cancels what was booked under a key, and has nothing booked under it from now on.

        Returns:
            What was booked and is cancelled; None when nothing was booked.

        Raises:
            CarrierDown: when it is not known whether it did.
        """
