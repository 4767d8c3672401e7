"""The HTTP API of the shipping service: schemas of requests and responses, and the handler of each operation."""

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
from services.shipping import handlers
from services.shipping.domain import Shipment, State
from services.shipping.ports import Shipments

VERSION = "1.0.0"
TAG = Tag(name="shipments", description="Shipments of orders")


class ShipmentOut(BaseModel):
    """The shipment of an order."""

    order_id: str = Field(description="ID of the order")
    state: State = Field(
        description="One of PENDING (the booking was requested), BOOKED, REFUSED (by the carrier), CANCELLING (the "
        "cancellation was requested) and CANCELLED"
    )
    tracking_number: str | None = Field(
        description="Tracking number of the carrier; null if the shipment was never booked"
    )
    booked_at: datetime | None = Field(
        description="Time of the booking; null if the shipment was never booked"
    )
    cause: str | None = Field(description="Human-readable reason of the refusal; null if it was not refused")


class OrderPath(web.Parameters):
    """The order of an operation."""

    order_id: str = Field(max_length=64, description="`id` of an order")


def create(shipments: Shipments, verifier: Verifier, others: Sequence[APIBlueprint] = ()) -> Flask:
    """The API as a WSGI application.

    Args:
        shipments: storage of shipments.
        verifier: authenticates callers.
        others: further operations.
    """
    api = web.blueprint("shipments", __name__, TAG)

    @api.get(
        "/shipments/<string:order_id>",
        summary="Get a shipment",
        security=[web.for_customers("orders:read"), web.FOR_MACHINES],
        responses={HTTPStatus.OK: ShipmentOut, **web.problems(*web.CLOSED, HTTPStatus.NOT_FOUND)},
    )
    def show_shipment(path: OrderPath) -> Response:
        """Returns the shipment of an order. Before the order is paid, the response is 404."""
        logs.concerns(order_id=path.order_id)
        shipment = handlers.show_shipment(path.order_id, web.caller(), shipments=shipments)
        return web.json_response(_shipment(shipment))

    return web.create_app(
        name="shipping",
        version=VERSION,
        apis=[api, *others],
        ready={"shipments": shipments.ping},
        verifier=verifier,
    )


def _shipment(shipment: Shipment) -> dict[str, Any]:
    booking = shipment.booking
    return {
        "order_id": shipment.order_id,
        "state": shipment.state.value,
        "tracking_number": booking.tracking_number if booking else None,
        "booked_at": clock.rfc3339(booking.booked_at) if booking else None,
        "cause": shipment.cause,
    }
