"""The function `watch-stock` of AWS Lambda: counts the changes that the stream of the product table brings.

A record that cannot be read, or whose product's level cannot be read, is put aside at once, with what it says and why, and
the others go on. Any other failure, also that of putting it aside, is answered for by its sequence number: AWS Lambda tries
again from there, halves the batch when the whole fails, and after hours in vain sends where the record is to the same queue.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

from pydantic import Field

from services.common.aws import clients, dynamo
from services.common.aws.sns import SnsPublisher
from services.common.aws.sqs import SqsQueue
from services.common.messaging.events import Publisher
from services.common.runtime import telemetry
from services.common.runtime.settings import ServiceSettings
from services.common.values.errors import UnreadableRow
from services.product import low_stock
from services.product.domain import Shelf
from services.product.levels import DynamoLevels
from services.product.low_stock import Change, Levels

log = telemetry.logger(__name__)

# AWS limit of a sequence number's digits: with zeros before them, texts compare as numbers do.
DIGITS = 40
# Characters of a record and of a cause that are put aside: a queue may take 256 KiB only, and quotes are escaped.
LONGEST_RECORD, LONGEST_CAUSE = 100_000, 1000

Batch = Mapping[str, Any]


class Settings(ServiceSettings):
    """What the function is told by its environment."""

    service: ClassVar[str] = "watch-stock"

    tasks_queue_url: str = Field(description="URL of the queue for changes that cannot be counted")
    low_stock: int = Field(10, ge=0, description="pieces that can be ordered: so many, or fewer, is low")


class Unreadable(Exception):
    """A record of the stream is not a change of a product."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything that the function works with.

    Args:
        threshold: pieces that can be ordered: so many, or fewer, is low.
        put_aside: sends a text to the queue for changes that cannot be counted.
    """

    levels: Levels
    publisher: Publisher
    threshold: int
    put_aside: Callable[[str], object]


def work(batch: Batch, dependencies: Dependencies) -> dict[str, Any]:
    """Counts a batch of the stream; answers with which record it is to begin again (ReportBatchItemFailures)."""
    for record in batch["Records"]:
        sequence = str((record.get("dynamodb") or {}).get("SequenceNumber", ""))
        with telemetry.traced(None, sequence=sequence):
            try:
                _count(record, dependencies)
            except Exception:
                log.exception("change_failed")
                return {"batchItemFailures": [{"itemIdentifier": sequence}]}
    return {"batchItemFailures": []}


def change(record: Mapping[str, Any]) -> Change | None:
    """The change that a record tells of; None when the product is gone, or it is about another item.

    Raises:
        Unreadable: when it is no such record.
    """
    try:
        told = record["dynamodb"]
        keys = dynamo.unpack(told["Keys"])
        if keys["sk"] != "PRODUCT" or record["eventName"] == "REMOVE":
            return None
        return Change(
            sku=str(keys["pk"]).removeprefix("PRODUCT#"),
            available=int(told["NewImage"][Shelf.AVAILABLE]["N"]),
            sequence=str(told["SequenceNumber"]).zfill(DIGITS),
            at=datetime.fromtimestamp(float(told["ApproximateCreationDateTime"]), UTC),
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
    """What is put aside: in ASCII, as SQS refuses some characters, and in a length that every queue takes."""
    text = json.dumps(record, default=str)
    said = {"record": record} if len(text) <= LONGEST_RECORD else {"record_begins": text[:LONGEST_RECORD]}
    return json.dumps({"cause": cause[:LONGEST_CAUSE], **said}, default=str)


@cache
def _dependencies() -> Dependencies:
    settings = Settings.load()
    telemetry.configure(settings.service, settings.log_level)
    return Dependencies(
        DynamoLevels(clients.client("dynamodb", settings), settings.table),
        SnsPublisher(clients.client("sns", settings), settings.events_topic_arn),
        settings.low_stock,
        SqsQueue(clients.client("sqs", settings), settings.tasks_queue_url).send,
    )


def handler(batch: Batch, _context: Any) -> dict[str, Any]:
    """What Lambda calls."""
    return work(batch, _dependencies())
