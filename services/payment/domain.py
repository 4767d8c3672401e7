"""What a payment is, and what can become of it.

    PENDING → CHARGED, DECLINED or UNKNOWN
       any of these, or nothing → REFUNDING → REFUNDED

PENDING and REFUNDING are written before the provider is asked, so that whatever happens afterwards it is known that it
may have been. UNKNOWN means that it did not answer: only the provider can tell whether it charged. From REFUNDING on the
order is closed: also one that nobody has asked to charge yet, for the charge may still be on its way here.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.common.values.errors import PermanentError, TaskFailed
from services.common.values.money import Money


class State(StrEnum):
    """Where a payment is."""

    PENDING = "PENDING"
    CHARGED = "CHARGED"
    DECLINED = "DECLINED"
    UNKNOWN = "UNKNOWN"
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"

    @property
    def is_closed(self) -> bool:
        """Whether nothing is charged from it on."""
        return self in {State.REFUNDING, State.REFUNDED}


class Outcome(StrEnum):
    """What one attempt to charge came to."""

    CHARGED = "CHARGED"
    DECLINED = "DECLINED"
    UNANSWERED = "UNANSWERED"


class PaymentDeclined(TaskFailed):
    """The provider said no, and charged nothing."""

    def __init__(self, cause: str) -> None:
        super().__init__("PaymentDeclined", cause)


class PaymentUnknown(TaskFailed):
    """The provider did not say whether it charged."""

    def __init__(self) -> None:
        super().__init__("PaymentUnknown", "the payment provider did not say whether it charged")


class OrderClosed(TaskFailed):
    """The order was given up before it was charged."""

    def __init__(self, cause: str = "the order was refunded before") -> None:
        super().__init__("OrderClosed", cause)


class Contradiction(PermanentError):
    """One order is to be charged two amounts: a defect, for people to look at."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What the provider took."""

    payment_id: str
    amount: Money
    charged_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """That the provider was asked to charge, when it was known what came of it, and why, for people."""

    at: datetime
    outcome: Outcome
    cause: str


@dataclass(frozen=True, slots=True)
class Payment:
    """An order's payment. Every change makes a new one. What pays is not in it: that is the provider's.

    Args:
        order_id: also its idempotency key at the provider.
        customer_id: whose order it is; None for a workflow that began before its tasks named one.
        amount: what is to be charged; None when the order was given up before it was to be.
        charge: what was charged.
        refunded: what was given back.
        version: how often it was written; the store's guard against lost updates.
    """

    order_id: str
    state: State
    customer_id: str | None = None
    amount: Money | None = None
    charge: Charge | None = None
    refunded: Money | None = None
    refunded_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    version: int = 0

    def check_charge(self, amount: Money) -> None:
        """Checks that a charge of the order is of this payment.

        Raises:
            OrderClosed: when it was given up.
            Contradiction: when it is of another amount.
        """
        if self.state.is_closed:
            raise OrderClosed
        if self.amount != amount:
            raise Contradiction(f"order {self.order_id} is charged {self.amount}, and now {amount}")

    def charged(self, charge: Charge, at: datetime) -> "Payment":
        """The payment after the provider has charged."""
        attempt = Attempt(at, Outcome.CHARGED, f"charged as {charge.payment_id}")
        return replace(self, state=State.CHARGED, charge=charge, attempts=(*self.attempts, attempt))

    def declined(self, cause: str, at: datetime) -> "Payment":
        """The payment after the provider has declined."""
        attempt = Attempt(at, Outcome.DECLINED, cause)
        return replace(self, state=State.DECLINED, attempts=(*self.attempts, attempt))

    def unanswered(self, cause: str, at: datetime) -> "Payment":
        """The payment after the provider has not answered."""
        attempt = Attempt(at, Outcome.UNANSWERED, cause)
        return replace(self, state=State.UNKNOWN, attempts=(*self.attempts, attempt))

    def closed(self) -> "Payment":
        """The payment that the provider is about to be asked to give back."""
        return replace(self, state=State.REFUNDING)

    def refund(self, charge: Charge | None, at: datetime) -> "Payment":
        """The payment after the provider has given back all that it charged, which may be nothing."""
        if charge is None:
            return replace(self, state=State.REFUNDED, refunded_at=at)
        return replace(self, state=State.REFUNDED, charge=charge, refunded=charge.amount, refunded_at=at)

    @property
    def currency(self) -> str:
        """ISO 4217 code; XXX, which stands for none there, when the order was given up before any was said."""
        return self.amount.currency if self.amount else "XXX"

    @property
    def money_charged(self) -> Money:
        """What was charged, 0 if nothing."""
        return self.charge.amount if self.charge else Money(0, self.currency)

    @property
    def money_refunded(self) -> Money:
        """What was given back, 0 if nothing."""
        return self.refunded or Money(0, self.currency)

    def receipt(self) -> Charge:
        """What was charged.

        Raises:
            PaymentDeclined, PaymentUnknown, OrderClosed: why nothing was, as far as is known.
        """
        if self.state.is_closed:
            raise OrderClosed
        if self.state is State.DECLINED:
            raise PaymentDeclined(self.attempts[-1].cause)
        if self.charge is None:
            raise PaymentUnknown
        return self.charge


def begun(order_id: str, customer_id: str | None, amount: Money | None) -> Payment:
    """The payment that the provider is about to be asked about."""
    return Payment(order_id, State.PENDING, customer_id, amount)
