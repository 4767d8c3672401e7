"""The use cases of the payment service: one idempotent function for each request and task.

A task commits its state together with its outbox record, and then returns its result. If the process crashes in between, the
task is delivered again, finds the committed state, and returns the same result. Publishing the event is left to the outbox,
and neither delays nor fails the task.
"""

from services.common.messaging.outbox import of_facts
from services.common.runtime.retrying import retry_on_stale
from services.common.telemetry import logs
from services.common.values import clock
from services.common.values.caller import Caller
from services.common.values.clock import Clock
from services.common.values.errors import NotFound, Stale
from services.common.values.ids import shown
from services.common.values.money import Money
from services.payment import domain, messages, metrics
from services.payment.domain import Charge, OrderClosed, Payment, State
from services.payment.ports import Declined, KeyClosed, Payments, Provider, Unreachable

log = logs.logger(__name__)


class NoPayment(NotFound):
    """The order has no payment."""

    def __init__(self, order_id: str) -> None:
        super().__init__(
            f"payment of order {shown(order_id)} not found; a payment exists once the stock of the order is reserved"
        )


def show_payment(order_id: str, caller: Caller, *, payments: Payments) -> Payment:
    """The payment of an order.

    Raises:
        NoPayment: it does not exist, or the caller may not see it.
    """
    payment = payments.get(order_id)
    if payment is None or not caller.may_see(payment.customer_id):
        raise NoPayment(order_id)
    return payment


def charge_payment(
    order_id: str,
    customer_id: str,
    amount: Money,
    token: str | None,
    *,
    payments: Payments,
    provider: Provider,
    now: Clock = clock.now,
) -> Charge:
    """The task ChargePayment: charges the order once. The token is None if it was withdrawn or has expired.

    Raises:
        PaymentDeclined, PaymentUnknown, OrderClosed: the order is not known to be charged.
        NotAsked: the provider was not called. The same task may succeed later.
        Contradiction: a different amount was requested before.
    """

    def charge() -> Payment:
        if token is not None:
            payment = _begun(domain.begun(order_id, customer_id, amount), payments)
        elif (found := payments.get(order_id)) is not None:
            payment = found
        else:
            # The order service withdraws the token of an order that is being undone.
            raise OrderClosed("the payment token was withdrawn or expired before the charge")
        payment.check_charge(amount)
        if payment.state is State.PENDING:
            payment = _asked(payment, amount, token, provider, now)
            payment = payments.decide(payment, of_facts(messages.charge_facts(payment)))
            metrics.note_decided(payment)
            log.info("payment_decided", state=payment.state.value)
        return payment

    return retry_on_stale(charge, _subject(order_id)).receipt()


def refund_payment(
    order_id: str,
    customer_id: str,
    *,
    payments: Payments,
    provider: Provider,
    now: Clock = clock.now,
) -> Money:
    """The task RefundPayment: refunds exactly what the provider charged, and prevents any later charge.

    Returns:
        The refunded amount; 0 if nothing was charged.

    Raises:
        Unreachable, NotAsked: the provider did not answer. The same task may succeed later.
    """

    def refund() -> Money:
        payment = payments.get(order_id) or domain.begun(order_id, customer_id, None)
        if not payment.state.is_closed:
            payment = payments.save(payment.closed(), None)
        if payment.state is State.REFUNDING:
            payment = payment.refund(provider.refund(order_id), now())
            payment = payments.save(payment, of_facts(messages.refund_facts(payment)))
            metrics.note_refunded(payment)
            log.info("payment_refunded", refunded=payment.money_refunded.to_dict())
        return payment.money_refunded

    return retry_on_stale(refund, _subject(order_id))


def _begun(new: Payment, payments: Payments) -> Payment:
    """The payment of the order, which usually is a new one: it is written without being read before."""
    try:
        return payments.save(new, None)
    except Stale:
        known = payments.get(new.order_id)
        if known is None:
            raise
        return known


def _asked(payment: Payment, amount: Money, token: str | None, provider: Provider, now: Clock) -> Payment:
    """The payment after a call of the provider. A payment that was already begun is requested again under the same key."""
    if token is None:
        # An earlier call may have charged the order: the refund finds out.
        return payment.unanswered("the payment token was withdrawn or has expired", now())
    try:
        charge = provider.charge(payment.order_id, amount, token)
    except Declined as declined:
        return payment.declined(str(declined), now())
    except KeyClosed as closed:
        raise OrderClosed from closed
    except Unreachable as unreachable:
        return payment.unanswered(str(unreachable), now())
    return payment.charged(charge, now())


def _subject(order_id: str) -> str:
    return f"the payment of order {order_id}"
