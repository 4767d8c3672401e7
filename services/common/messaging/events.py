"""Facts: CloudEvents 1.0 in JSON (https://cloudevents.io), and where they are published."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from services.common.runtime import telemetry
from services.common.values import clock, ids

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import BatchResultErrorEntryTypeDef, PublishBatchRequestEntryTypeDef

# AWS limits of one PublishBatch: messages, and bytes of all of them.
BATCH = 10
LARGEST_BATCH = 256 * 1024
# How often those messages of a batch that the topic did not take are published before the outbox has to wait with them.
TRIES = 3


def _trace() -> str:
    return str(telemetry.current_trace())


@dataclass(frozen=True, slots=True)
class Event:
    """One fact.

    Args:
        type: its name and version, such as "shop.order.accepted.v1".
        source: who says so, as a URI reference such as "/order".
        subject: what it is about: an id.
        data: its content.
        id: the same again when the same fact is published again.
        time: when it became true.
        traceparent: the trace it belongs to; by default that of the work at hand.
    """

    type: str
    source: str
    subject: str
    data: Mapping[str, Any]
    id: str = field(default_factory=ids.uuid7)
    time: datetime = field(default_factory=clock.now)
    traceparent: str = field(default_factory=_trace)

    def to_dict(self) -> dict[str, Any]:
        """The event in CloudEvents' JSON format."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": self.source,
            "subject": self.subject,
            "time": clock.rfc3339(self.time),
            "datacontenttype": "application/json",
            "traceparent": self.traceparent,
            "data": dict(self.data),
        }

    @classmethod
    def from_dict(cls, event: Mapping[str, Any]) -> "Event":
        """Reads what `to_dict` writes.

        Raises:
            KeyError: when an attribute is missing.
            ValueError: when the time is none.
        """
        return cls(
            type=event["type"],
            source=event["source"],
            subject=event["subject"],
            data=event["data"],
            id=event["id"],
            time=clock.parse(event["time"]),
            traceparent=event["traceparent"],
        )


class ForeignFact(ValueError):
    """A fact with a source other than the service that owns facts of this type: it is forged."""


Follower = Callable[[Mapping[str, Any]], object]


def said_by(source: str, follow: Follower) -> Callable[[Mapping[str, Any]], None]:
    """The follower of a fact, for events of the service that owns facts of this type.

    A subscription's filter admits only facts of its topic's owner. This check also holds for messages that reach the queue
    by another way.
    """

    def handle(event: Mapping[str, Any]) -> None:
        if event.get("source") != source:
            raise ForeignFact(
                f"{event.get('type')} is {source}'s to say, and comes from {event.get('source')!r}"
            )
        follow(event)

    return handle


class Publisher(Protocol):
    """Where facts go."""

    def publish(self, events: Sequence[Event]) -> None:
        """Hands on every event, at least once each.

        Raises:
            Exception: when one was not taken; the others may have been. Publish all again later.
        """


class NotPublished(Exception):
    """The topic did not take an event; it is safe to publish again."""


class SnsPublisher:
    """Publishes to an SNS topic, with the type as a message attribute for subscriptions to filter on.

    Args:
        client: an SNS client.
        topic_arn: the topic.
    """

    def __init__(self, client: "SNSClient", topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, events: Sequence[Event]) -> None:
        """As `Publisher.publish`."""
        for batch in _batches(events):
            self._publish(batch)

    def _publish(self, batch: "Sequence[PublishBatchRequestEntryTypeDef]") -> None:
        left = batch
        failures: Sequence[BatchResultErrorEntryTypeDef] = ()
        for _ in range(TRIES):
            answer = self._client.publish_batch(TopicArn=self._topic_arn, PublishBatchRequestEntries=left)
            failures = answer.get("Failed", [])
            failed = {failure["Id"] for failure in failures}
            left = [entry for entry in left if entry["Id"] in failed]
            if not left:
                return
        reasons = {f"{failure['Code']} {failure.get('Message', '')}".strip() for failure in failures}
        raise NotPublished(f"{len(left)} of {len(batch)} events: {', '.join(sorted(reasons))}")


def _batches(events: Sequence[Event]) -> "Iterator[list[PublishBatchRequestEntryTypeDef]]":
    """The events in their order, as few batches as the limits allow."""
    batch: list[PublishBatchRequestEntryTypeDef] = []
    size = 0
    for event in events:
        message = orjson.dumps(event.to_dict())
        more = len(message) + len("typeString" + event.type)
        if batch and (len(batch) == BATCH or size + more > LARGEST_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(
            {
                "Id": str(len(batch)),
                "Message": message.decode(),
                "MessageAttributes": {"type": {"DataType": "String", "StringValue": event.type}},
            }
        )
        size += more
    if batch:
        yield batch


class MemoryPublisher:
    """Keeps what is published in `events`, for tests."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, events: Sequence[Event]) -> None:
        """As `Publisher.publish`."""
        self.events.extend(events)
