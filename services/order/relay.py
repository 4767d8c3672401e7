"""The relay process of the order service: starts workflows and publishes events from the outbox.

Run it with `python -m services.order.relay`. Several instances share the work.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.common.aws import clients
from services.common.aws.sns import SnsPublisher
from services.common.messaging.events import Publisher
from services.common.messaging.outbox import FACT
from services.common.messaging.relay import Relay, Sender, publishing
from services.common.runtime.worker import run_workers
from services.order import app
from services.order.config import Settings
from services.order.messages import WORKFLOW
from services.order.ports import Workflow
from services.order.workflow import StepFunctionsWorkflow


def senders(workflow: Workflow, publisher: Publisher) -> dict[str, Sender]:
    """The handlers of outbox messages, by kind."""

    def start(orders: Sequence[Mapping[str, Any]]) -> None:
        for order in orders:
            workflow.start(order["order_id"], order)

    return {WORKFLOW: start, FACT: publishing(publisher)}


def main() -> None:
    """Runs the process."""
    settings = Settings.load()
    workflow = StepFunctionsWorkflow(clients.client("stepfunctions", settings), settings.state_machine_arn)
    publisher = SnsPublisher(clients.client("sns", settings), settings.events_topic_arn)
    run_workers(settings, [Relay(app.storage(settings).outbox, senders(workflow, publisher))])


if __name__ == "__main__":
    main()
