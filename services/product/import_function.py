"""The function `import-catalogue` of AWS Lambda: imports the catalogues whose uploads its queue brings.

S3 tells the queue of each file. An import that Lambda's time is too short for is continued by another message of the
same content; one that fails comes back after the queue's visibility timeout, and goes to the dead letters after the fifth
time. Either way it goes on where the report says. If that other message cannot be sent, this one comes back instead.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar
from urllib.parse import unquote_plus

import orjson
from pydantic import Field

from services.common.aws import clients
from services.common.aws.sqs import SqsQueue
from services.common.runtime import telemetry
from services.common.runtime.settings import ServiceSettings
from services.common.values import clock
from services.product import app, importing
from services.product.import_report import Report, Upload
from services.product.ports import Shelves, Superseded, Uploads
from services.product.s3 import S3Uploads

log = telemetry.logger(__name__)

# Milliseconds that a batch and the report after it may take, when DynamoDB is slow.
RESERVE = 30_000
CREATED = "ObjectCreated:"

Message = Mapping[str, Any]


class Settings(ServiceSettings):
    """What the function is told by its environment."""

    service: ClassVar[str] = "import-catalogue"

    tasks_queue_url: str = Field(description="URL of the queue that uploads are told to")
    events_topic_arn: str = Field("", description="the product service's relay publishes the facts")


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything that the function works with.

    Args:
        continue_with: sends a message to the function's own queue.
    """

    uploads: Uploads
    shelves: Shelves
    continue_with: Callable[[str], object]


def work(batch: Message, dependencies: Dependencies, milliseconds_left: Callable[[], int]) -> dict[str, Any]:
    """Imports the uploads of a batch of messages of SQS; answers which are to come back (ReportBatchItemFailures)."""
    failed = [
        record["messageId"]
        for record in batch["Records"]
        if not _dealt_with(record, dependencies, milliseconds_left)
    ]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def uploads(message: Message) -> list[Upload]:
    """The uploads that a message of S3 tells of; none for its test message, or for a file that was removed.

    Raises:
        KeyError, ValueError: when it is no message of S3.
    """
    if message.get("Event") == "s3:TestEvent":
        return []
    return [
        Upload(
            bucket=record["s3"]["bucket"]["name"],
            key=unquote_plus(record["s3"]["object"]["key"]),
            etag=record["s3"]["object"]["eTag"],
            size=int(record["s3"]["object"]["size"]),
            at=clock.parse(record["eventTime"]),
        )
        for record in message["Records"]
        if str(record["eventName"]).removeprefix("s3:").startswith(CREATED)
    ]


def _dealt_with(record: Message, dependencies: Dependencies, milliseconds_left: Callable[[], int]) -> bool:
    with telemetry.traced(None, message_id=record["messageId"]):
        try:
            for upload in uploads(orjson.loads(record["body"])):
                report = _imported(upload, dependencies, milliseconds_left)
                if report and report.state == "IMPORTING":
                    dependencies.continue_with(record["body"])
                    log.info("import_continues", key=upload.key, line=report.line)
                    return True
        except Exception:
            deliveries = int(record["attributes"]["ApproximateReceiveCount"])
            log.exception("import_failed", deliveries=deliveries)
            return False
        return True


def _imported(
    upload: Upload, dependencies: Dependencies, milliseconds_left: Callable[[], int]
) -> Report | None:
    """The report of an upload so far; None when the upload or its report is another's now."""
    try:
        return importing.import_catalogue(
            upload,
            uploads=dependencies.uploads,
            shelves=dependencies.shelves,
            may_go_on=lambda: milliseconds_left() > RESERVE,
        )
    except Superseded as superseded:
        log.info("import_superseded", key=upload.key, reason=str(superseded))
        return None


@cache
def _dependencies() -> Dependencies:
    settings = Settings.load()
    telemetry.configure(settings.service, settings.log_level)
    queue = SqsQueue(clients.client("sqs", settings), settings.tasks_queue_url)
    return Dependencies(S3Uploads(clients.client("s3", settings)), app.catalogue(settings), queue.send)


def handler(batch: Message, context: Any) -> dict[str, Any]:
    """What Lambda calls."""
    return work(batch, _dependencies(), context.get_remaining_time_in_millis)
