"""The messages that the shipping service sends and receives. The JSON Schemas in `contracts` define their structure."""

from collections.abc import Mapping
from typing import Any

from services.common.messaging.events import Event
from services.shipping.domain import Address, Item, Parcel, Shipment, State

SOURCE = "/shipping"


def booking_facts(shipment: Shipment) -> list[Event]:
    """The events of CreateShipment: shop.shipment.booked.v1, shop.shipment.refused.v1, or none."""
    if shipment.state is State.BOOKED and shipment.booking:
        return [_fact("booked", shipment, {"tracking_number": shipment.booking.tracking_number})]
    if shipment.state is State.REFUSED:
        return [_fact("refused", shipment, {"cause": shipment.cause})]
    return []


def cancellation_facts(shipment: Shipment) -> list[Event]:
    """The events of CancelShipment: shop.shipment.cancelled.v1, or none if nothing was booked."""
    if shipment.booking is None:
        return []
    return [_fact("cancelled", shipment, {"tracking_number": shipment.booking.tracking_number})]


def parcel(task: Mapping[str, Any]) -> Parcel:
    """The parcel of a CreateShipment task.

    Raises:
        KeyError: the task violates its contract.
    """
    return Parcel(
        tuple(Item(item["sku"], item["quantity"]) for item in task["items"]),
        Address.from_dict(task["shipping_address"]),
    )


def _fact(what: str, shipment: Shipment, data: Mapping[str, Any]) -> Event:
    return Event(
        type=f"shop.shipment.{what}.v1",
        source=SOURCE,
        subject=shipment.order_id,
        id=f"{shipment.order_id}-shipment-{what}",
        time=shipment.decided_at,
        data={"order_id": shipment.order_id, **data},
    )
