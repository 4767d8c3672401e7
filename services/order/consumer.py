"""The consumer process of the order service: handles the workflow's tasks and the events of other services.

Run it with `python -m services.order.consumer`.
"""

from collections.abc import Mapping
from typing import Any

from services.common.aws import clients
from services.common.aws.sqs import SqsQueue
from services.common.aws.stepfunctions import StepFunctionsAnswers
from services.common.messaging.consumer import Consumer, Handler
from services.common.messaging.events import only_from
from services.common.messaging.tasks import TaskAnswers, answering
from services.common.runtime.worker import run_workers
from services.common.values import clock
from services.common.values.money import Money
from services.order import app, handlers, messages
from services.order.config import Settings
from services.order.ports import Orders, Products
from services.order.senders import own_relay

Message = Mapping[str, Any]


def tasks(orders: Orders, answers: TaskAnswers) -> dict[str, Handler]:
    """The handlers of the workflow's tasks, by task name."""

    def check(task: Message) -> dict[str, Any]:
        state = handlers.check_order(task["order_id"], clock.parse(task["reserved_at"]), orders=orders)
        return {"state": state.value}

    def turn_back(task: Message) -> dict[str, Any]:
        state = handlers.turn_back_order(task["order_id"], task["error"], task["cause"], orders=orders)
        return {"state": state.value}

    def confirm(task: Message) -> dict[str, Any]:
        # A workflow that an earlier version started sends no charged_at. CompleteOrder adds the step PAID.
        charged_at = clock.parse(task["charged_at"]) if "charged_at" in task else None
        confirmed_at = handlers.confirm_order(task["order_id"], charged_at, orders=orders)
        return {"confirmed_at": clock.rfc3339(confirmed_at)}

    def complete(task: Message) -> dict[str, Any]:
        state = handlers.complete_order(
            task["order_id"],
            task["tracking_number"],
            reserved_at=clock.parse(task["reserved_at"]),
            charged_at=clock.parse(task["charged_at"]),
            booked_at=clock.parse(task["booked_at"]),
            orders=orders,
        )
        return {"state": state.value}

    def cancel(task: Message) -> dict[str, Any]:
        refunded = Money.from_dict(task["refunded"]) if "refunded" in task else None
        state = handlers.undo_order(task["order_id"], task["error"], task["cause"], refunded, orders=orders)
        return {"state": state.value}

    return {
        "CheckOrder": answering(check, answers),
        "ConfirmOrder": answering(confirm, answers),
        "StartCancelling": answering(turn_back, answers),
        "CompleteOrder": answering(complete, answers),
        "CancelOrder": answering(cancel, answers),
    }


def facts(products: Products) -> dict[str, Handler]:
    """The handlers of events, by event type."""

    def upserted(event: Message) -> None:
        handlers.note_product(messages.product(event), products=products)

    return {
        "shop.product.upserted.v1": only_from("/product", upserted),
        # The queue may still contain events to which an earlier version subscribed. Their steps come with the tasks.
        "shop.stock.reserved.v1": _ignored,
        "shop.payment.charged.v1": _ignored,
    }


def _ignored(_event: Message) -> None:
    pass


def main() -> None:
    """Runs the process."""
    settings = Settings.load()
    storage = app.storage(settings)
    sqs, receiver = clients.client("sqs", settings), clients.receiver(settings)
    answers = StepFunctionsAnswers(clients.client("stepfunctions", settings))
    run_workers(
        settings,
        [
            Consumer(SqsQueue(sqs, url, receiver), handled, wait=settings.poll_seconds)
            for url, handled in (
                (settings.tasks_queue_url, tasks(storage.orders, answers)),
                (settings.events_queue_url, facts(storage.products)),
            )
        ],
        last=[own_relay(settings, storage.outbox)],
    )


if __name__ == "__main__":
    main()
