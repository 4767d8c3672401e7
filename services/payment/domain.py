"""The states of a payment, and the transitions between them.

    PENDING → CHARGED, DECLINED or UNKNOWN
       any of these states, or no payment → REFUNDING → REFUNDED

PENDING and REFUNDING are written before the provider is called, so that a call is known even after a crash. UNKNOWN means that
the provider did not answer, so that only the provider knows whether it charged. From REFUNDING on, the order is closed. This
also applies to an order without a payment, because its charge may still be queued.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.common.values.errors import PermanentError, TaskFailed
from services.common.values.money import Money


class State(StrEnum):
    """The state of a payment."""

    PENDING = "PENDING"
    CHARGED = "CHARGED"
    DECLINED = "DECLINED"
    UNKNOWN = "UNKNOWN"
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"

    @property
    def is_closed(self) -> bool:
        """Whether the order is closed, so that nothing can be charged any more."""
        return self in {State.REFUNDING, State.REFUNDED}


class Outcome(StrEnum):
    """The outcome of an attempt to charge."""

    CHARGED = "CHARGED"
    DECLINED = "DECLINED"
    UNANSWERED = "UNANSWERED"


class PaymentDeclined(TaskFailed):
    """The provider declined the charge."""

    def __init__(self, cause: str) -> None:
        super().__init__("PaymentDeclined", cause)


class PaymentUnknown(TaskFailed):
    """The provider did not answer, so that it is unknown whether it charged."""

    def __init__(self) -> None:
        super().__init__("PaymentUnknown", "the payment provider did not answer whether it charged the order")


class OrderClosed(TaskFailed):
    """The order was closed before it was charged."""

    def __init__(self, cause: str = "the order was already refunded") -> None:
        super().__init__("OrderClosed", cause)


class Contradiction(PermanentError):
    """Two different amounts were requested for one order. This is a defect that an operator has to investigate."""


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge of the provider."""

    payment_id: str
    amount: Money
    charged_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to charge: the time at which the outcome was known, the outcome, and a human-readable reason."""

    at: datetime
    outcome: Outcome
    cause: str


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment of an order. Immutable: every change returns a new payment. It does not contain the payment token.

    Args:
        order_id: ID of the order, which is also the idempotency key at the provider.
        customer_id: ID of the customer who placed the order.
        amount: amount to charge; None if the order was closed before a charge was requested.
        charge: charge of the provider.
        refunded: refunded amount.
        version: number of writes, which protects against lost updates.
    """

    order_id: str
    state: State
    customer_id: str
    amount: Money | None = None
    charge: Charge | None = None
    refunded: Money | None = None
    refunded_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    version: int = 0

    def check_charge(self, amount: Money) -> None:
        """Checks that a requested charge matches this payment.

        Raises:
            OrderClosed: the order is closed.
            Contradiction: the amount differs.
        """
        if self.state.is_closed:
            raise OrderClosed
        if self.amount != amount:
            raise Contradiction(f"order {self.order_id} has a charge of {self.amount}, not of {amount}")

    def charged(self, charge: Charge, at: datetime) -> "Payment":
        """The payment after the provider charged."""
        attempt = Attempt(at, Outcome.CHARGED, f"charged as {charge.payment_id}")
        return replace(self, state=State.CHARGED, charge=charge, attempts=(*self.attempts, attempt))

    def declined(self, cause: str, at: datetime) -> "Payment":
        """The payment after the provider declined."""
        attempt = Attempt(at, Outcome.DECLINED, cause)
        return replace(self, state=State.DECLINED, attempts=(*self.attempts, attempt))

    def unanswered(self, cause: str, at: datetime) -> "Payment":
        """The payment after the provider did not answer."""
        attempt = Attempt(at, Outcome.UNANSWERED, cause)
        return replace(self, state=State.UNKNOWN, attempts=(*self.attempts, attempt))

    def closed(self) -> "Payment":
        """The payment before the provider is called to refund it."""
        return replace(self, state=State.REFUNDING)

    def refund(self, charge: Charge | None, at: datetime) -> "Payment":
        """The payment after the provider refunded its charge, if there was one."""
        if charge is None:
            return replace(self, state=State.REFUNDED, refunded_at=at)
        return replace(self, state=State.REFUNDED, charge=charge, refunded=charge.amount, refunded_at=at)

    @property
    def currency(self) -> str:
        """ISO 4217 code; XXX ("no currency") if the order was closed before a charge was requested."""
        return self.amount.currency if self.amount else "XXX"

    @property
    def money_charged(self) -> Money:
        """The charged amount; 0 if nothing was charged."""
        return self.charge.amount if self.charge else Money(0, self.currency)

    @property
    def money_refunded(self) -> Money:
        """The refunded amount; 0 if nothing was refunded."""
        return self.refunded or Money(0, self.currency)

    def receipt(self) -> Charge:
        """The charge of the order.

        Raises:
            PaymentDeclined, PaymentUnknown, OrderClosed: there is no known charge.
        """
        if self.state.is_closed:
            raise OrderClosed
        if self.state is State.DECLINED:
            raise PaymentDeclined(self.attempts[-1].cause)
        if self.charge is None:
            raise PaymentUnknown
        return self.charge


def begun(order_id: str, customer_id: str, amount: Money | None) -> Payment:
    """A new payment, before the provider is called."""
    return Payment(order_id, State.PENDING, customer_id, amount)
