"""The ports of the payment service: what its handlers require from storage and from the payment provider."""

from typing import Protocol

from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import Unanswered
from services.common.values.money import Money
from services.payment.domain import Charge, Payment


class Declined(Exception):
    """The provider declined the charge. The message is the human-readable reason."""


class KeyClosed(Exception):
    """The key was refunded at the provider, which charges nothing under it any more."""


class Unreachable(Unanswered):
    """The provider did not answer. It may have performed the request."""


class NotAsked(Unanswered):
    """The provider was not called: it cannot be reached, or too many earlier calls failed."""


class Payments(Protocol):
    """The payments, one per order."""

    def get(self, order_id: str) -> Payment | None:
        """The payment of an order, as last written, or None if it does not exist."""

    def save(self, payment: Payment, outbox_record: OutboxRecord | None) -> Payment:
        """Writes a payment and its outbox record in one transaction. Returns the payment as written.

        A new payment has version 0.

        Raises:
            Stale: the payment was written since it was read.
        """

    def decide(self, payment: Payment, outbox_record: OutboxRecord | None) -> Payment:
        """As `save`, and deletes the payment token of the order in the same transaction: the charge has been decided."""

    def ping(self) -> None:
        """Raises an exception if payments cannot be read."""


class Provider(Protocol):
    """The payment provider. Every call is idempotent by its key."""

    def charge(self, key: str, amount: Money, token: str) -> Charge:
        """Charges an amount once per key. Repeated calls return the same charge.

        Raises:
            Declined: the provider declined the charge, and will not charge under this key.
            KeyClosed: the key was refunded before anything was charged.
            Unreachable: it is unknown whether the provider charged.
            NotAsked: the provider was not called.
        """

    def refund(self, key: str) -> Charge | None:
        """Refunds everything that was charged under a key, and prevents later charges under it.

        Returns:
            The refunded charge, or None if nothing was charged.

        Raises:
            Unreachable: it is unknown whether the provider refunded.
            NotAsked: the provider was not called.
        """


class Tokens(Protocol):
    """The payment tokens, by the ID of the order. The order service writes them."""

    def find(self, order_id: str) -> str | None:
        """The payment token of an order, or None if it was withdrawn or has expired."""

    def forget(self, order_id: str) -> None:
        """Deletes the payment token of an order. Has no effect if it does not exist."""
