"""The consumer process of the payment service: handles the workflow's tasks and publishes events from the outbox.

Run it with `python -m services.payment.consumer`.
"""

from collections.abc import Mapping
from typing import Any

from services.common.aws.consumer_process import run_tasks
from services.common.messaging.consumer import Handler
from services.common.messaging.tasks import TaskAnswers, answering
from services.common.values import clock
from services.common.values.errors import TaskFailed
from services.common.values.money import Money
from services.payment import app, handlers
from services.payment.config import Settings
from services.payment.ports import Payments, Provider, Tokens

Message = Mapping[str, Any]


def tasks(payments: Payments, provider: Provider, tokens: Tokens, answers: TaskAnswers) -> dict[str, Handler]:
    """The handlers of the workflow's tasks, by task name."""

    def charge(task: Message) -> dict[str, Any]:
        order_id = task["order_id"]
        try:
            charged = handlers.charge_payment(
                order_id,
                task["customer_id"],
                Money.from_dict(task["amount"]),
                tokens.find(order_id),
                payments=payments,
                provider=provider,
            )
        except TaskFailed:
            tokens.forget(order_id)
            raise
        return {"payment_id": charged.payment_id, "charged_at": clock.rfc3339(charged.charged_at)}

    def refund(task: Message) -> dict[str, Any]:
        tokens.forget(task["order_id"])
        refunded = handlers.refund_payment(
            task["order_id"],
            task["customer_id"],
            payments=payments,
            provider=provider,
        )
        return {"refunded": refunded.to_dict()}

    return {
        "ChargePayment": answering(charge, answers),
        "RefundPayment": answering(refund, answers),
    }


def main() -> None:
    """Runs the process."""
    settings = Settings.load()
    used = app.dependencies(settings)
    run_tasks(
        settings,
        lambda answers: tasks(used.payments, used.provider, used.tokens, answers),
        used.outbox,
    )


if __name__ == "__main__":
    main()
