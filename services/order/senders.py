"""Sends the outbox messages of the order service: starts workflows, and publishes events."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.common.messaging.events import Publisher
from services.common.messaging.outbox import FACT
from services.common.messaging.relay import Sender, publishing
from services.order.messages import WORKFLOW
from services.order.ports import Workflow


def senders(workflow: Workflow, publisher: Publisher) -> dict[str, Sender]:
    """The handlers of outbox messages, by kind."""

    def start(orders: Sequence[Mapping[str, Any]]) -> None:
        for order in orders:
            workflow.start(order["order_id"], order)

    return {WORKFLOW: start, FACT: publishing(publisher)}
