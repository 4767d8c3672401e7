"""The process that does the workflow's tasks for shipments.

Run it with `python -m services.shipping.consumer`.
"""

from collections.abc import Mapping
from typing import Any

from services.common import aws, clock
from services.common.consumer import Consumer, Handler, SqsQueue, run_consumer
from services.common.events import Publisher, SnsPublisher
from services.common.tasks import StepFunctionsAnswers, TaskAnswers, answering
from services.shipping import app, handlers, messages
from services.shipping.config import Settings
from services.shipping.ports import Carrier, Shipments

Message = Mapping[str, Any]


def tasks(
    shipments: Shipments, carrier: Carrier, publisher: Publisher, answers: TaskAnswers
) -> dict[str, Handler]:
    """What is done with each task of the workflow."""

    def create(task: Message) -> dict[str, Any]:
        booking = handlers.create_shipment(
            task["order_id"],
            task.get("customer_id"),  # a workflow that began before an upgrade names none
            messages.parcel(task),
            shipments=shipments,
            carrier=carrier,
            publisher=publisher,
        )
        return {
            "tracking_number": booking.tracking_number,
            "booked_at": clock.rfc3339(booking.booked_at),
        }

    def cancel(task: Message) -> dict[str, Any]:
        cancelled = handlers.cancel_shipment(
            task["order_id"],
            task.get("customer_id"),
            shipments=shipments,
            carrier=carrier,
            publisher=publisher,
        )
        return {"cancelled": cancelled}

    return {
        "CreateShipment": answering(create, answers),
        "CancelShipment": answering(cancel, answers),
    }


def main() -> None:
    """Runs the process."""
    settings = Settings.load()
    outside = app.outside(settings)
    handled = tasks(
        outside.shipments,
        outside.carrier,
        SnsPublisher(aws.client("sns", settings), settings.events_topic_arn),
        StepFunctionsAnswers(aws.client("stepfunctions", settings)),
    )
    queue = SqsQueue(aws.client("sqs", settings), settings.tasks_queue_url)
    run_consumer(settings, [Consumer(queue, handled, wait=settings.poll_seconds)])


if __name__ == "__main__":
    main()
