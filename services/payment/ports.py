"""What the payment service needs from the outside, as its handlers see it."""

from typing import Protocol

from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import Unanswered
from services.common.values.money import Money
from services.payment.domain import Charge, Payment


class Declined(Exception):
    """The provider says no, and has charged nothing; the message is the reason for people."""


class KeyClosed(Exception):
    """What the key stands for was refunded at the provider, who charges nothing under it any more."""


class Unreachable(Unanswered):
    """The provider did not answer. It may have done what it was asked."""


class NotAsked(Unanswered):
    """The provider was not asked: it has not answered too often before. It has done nothing."""


class Payments(Protocol):
    """The payments, one per order."""

    def get(self, order_id: str) -> Payment | None:
        """The payment as it was last written."""

    def save(self, payment: Payment, told: OutboxRecord | None) -> Payment:
        """Writes a payment and what is to be told of it: both or nothing. Answers it as written.

        One that was never written has version 0.

        Raises:
            Stale: when it is not the version that was read.
        """

    def ping(self) -> None:
        """Returns when payments can be read, raises otherwise."""


class Provider(Protocol):
    """Whoever moves the money. Every call is safe to repeat: the key makes it the same call."""

    def charge(self, key: str, amount: Money, token: str) -> Charge:
        """Charges; the same key is charged once, and answered the same.

        Raises:
            Declined: when it does not, now or ever under this key.
            KeyClosed: when it was refunded before anything was charged.
            Unreachable: when it is not known whether it did.
            NotAsked: when it did nothing.
        """

    def refund(self, key: str) -> Charge | None:
        """Gives back all that was charged under a key, and has nothing charged under it from now on.

        Returns:
            What was charged and is given back; None when nothing was charged.

        Raises:
            Unreachable: when it is not known whether it did.
            NotAsked: when it did nothing.
        """


class Tokens(Protocol):
    """What pays for orders: a token under each order's id, which the order service leaves."""

    def find(self, order_id: str) -> str | None:
        """The token of an order, while it is kept."""

    def forget(self, order_id: str) -> None:
        """Removes the token of an order; does nothing when there is none."""
