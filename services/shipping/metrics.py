"""The metrics of shipments."""

from services.common.telemetry.metrics import counter
from services.shipping.domain import Shipment

DECIDED = counter(
    "shipments_decided_total",
    "Shipments decided: `booked`, or `refused` by the carrier.",
    ["outcome"],
    dimensions=(("outcome",),),
)


def note_decided(shipment: Shipment) -> None:
    """Counts a shipment that has just been decided."""
    DECIDED.labels(shipment.state.value.lower()).inc()
