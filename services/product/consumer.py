"""The consumer process of the product service: handles the workflow's tasks and publishes events from the outbox.

Run it with `python -m services.product.consumer`.
"""

from collections.abc import Mapping
from typing import Any, Final

from services.common.aws.consumer_process import run_tasks
from services.common.messaging.consumer import Handler
from services.common.messaging.tasks import TaskAnswers, answering
from services.common.values import clock
from services.product import app, handlers, messages
from services.product.config import Settings
from services.product.ports import Stock

Message = Mapping[str, Any]
# Maximum delay in seconds of the first events of an import.
CHANGED_PRICES_DELAYED: Final = 5.0


def tasks(stock: Stock, answers: TaskAnswers) -> dict[str, Handler]:
    """The handlers of the workflow's tasks, by task name."""

    def reserve(task: Message) -> dict[str, Any]:
        at = handlers.reserve_stock(task["order_id"], messages.items(task), stock=stock)
        return {"reserved_at": clock.rfc3339(at)}

    def release(task: Message) -> dict[str, Any]:
        at = handlers.release_stock(task["order_id"], stock=stock)
        return {"released_at": clock.rfc3339(at)}

    def commit(task: Message) -> dict[str, Any]:
        at = handlers.commit_stock(task["order_id"], stock=stock)
        return {"committed_at": clock.rfc3339(at)}

    return {
        "ReserveStock": answering(reserve, answers),
        "ReleaseStock": answering(release, answers),
        "CommitStock": answering(commit, answers),
    }


def main() -> None:
    """Runs the process."""
    settings = Settings.load()
    storage = app.storage(settings)
    run_tasks(
        settings,
        lambda answers: tasks(storage.stock, answers),
        storage.outbox,
        longest=CHANGED_PRICES_DELAYED,
    )


if __name__ == "__main__":
    main()
