"""The Lambda function `sales-summary`: counts the events in its queue.

The result of the function lists the failed messages of a batch. A failed message is delivered again after the visibility
timeout of the queue, and becomes a dead letter after two hours. The other messages of the batch are deleted.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson

from services.common.aws import clients
from services.common.telemetry import emf, invocation, logs, tracing
from services.sales import handlers, messages
from services.sales.config import Settings
from services.sales.dynamo import DynamoSales
from services.sales.ports import Sales

log = logs.logger(__name__)
Batch = Mapping[str, Any]


def work(batch: Batch, *, sales: Sales) -> dict[str, Any]:
    """Counts the events in a batch of SQS messages. Returns the failed messages (ReportBatchItemFailures)."""
    failed = [record["messageId"] for record in batch["Records"] if not _counted(record, sales)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _counted(record: Mapping[str, Any], sales: Sales) -> bool:
    try:
        event = orjson.loads(record["body"])
    except ValueError:
        event = {}
    traceparent = event.get("traceparent") if isinstance(event, Mapping) else None
    with invocation.processing(Settings.service, record, traceparent):
        try:
            fact = messages.fact(event)
            tracing.note_order(fact.order_id)
            new = handlers.count(fact, sales=sales)
        except Exception:
            deliveries = int(record["attributes"]["ApproximateReceiveCount"])
            log.exception("fact_failed", deliveries=deliveries)
            return False
        log.info("fact_counted" if new else "fact_known", order_id=fact.order_id, fact=fact.id)
        return True


@cache
def _sales() -> Sales:
    settings = Settings.load()
    logs.configure(settings.service, settings.log_level)
    return DynamoSales(clients.client("dynamodb", settings), settings.table)


@emf.reported(Settings.service)
@invocation.traced(Settings.service, "pubsub")
def handler(batch: Batch, _context: Any) -> dict[str, Any]:
    """The entry point of the Lambda function."""
    return work(batch, sales=_sales())
