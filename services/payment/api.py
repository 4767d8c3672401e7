"""The payment service over HTTP: what requests and answers look like, and which handler they go to."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from services.common.http import web
from services.common.http.auth import Verifier
from services.common.values import clock
from services.payment import handlers
from services.payment.domain import Outcome, Payment, State
from services.payment.ports import Payments

VERSION = "1.0.0"
TAG = Tag(name="payments", description="Charges of orders")


class Price(BaseModel):
    """Money."""

    amount: int = Field(ge=0, description="Minor units: cents for EUR", examples=[1299])
    currency: str = Field(description="ISO 4217; XXX when none was ever said", examples=["EUR"])


class ChargeAttempt(BaseModel):
    """That the provider was asked to charge."""

    at: datetime = Field(description="Time at which the outcome was known")
    outcome: Outcome
    cause: str = Field(description="Human-readable cause")


class PaymentOut(BaseModel):
    """What an order was charged, and what of that was given back."""

    order_id: str
    state: State = Field(
        description="PENDING (the provider is being asked), CHARGED, DECLINED, UNKNOWN (it did not respond; "
        "a refund follows), REFUNDING (it is being asked to give back), or REFUNDED (nothing is charged any more)"
    )
    charged: Price
    refunded: Price
    attempts: list[ChargeAttempt] = Field(description="Oldest first")


class OrderPath(web.Parameters):
    """Which order."""

    order_id: str = Field(max_length=64, description="The `id` of an order")


def create(payments: Payments, verifier: Verifier) -> Flask:
    """The API.

    Args:
        payments: where payments are kept.
        verifier: finds out who asks.
    """
    api = web.blueprint("payments", __name__, TAG)

    @api.get(
        "/payments/<string:order_id>",
        summary="Follow a payment",
        security=[web.for_customers("orders:read"), web.FOR_MACHINES],
        responses={HTTPStatus.OK: PaymentOut, **web.problems(*web.CLOSED, HTTPStatus.NOT_FOUND)},
    )
    def show_payment(path: OrderPath) -> Response:
        """The payment of an order; 404 until its stock is reserved."""
        web.bind(order_id=path.order_id)
        return web.json_response(
            _payment(handlers.show_payment(path.order_id, web.caller(), payments=payments))
        )

    return web.create_app(
        name="payment", version=VERSION, apis=[api], ready={"payments": payments.ping}, verifier=verifier
    )


def _payment(payment: Payment) -> dict[str, Any]:
    return {
        "order_id": payment.order_id,
        "state": payment.state.value,
        "charged": payment.money_charged.to_dict(),
        "refunded": payment.money_refunded.to_dict(),
        "attempts": [
            {"at": clock.rfc3339(attempt.at), "outcome": attempt.outcome.value, "cause": attempt.cause}
            for attempt in payment.attempts
        ],
    }
