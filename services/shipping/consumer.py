"""The consumer process of the shipping service: handles the workflow's tasks and publishes events from the outbox.

Run it with `python -m services.shipping.consumer`.
"""

from collections.abc import Mapping
from typing import Any

from services.common.aws.consumer_process import run_tasks
from services.common.messaging.consumer import Handler
from services.common.messaging.tasks import TaskAnswers, answering
from services.common.values import clock
from services.shipping import app, handlers, messages
from services.shipping.config import Settings
from services.shipping.ports import Carrier, Shipments

Message = Mapping[str, Any]


def tasks(shipments: Shipments, carrier: Carrier, answers: TaskAnswers) -> dict[str, Handler]:
    """The handlers of the workflow's tasks, by task name."""

    def create(task: Message) -> dict[str, Any]:
        booking = handlers.create_shipment(
            task["order_id"],
            task["customer_id"],
            messages.parcel(task),
            shipments=shipments,
            carrier=carrier,
        )
        return {
            "tracking_number": booking.tracking_number,
            "booked_at": clock.rfc3339(booking.booked_at),
        }

    def cancel(task: Message) -> dict[str, Any]:
        cancelled = handlers.cancel_shipment(
            task["order_id"],
            task["customer_id"],
            shipments=shipments,
            carrier=carrier,
        )
        return {"cancelled": cancelled}

    return {
        "CreateShipment": answering(create, answers),
        "CancelShipment": answering(cancel, answers),
    }


def main() -> None:
    """Runs the process."""
    settings = Settings.load()
    used = app.dependencies(settings)
    run_tasks(settings, lambda answers: tasks(used.shipments, used.carrier, answers), used.outbox)


if __name__ == "__main__":
    main()
