"""The HTTP API of the payment service: schemas of requests and responses, and the handler of each operation."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from services.common.http import web
from services.common.http.auth import Verifier
from services.common.telemetry import logs
from services.common.values import clock
from services.payment import handlers
from services.payment.domain import Outcome, Payment, State
from services.payment.ports import Payments

VERSION = "1.0.0"
TAG = Tag(name="payments", description="Payments of orders")


class Price(BaseModel):
    """An amount of money."""

    amount: int = Field(ge=0, description="Amount in minor units, such as cents", examples=[1299])
    currency: str = Field(
        description="ISO 4217 currency code; XXX if the currency is unknown", examples=["EUR"]
    )


class ChargeAttempt(BaseModel):
    """An attempt to charge the order at the payment provider."""

    at: datetime = Field(description="Time at which the outcome was known")
    outcome: Outcome = Field(description="CHARGED, DECLINED, or UNANSWERED (the provider did not respond)")
    cause: str = Field(description="Human-readable reason for the outcome")


class PaymentOut(BaseModel):
    """The payment of an order."""

    order_id: str = Field(description="ID of the order")
    state: State = Field(
        description="One of PENDING (the charge was requested), CHARGED, DECLINED, UNKNOWN (the provider did not "
        "respond; a refund follows), REFUNDING (the refund was requested) and REFUNDED (any charge was refunded)"
    )
    charged: Price = Field(description="Charged amount; 0 if nothing was charged")
    refunded: Price = Field(description="Refunded amount; 0 if nothing was refunded")
    attempts: list[ChargeAttempt] = Field(description="Attempts to charge the order, oldest first")


class OrderPath(web.Parameters):
    """The order of an operation."""

    order_id: str = Field(max_length=64, description="`id` of an order")


def create(payments: Payments, verifier: Verifier, others: Sequence[APIBlueprint] = ()) -> Flask:
    """The API as a WSGI application.

    Args:
        payments: storage of payments.
        verifier: authenticates callers.
        others: further operations.
    """
    api = web.blueprint("payments", __name__, TAG)

    @api.get(
        "/payments/<string:order_id>",
        summary="Get a payment",
        security=[web.for_customers("orders:read"), web.FOR_MACHINES],
        responses={HTTPStatus.OK: PaymentOut, **web.problems(*web.CLOSED, HTTPStatus.NOT_FOUND)},
    )
    def show_payment(path: OrderPath) -> Response:
        """Returns the payment of an order. Before the stock of the order is reserved, the response is 404."""
        logs.concerns(order_id=path.order_id)
        return web.json_response(
            _payment(handlers.show_payment(path.order_id, web.caller(), payments=payments))
        )

    return web.create_app(
        name="payment",
        version=VERSION,
        apis=[api, *others],
        ready={"payments": payments.ping},
        verifier=verifier,
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
