"""The use cases of the shipping service: one idempotent function for each request and task.

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
from services.shipping import domain, messages, metrics
from services.shipping.domain import Booking, OrderClosed, Parcel, Shipment, State
from services.shipping.ports import Carrier, KeyClosed, Refused, Shipments

log = logs.logger(__name__)


class NoShipment(NotFound):
    """The order has no shipment."""

    def __init__(self, order_id: str) -> None:
        super().__init__(
            f"shipment of order {shown(order_id)} not found; a shipment exists once the order is paid"
        )


def show_shipment(order_id: str, caller: Caller, *, shipments: Shipments) -> Shipment:
    """The shipment of an order.

    Raises:
        NoShipment: it does not exist, or the caller may not see it.
    """
    shipment = shipments.get(order_id)
    if shipment is None or not caller.may_see(shipment.customer_id):
        raise NoShipment(order_id)
    return shipment


def create_shipment(
    order_id: str,
    customer_id: str,
    parcel: Parcel,
    *,
    shipments: Shipments,
    carrier: Carrier,
    now: Clock = clock.now,
) -> Booking:
    """The task CreateShipment: books the parcel once.

    Raises:
        ShipmentRefused, OrderClosed: the parcel is not booked.
        CarrierDown: the carrier did not answer. The same task may succeed later.
    """

    def book() -> Shipment:
        shipment = _begun(domain.begun(order_id, customer_id, now()), shipments)
        if shipment.state is State.PENDING:
            shipment = _asked(shipment, parcel, carrier, now)
            shipment = shipments.save(shipment, of_facts(messages.booking_facts(shipment)))
            metrics.note_decided(shipment)
            log.info("shipment_decided", state=shipment.state.value)
        return shipment

    return retry_on_stale(book, _subject(order_id)).receipt()


def cancel_shipment(
    order_id: str,
    customer_id: str,
    *,
    shipments: Shipments,
    carrier: Carrier,
    now: Clock = clock.now,
) -> bool:
    """The task CancelShipment: cancels the booking, and prevents any later booking. Returns whether there was one.

    Raises:
        CarrierDown: the carrier did not answer. The same task may succeed later.
    """

    def cancel() -> bool:
        shipment = shipments.get(order_id) or domain.begun(order_id, customer_id, now())
        if not shipment.state.is_closed:
            shipment = shipments.save(shipment.closed(now()), None)
        if shipment.state is State.CANCELLING:
            shipment = shipment.cancelled(carrier.cancel(order_id), now())
            shipment = shipments.save(shipment, of_facts(messages.cancellation_facts(shipment)))
            log.info("shipment_cancelled", booked=shipment.booking is not None)
        return shipment.booking is not None

    return retry_on_stale(cancel, _subject(order_id))


def _begun(new: Shipment, shipments: Shipments) -> Shipment:
    """The shipment of the order, which usually is a new one: it is written without being read before."""
    try:
        return shipments.save(new, None)
    except Stale:
        known = shipments.get(new.order_id)
        if known is None:
            raise
        return known


def _asked(shipment: Shipment, parcel: Parcel, carrier: Carrier, now: Clock) -> Shipment:
    """The shipment after a call of the carrier. A shipment that was already begun is requested again under the same key."""
    try:
        return shipment.booked(carrier.book(shipment.order_id, parcel))
    except Refused as refused:
        return shipment.refused(str(refused), now())
    except KeyClosed as closed:
        raise OrderClosed from closed


def _subject(order_id: str) -> str:
    return f"the shipment of order {order_id}"
