"""Every message that the payment service sends or understands.

The shapes are the JSON Schemas in `contracts`; whoever changes one here changes it there.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.common.messaging.events import Event
from services.payment.domain import Payment, State

SOURCE = "/payment"


def charge_facts(payment: Payment) -> list[Event]:
    """What ChargePayment tells: shop.payment.charged.v1, shop.payment.declined.v1, or nothing while nobody knows."""
    if payment.state is State.CHARGED and payment.charge:
        charge = payment.charge
        data = {"payment_id": charge.payment_id, "amount": charge.amount.to_dict()}
        return [_fact("charged", payment, charge.charged_at, data)]
    if payment.state is State.DECLINED and payment.amount:
        last = payment.attempts[-1]
        return [
            _fact("declined", payment, last.at, {"amount": payment.amount.to_dict(), "cause": last.cause})
        ]
    return []


def refund_facts(payment: Payment) -> list[Event]:
    """What RefundPayment tells: shop.payment.refunded.v1, or nothing when nothing was charged."""
    if payment.charge is None or payment.refunded is None or payment.refunded_at is None:
        return []
    data = {"payment_id": payment.charge.payment_id, "amount": payment.refunded.to_dict()}
    return [_fact("refunded", payment, payment.refunded_at, data)]


def _fact(what: str, payment: Payment, at: datetime, data: Mapping[str, Any]) -> Event:
    return Event(
        type=f"shop.payment.{what}.v1",
        source=SOURCE,
        subject=payment.order_id,
        id=f"{payment.order_id}-payment-{what}",
        time=at,
        data={"order_id": payment.order_id, **data},
    )
