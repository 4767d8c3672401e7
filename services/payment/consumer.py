"""The process that does the workflow's tasks for payments.

Run it with `python -m services.payment.consumer`.
"""

from collections.abc import Mapping
from typing import Any

from services.common import aws, clock
from services.common.consumer import Consumer, Handler, SqsQueue, run_consumer
from services.common.events import Publisher, SnsPublisher
from services.common.money import Money
from services.common.tasks import StepFunctionsAnswers, TaskAnswers, answering
from services.payment import app, handlers
from services.payment.config import Settings
from services.payment.ports import Payments, Provider

Message = Mapping[str, Any]


def tasks(
    payments: Payments, provider: Provider, publisher: Publisher, answers: TaskAnswers
) -> dict[str, Handler]:
    """What is done with each task of the workflow."""

    def charge(task: Message) -> dict[str, Any]:
        charged = handlers.charge_payment(
            task["order_id"],
            task.get("customer_id"),  # a workflow that began before an upgrade names none
            Money.from_dict(task["amount"]),
            task["payment"]["token"],
            payments=payments,
            provider=provider,
            publisher=publisher,
        )
        return {"payment_id": charged.payment_id, "charged_at": clock.rfc3339(charged.charged_at)}

    def refund(task: Message) -> dict[str, Any]:
        refunded = handlers.refund_payment(
            task["order_id"],
            task.get("customer_id"),
            payments=payments,
            provider=provider,
            publisher=publisher,
        )
        return {"refunded": refunded.to_dict()}

    return {
        "ChargePayment": answering(charge, answers),
        "RefundPayment": answering(refund, answers),
    }


def main() -> None:
    """Runs the process."""
    settings = Settings.load()
    outside = app.outside(settings)
    handled = tasks(
        outside.payments,
        outside.provider,
        SnsPublisher(aws.client("sns", settings), settings.events_topic_arn),
        StepFunctionsAnswers(aws.client("stepfunctions", settings)),
    )
    queue = SqsQueue(aws.client("sqs", settings), settings.tasks_queue_url)
    run_consumer(settings, [Consumer(queue, handled, wait=settings.poll_seconds)])


if __name__ == "__main__":
    main()
