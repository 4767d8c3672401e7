"""Runs a function of the shop as AWS Lambda does: on a schedule, or with the changes in the stream of a table.

    python -m tests.services.faults.functions reconciler
    python -m tests.services.faults.functions watch-stock

The position in a stream is stored in a file, as Lambda stores it outside of the function: a process that was killed starts
again with the first change that it had not completed.
"""

import itertools
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field

from services.common.runtime.settings import ServiceSettings
from services.common.runtime.worker import Worker, run_workers
from services.common.telemetry import logs

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

log = logs.logger(__name__)
Handler = Callable[[Any, Any], Mapping[str, Any]]

RECONCILER: Final = "reconciler"
WATCH_STOCK: Final = "watch-stock"
FUNCTIONS: Final = (RECONCILER, WATCH_STOCK)
BATCH: Final = 100
PAUSE: Final = 0.3
# One batch in so many is brought twice.
AGAIN: Final = 3


class Settings(ServiceSettings):
    """Where the events of the functions come from."""

    service: ClassVar[str] = "functions"

    every_seconds: float = Field(2.0, gt=0, description="seconds between two runs by the schedule")
    stream_arn: str = Field("", description="the stream to read")
    stream_endpoint: str = Field("", description="where to read it: AWS, past the proxy")
    checkpoint: Path = Field(
        Path("checkpoint"), description="the file that tells how far the stream was read"
    )


class Scheduled:
    """Calls a function repeatedly, regardless of its result.

    Args:
        handler: of the function.
        seconds: between two calls.
    """

    name = "schedule"

    def __init__(self, handler: Handler, seconds: float) -> None:
        self._handler = handler
        self._seconds = seconds

    def run(self, stop: threading.Event) -> None:
        """As `worker.Worker.run`."""
        while not stop.wait(self._seconds):
            try:
                self._handler({}, None)
            except Exception:
                log.exception("function_failed")

    def alive(self) -> bool:
        """As `worker.Worker.alive`."""
        return True

    def ready(self) -> None:
        """As `worker.Worker.ready`."""


class Streamed:
    """Calls a function with the changes of a stream: in order, again from the change that failed, and sometimes twice.

    Args:
        handler: of the function; it answers which changes failed.
        client: of AWS itself.
        settings: which stream, and where it is kept how far it was read.
    """

    name = "stream"

    def __init__(self, handler: Handler, client: "DynamoDBStreamsClient", settings: Settings) -> None:
        self._handler = handler
        self._client = client
        self._arn = settings.stream_arn
        self._checkpoint = settings.checkpoint
        self._turns = itertools.count()

    def run(self, stop: threading.Event) -> None:
        """As `worker.Worker.run`."""
        while not stop.wait(PAUSE):
            try:
                self._turn()
            except (BotoCoreError, ClientError) as error:
                log.warning("stream_unreachable", error=repr(error))

    def alive(self) -> bool:
        """As `worker.Worker.alive`."""
        return True

    def ready(self) -> None:
        """As `worker.Worker.ready`."""

    def _turn(self) -> None:
        records = self._client.get_records(ShardIterator=self._iterator(), Limit=BATCH)["Records"]
        if not records:
            return
        # As the filter of the event source mapping: the table holds reservations as well.
        wanted = [event(record) for record in records if record["dynamodb"]["Keys"]["sk"] == {"S": "PRODUCT"}]
        failed = self._handler({"Records": wanted}, None)["batchItemFailures"] if wanted else []
        if failed:
            self._keep("AT", failed[0]["itemIdentifier"])
        elif next(self._turns) % AGAIN:
            self._keep("AFTER", records[-1]["dynamodb"]["SequenceNumber"])

    def _iterator(self) -> str:
        (shard,) = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        where: Any = {"ShardIteratorType": "TRIM_HORIZON"}
        if self._checkpoint.exists():
            kind, sequence = self._checkpoint.read_text().split()
            where = {"ShardIteratorType": f"{kind}_SEQUENCE_NUMBER", "SequenceNumber": sequence}
        answer = self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard["ShardId"], **where)
        return answer["ShardIterator"]

    def _keep(self, kind: str, sequence: str) -> None:
        written = self._checkpoint.with_suffix(".new")
        written.write_text(f"{kind} {sequence}")
        written.replace(self._checkpoint)


def event(record: Any) -> dict[str, Any]:
    """A record of a stream in the form in which Lambda delivers it."""
    at = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
    return {**record, "dynamodb": {**record["dynamodb"], "ApproximateCreationDateTime": at}}


def streams(endpoint: str) -> "DynamoDBStreamsClient":
    """A client of AWS itself."""
    return boto3.client("dynamodbstreams", endpoint_url=endpoint, region_name=os.environ["AWS_REGION"])


def worker(name: str, settings: Settings) -> Worker:
    """The function, with what calls it."""
    if name == RECONCILER:
        from services.order import reconciler  # noqa: PLC0415 - a process imports one of them, as its zip does

        return Scheduled(reconciler.handler, settings.every_seconds)
    from services.product import watch_function  # noqa: PLC0415 - as above

    return Streamed(watch_function.handler, streams(settings.stream_endpoint), settings)


if __name__ == "__main__":
    own = Settings.load()
    run_workers(own, [worker(sys.argv[1], own)])
