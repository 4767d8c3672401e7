"""The Lambda function `import-catalogue`: imports uploaded catalogs.

S3 sends a notification to the queue for each uploaded file. If the time limit of the function is too short for an import, the
function sends the same message again to continue it. If an import fails, its message is delivered again after the visibility
timeout, and becomes a dead letter after the fifth delivery. In both cases, the import continues at the position in its report.
If the message cannot be sent, the current one is delivered again instead.
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
from services.common.runtime.settings import ServiceSettings
from services.common.telemetry import emf, invocation, logs
from services.common.values import clock
from services.product import app, importing
from services.product.import_report import Report, Upload
from services.product.ports import Shelves, Superseded, Uploads
from services.product.s3 import S3Uploads

log = logs.logger(__name__)

# Milliseconds reserved for a batch and its report if DynamoDB is slow.
RESERVE = 30_000
CREATED = "ObjectCreated:"

Message = Mapping[str, Any]


class Settings(ServiceSettings):
    """The settings of the function."""

    service: ClassVar[str] = "import-catalogue"

    tasks_queue_url: str = Field(description="URL of the SQS queue that receives notifications of uploads")
    events_topic_arn: str = Field(
        "", description="not used: the relay of the product service publishes the events"
    )


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The storage and the queue of the function.

    Args:
        continue_with: sends a message to the function's own queue.
    """

    uploads: Uploads
    shelves: Shelves
    continue_with: Callable[[str], object]


def work(batch: Message, dependencies: Dependencies, milliseconds_left: Callable[[], int]) -> dict[str, Any]:
    """Imports the uploads of a batch of SQS messages. Returns the failed messages (ReportBatchItemFailures)."""
    failed = [
        record["messageId"]
        for record in batch["Records"]
        if not _dealt_with(record, dependencies, milliseconds_left)
    ]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def uploads(message: Message) -> list[Upload]:
    """The uploads in a notification of S3. A test message, or the removal of a file, contains none.

    Raises:
        KeyError, ValueError: the message is not a notification of S3.
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
    with invocation.processing(Settings.service, record):
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
    """The current report of an import, or None if the upload was replaced or another run has continued the import."""
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
    logs.configure(settings.service, settings.log_level)
    queue = SqsQueue(clients.client("sqs", settings), settings.tasks_queue_url)
    return Dependencies(S3Uploads(clients.client("s3", settings)), app.catalogue(settings), queue.send)


@emf.reported(Settings.service)
@invocation.traced(Settings.service, "pubsub")
def handler(batch: Message, context: Any) -> dict[str, Any]:
    """The entry point of the Lambda function."""
    return work(batch, _dependencies(), context.get_remaining_time_in_millis)
