"""The messages that the payment service sends and receives. The JSON Schemas in `contracts` define their structure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.common.messaging.events import Event
from services.payment.domain import Payment, State

SOURCE = "/payment"


def charge_facts(payment: Payment) -> list[Event]:
    """The events of ChargePayment: shop.payment.charged.v1 or shop.payment.declined.v1; none if the outcome is unknown."""
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
    """The events of RefundPayment: shop.payment.refunded.v1, or none if nothing was charged."""
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
