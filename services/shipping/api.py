"""The shipping service over HTTP: what requests and answers look like, and which handler they go to."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from services.common.http import web
from services.common.http.auth import Verifier
from services.common.values import clock
from services.shipping import handlers
from services.shipping.domain import Shipment, State
from services.shipping.ports import Shipments

VERSION = "1.0.0"
TAG = Tag(name="shipments", description="What is on its way")


class ShipmentOut(BaseModel):
    """The shipment of an order."""

    order_id: str
    state: State = Field(
        description="PENDING (the carrier is being asked), BOOKED, REFUSED (by the carrier), CANCELLING, or CANCELLED"
    )
    tracking_number: str | None = Field(description="The carrier's, if it was ever booked")
    booked_at: datetime | None = Field(description="When it was booked, if ever")
    cause: str | None = Field(description="Why it was refused")


class OrderPath(web.Parameters):
    """Which order."""

    order_id: str = Field(max_length=64, description="The `id` of an order")


def create(shipments: Shipments, verifier: Verifier) -> Flask:
    """The API.

    Args:
        shipments: where shipments are kept.
        verifier: finds out who asks.
    """
    api = web.blueprint("shipments", __name__, TAG)

    @api.get(
        "/shipments/<string:order_id>",
        summary="Follow a shipment",
        security=[web.for_customers("orders:read"), web.FOR_MACHINES],
        responses={HTTPStatus.OK: ShipmentOut, **web.problems(*web.CLOSED, HTTPStatus.NOT_FOUND)},
    )
    def show_shipment(path: OrderPath) -> Response:
        """The shipment of an order; 404 until the order is paid."""
        web.bind(order_id=path.order_id)
        shipment = handlers.show_shipment(path.order_id, web.caller(), shipments=shipments)
        return web.json_response(_shipment(shipment))

    return web.create_app(
        name="shipping", version=VERSION, apis=[api], ready={"shipments": shipments.ping}, verifier=verifier
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
