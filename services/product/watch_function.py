"""The Lambda function `watch-stock`: processes the changes in the stream of the product table.

A record that cannot be parsed, or whose product has an unreadable level, is sent to a queue with the reason, and processing
continues. For any other failure, including a failure to send the record, the function returns the sequence number of the
record: Lambda retries from there, splits the batch if it fails as a whole, and after hours of failures sends the position of
the record to the same queue.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

from opentelemetry.trace import SpanKind
from pydantic import Field

from services.common.aws import clients, dynamo
from services.common.aws.sns import SnsPublisher
from services.common.aws.sqs import SqsQueue
from services.common.messaging.events import Publisher
from services.common.runtime.settings import ServiceSettings
from services.common.telemetry import emf, invocation, logs, tracing
from services.common.values.errors import UnreadableRow
from services.product import low_stock
from services.product.domain import Shelf
from services.product.levels import DynamoLevels
from services.product.low_stock import Change, Levels

log = logs.logger(__name__)

# AWS limit of the length of a sequence number. With leading zeros, the strings sort like numbers.
DIGITS = 40
# Maximum characters of a record and of a cause in a message. A message is limited to 256 KiB, and quotes are escaped.
LONGEST_RECORD, LONGEST_CAUSE = 100_000, 1000

Batch = Mapping[str, Any]


class Settings(ServiceSettings):
    """The settings of the function."""

    service: ClassVar[str] = "watch-stock"

    tasks_queue_url: str = Field(description="URL of the SQS queue for changes that cannot be processed")
    low_stock: int = Field(
        10, ge=0, description="a product with at most this many available pieces is reported as low"
    )


class Unreadable(Exception):
    """A record of the stream that is not a valid change of a product."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The storage, the publisher and the settings of the function.

    Args:
        threshold: a product with at most this many available pieces is low.
        put_aside: sends a text to the queue for changes that cannot be processed.
    """

    levels: Levels
    publisher: Publisher
    threshold: int
    put_aside: Callable[[str], object]


def work(batch: Batch, dependencies: Dependencies) -> dict[str, Any]:
    """Processes a batch of the stream. Returns the record from which to retry (ReportBatchItemFailures)."""
    for record in batch["Records"]:
        sequence = str((record.get("dynamodb") or {}).get("SequenceNumber", ""))
        with tracing.traced("process change", kind=SpanKind.CONSUMER, sequence=sequence):
            try:
                _count(record, dependencies)
            except Exception:
                log.exception("change_failed")
                return {"batchItemFailures": [{"itemIdentifier": sequence}]}
    return {"batchItemFailures": []}


def change(record: Mapping[str, Any]) -> Change | None:
    """The change in a record, or None if the product was deleted or the record is about another item.

    Raises:
        Unreadable: the record is invalid.
    """
    try:
        stream_record = record["dynamodb"]
        keys = dynamo.unpack(stream_record["Keys"])
        if keys["sk"] != "PRODUCT" or record["eventName"] == "REMOVE":
            return None
        return Change(
            sku=str(keys["pk"]).removeprefix("PRODUCT#"),
            available=int(stream_record["NewImage"][Shelf.AVAILABLE]["N"]),
            sequence=str(stream_record["SequenceNumber"]).zfill(DIGITS),
            at=datetime.fromtimestamp(float(stream_record["ApproximateCreationDateTime"]), UTC),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _count(record: Mapping[str, Any], dependencies: Dependencies) -> None:
    try:
        found = change(record)
        if found:
            low_stock.count(
                found,
                threshold=dependencies.threshold,
                levels=dependencies.levels,
                publisher=dependencies.publisher,
            )
    except (Unreadable, UnreadableRow) as unreadable:
        log.exception("change_put_aside")
        dependencies.put_aside(_aside(record, str(unreadable)))


def _aside(record: Mapping[str, Any], cause: str) -> str:
    """The message for a record: in ASCII, because SQS rejects some characters, and within the size limit of a message."""
    text = json.dumps(record, default=str)
    said = {"record": record} if len(text) <= LONGEST_RECORD else {"record_begins": text[:LONGEST_RECORD]}
    return json.dumps({"cause": cause[:LONGEST_CAUSE], **said}, default=str)


@cache
def _dependencies() -> Dependencies:
    settings = Settings.load()
    logs.configure(settings.service, settings.log_level)
    return Dependencies(
        DynamoLevels(clients.client("dynamodb", settings), settings.table),
        SnsPublisher(clients.client("sns", settings), settings.events_topic_arn),
        settings.low_stock,
        SqsQueue(clients.client("sqs", settings), settings.tasks_queue_url).send,
    )


@emf.reported(Settings.service)
@invocation.traced(Settings.service, "datasource")
def handler(batch: Batch, _context: Any) -> dict[str, Any]:
    """The entry point of the Lambda function."""
    return work(batch, _dependencies())
