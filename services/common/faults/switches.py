"""The faults, and the ports by which they are read and switched, without I/O."""

from enum import StrEnum
from typing import Protocol


class Fault(StrEnum):
    """A fault. The value is the key of its flag."""

    PAYMENT_SLOW = "payment-slow"
    """The payment provider takes seconds to answer: `services.payment.faults`."""
    PAYMENT_DECLINED = "payment-declined"
    """The payment provider declines every charge: `services.payment.faults`."""
    PAYMENT_AWAY = "payment-away"
    """The payment provider cannot be reached: `services.payment.faults`."""
    CARRIER_REFUSES = "carrier-refuses"
    """The carrier refuses every parcel: `services.shipping.faults`."""
    EVENTS_LATE = "events-late"
    """The topics accept an event half a minute late: `services.common.faults.late`."""


class Faults(Protocol):
    """Whether faults are on, for the adapters that cause them."""

    def is_on(self, fault: Fault) -> bool:
        """Whether a fault is on, as of a second ago. False if that cannot be read."""


class Switchboard(Protocol):
    """The switches of all faults. Every method raises `Unavailable` if they cannot be read or changed."""

    def on(self) -> frozenset[Fault]:
        """The faults that are on."""

    def turn_on(self, fault: Fault) -> None:
        """Switches a fault on. Has no effect if it is on."""

    def turn_off(self, *faults: Fault) -> None:
        """Switches faults off. Has no effect on those that are off."""
