"""The consumer process of the order service: handles the workflow's tasks and the events of other services.

Run it with `python -m services.order.consumer`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from services.common.aws import clients
from services.common.aws.sqs import SqsQueue
from services.common.aws.stepfunctions import StepFunctionsAnswers
from services.common.messaging.consumer import Consumer, Handler
from services.common.messaging.events import only_from
from services.common.messaging.tasks import TaskAnswers, answering
from services.common.runtime.worker import run_workers
from services.common.telemetry import logs
from services.common.values import clock
from services.common.values.money import Money
from services.order import app, handlers, messages
from services.order.config import Settings
from services.order.handlers import UnknownOrder
from services.order.ports import Orders, Products

log = logs.logger(__name__)
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
        confirmed_at = handlers.confirm_order(task["order_id"], orders=orders)
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


def facts(orders: Orders, products: Products) -> dict[str, Handler]:
    """The handlers of events, by event type."""

    def upserted(event: Message) -> None:
        handlers.note_product(messages.product(event), products=products)

    def reserved(event: Message) -> None:
        handlers.note_reserved(messages.order_of(event), clock.parse(event["time"]), orders=orders)

    def charged(event: Message) -> None:
        handlers.note_paid(messages.order_of(event), clock.parse(event["time"]), orders=orders)

    return {
        "shop.product.upserted.v1": only_from("/product", upserted),
        "shop.stock.reserved.v1": only_from("/product", _of_ours(reserved)),
        "shop.payment.charged.v1": only_from("/payment", _of_ours(charged)),
    }


def _of_ours(follow: Callable[[Message], None]) -> Handler:
    """A handler that ignores events of orders that this table does not contain: a retry cannot change that."""

    def handle(event: Message) -> None:
        try:
            follow(event)
        except UnknownOrder:
            log.warning("event_of_unknown_order")

    return handle


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
                (settings.events_queue_url, facts(storage.orders, storage.products)),
            )
        ],
    )


if __name__ == "__main__":
    main()
