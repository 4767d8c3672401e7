"""The process that does the workflow's tasks for stock.

Run it with `python -m services.product.consumer`.
"""

from collections.abc import Mapping
from typing import Any

from services.common import aws, clock
from services.common.consumer import Consumer, Handler, SqsQueue, run_consumer
from services.common.events import Publisher, SnsPublisher
from services.common.tasks import StepFunctionsAnswers, TaskAnswers, answering
from services.product import app, handlers, messages
from services.product.config import Settings
from services.product.ports import Stock

Message = Mapping[str, Any]


def tasks(stock: Stock, publisher: Publisher, answers: TaskAnswers) -> dict[str, Handler]:
    """What is done with each task of the workflow."""

    def reserve(task: Message) -> dict[str, Any]:
        at = handlers.reserve_stock(task["order_id"], messages.items(task), stock=stock, publisher=publisher)
        return {"reserved_at": clock.rfc3339(at)}

    def release(task: Message) -> dict[str, Any]:
        at = handlers.release_stock(task["order_id"], stock=stock, publisher=publisher)
        return {"released_at": clock.rfc3339(at)}

    def commit(task: Message) -> dict[str, Any]:
        at = handlers.commit_stock(task["order_id"], stock=stock, publisher=publisher)
        return {"committed_at": clock.rfc3339(at)}

    return {
        "ReserveStock": answering(reserve, answers),
        "ReleaseStock": answering(release, answers),
        "CommitStock": answering(commit, answers),
    }


def main() -> None:
    """Runs the process."""
    settings = Settings.load()
    handled = tasks(
        app.storage(settings).stock,
        SnsPublisher(aws.client("sns", settings), settings.events_topic_arn),
        StepFunctionsAnswers(aws.client("stepfunctions", settings)),
    )
    queue = SqsQueue(aws.client("sqs", settings), settings.tasks_queue_url)
    run_consumer(settings, [Consumer(queue, handled, wait=settings.poll_seconds)])


if __name__ == "__main__":
    main()
