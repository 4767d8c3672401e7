"""Sends the outbox messages of the order service: starts workflows, and publishes events."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.common.aws import clients, faults
from services.common.messaging.events import Publisher
from services.common.messaging.outbox import FACT, Outbox
from services.common.messaging.relay import Relay, Sender, publishing
from services.order.config import Settings
from services.order.messages import WORKFLOW
from services.order.ports import Workflow
from services.order.workflow import StepFunctionsWorkflow

# Maximum pause in seconds between two reads of the outbox by a process that sends its own records. The relay process reads it
# far more often.
READ_EVERY: Final = 60.0


def senders(workflow: Workflow, publisher: Publisher) -> dict[str, Sender]:
    """The handlers of outbox messages, by kind."""

    def start(orders: Sequence[Mapping[str, Any]]) -> None:
        for order in orders:
            workflow.start(order["order_id"], order)

    return {WORKFLOW: start, FACT: publishing(publisher)}


def of(settings: Settings) -> dict[str, Sender]:
    """The handlers of outbox messages on AWS, by kind."""
    workflow = StepFunctionsWorkflow(clients.client("stepfunctions", settings), settings.state_machine_arn)
    return senders(workflow, faults.publisher(settings))


def own_relay(settings: Settings, outbox: Outbox) -> Relay:
    """The relay of a process that writes orders. It sends the records of this process; the relay process sends all others."""
    return Relay(outbox, of(settings), threads=2, longest=READ_EVERY)
