"""The messages that the order service sends and receives. The JSON Schemas in `contracts` define their structure."""

from collections.abc import Mapping
from typing import Any

from services.common.messaging import cause
from services.common.messaging.events import Event
from services.common.messaging.outbox import FACT, OutboxMessage, OutboxRecord, of_fact
from services.common.values import clock, typed
from services.common.values.clock import Clock
from services.common.values.money import Money
from services.order.domain import Order, Product, State, Step, latest_version

SOURCE = "/order"
WORKFLOW = "workflow"
ENDS = {
    State.SHIPPED: "shop.order.shipped.v1",
    State.REJECTED: "shop.order.rejected.v1",
    State.CANCELLED: "shop.order.cancelled.v1",
}


def acceptance(order: Order) -> OutboxRecord:
    """The outbox record of a new order: the input of its workflow, and the event shop.order.accepted.v1."""
    return OutboxRecord(
        (
            OutboxMessage(WORKFLOW, workflow_input(order)),
            OutboxMessage(FACT, accepted(order).to_dict()),
        )
    )


def workflow_input(order: Order) -> dict[str, Any]:
    """The input of the state machine. It does not contain the payment token, see `ports.Orders.accept`."""
    return {
        "order_id": order.id,
        "customer_id": order.customer_id,
        "items": [{"sku": line.sku, "quantity": line.quantity} for line in order.lines],
        "total": order.total.to_dict(),
        "shipping_address": order.address.to_dict(),
        "traceparent": cause.current(),
    }


def accepted(order: Order) -> Event:
    """shop.order.accepted.v1."""
    return Event(
        type="shop.order.accepted.v1",
        source=SOURCE,
        subject=order.id,
        id=f"{order.id}-accepted",
        time=order.created_at,
        data={
            "order_id": order.id,
            "customer_id": order.customer_id,
            "items": [line.to_dict() for line in order.lines],
            "total": order.total.to_dict(),
        },
    )


def end(order: Order) -> OutboxRecord:
    """The outbox record of an order that has ended: shop.order.shipped.v1, .rejected.v1 or .cancelled.v1."""
    last = order.timeline[-1]
    fact = Event(
        type=ENDS[last.state],
        source=SOURCE,
        subject=order.id,
        id=f"{order.id}-{last.state.lower()}",
        time=last.at,
        data={"order_id": order.id, "customer_id": order.customer_id, **_how_it_ended(order, last)},
    )
    return of_fact(fact)


def _how_it_ended(order: Order, last: Step) -> dict[str, Any]:
    if last.state is State.SHIPPED:
        return {"tracking_number": order.tracking_number}
    refunded = order.refunded or Money(0, order.total.currency)
    return {"cause": last.cause, "refunded": refunded.to_dict()}


def product(event: Mapping[str, Any], now: Clock = clock.now) -> Product:
    """The product in a shop.product.upserted.v1 event.

    Raises:
        KeyError, TypeError, ValueError: the event violates its contract.
    """
    data = Event.from_dict(event).data
    sku, name = typed.text(data["sku"]), typed.text(data["name"])
    version = typed.whole(
        data.get("version", 0)
    )  # an earlier version of the product service sends no version
    if not sku or not name:
        raise ValueError("the product's SKU or name is empty")
    if not 0 <= version <= latest_version(now()):
        raise ValueError(f"the product's version is negative or too far in the future: {version}")
    return Product(sku, name, Money.from_dict(data["price"]), version)
