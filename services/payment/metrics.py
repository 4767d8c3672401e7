"""The metrics of payments."""

from prometheus_client import Counter

from services.common.telemetry.metrics import Bounded, counter
from services.common.values.money import Money
from services.payment.domain import Payment

DECIDED = counter(
    "payments_decided_total",
    "Charges decided: `charged`, `declined`, or `unknown` if the provider did not answer.",
    ["outcome"],
    dimensions=(("outcome",),),
)
CHARGED = counter(
    "payment_charged_minor_units_total",
    "Money charged, in minor units of the currency, such as cents.",
    ["currency"],
    dimensions=(("currency",),),
)
REFUNDED = counter(
    "payment_refunded_minor_units_total",
    "Money refunded, in minor units of the currency, such as cents.",
    ["currency"],
    dimensions=(("currency",),),
)
# A shop has prices in few currencies. The sum of further ones has no unit, but shows that there are some.
_currency = Bounded(16)


def note_decided(payment: Payment) -> None:
    """Counts a payment whose charge has just been decided."""
    DECIDED.labels(payment.state.value.lower()).inc()
    _add(CHARGED, payment.money_charged)


def note_refunded(payment: Payment) -> None:
    """Counts a payment that has just been refunded."""
    _add(REFUNDED, payment.money_refunded)


def _add(total: Counter, money: Money) -> None:
    if money.amount:
        total.labels(_currency(money.currency)).inc(money.amount)
