"""The metrics of stock."""

from typing import Final

from services.common.telemetry.metrics import counter
from services.product.domain import Reservation

RESERVATIONS = counter(
    "stock_reservations_total",
    "Reservations requested: `reserved`, `out_of_stock` or `unknown_product`.",
    ["outcome"],
    dimensions=(("outcome",),),
)
_OUTCOMES: Final = {None: "reserved", "OutOfStock": "out_of_stock", "UnknownProduct": "unknown_product"}


def note_reserved(reservation: Reservation) -> None:
    """Counts a reservation that has just been decided."""
    RESERVATIONS.labels(_OUTCOMES.get(reservation.error, "other")).inc()
