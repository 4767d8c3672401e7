"""Events are CloudEvents, and reach the subscribers of their type."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import jsonschema
import orjson
import pytest

from services.common.aws.sns import SnsPublisher
from services.common.aws.sqs import SqsQueue
from services.common.messaging.events import Event, NotPublished
from services.common.telemetry import propagation, tracing
from shopdev.processes.emulator import AwsServer
from tests.services.memory import MemoryPublisher

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CLOUDEVENT = {
    "required": ["specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "time": {"format": "date-time"},
        "source": {"format": "uri-reference"},
        # CloudEvents 1.0, section "Naming Conventions": lower-case letters and digits.
        "traceparent": {"type": "string"},
    },
    "propertyNames": {"pattern": "^[a-z0-9]+$"},
}


def an_event(kind: str = "thing.made.v1") -> Event:
    return Event(
        type=kind, source="/things", subject="1", data={"n": 1}, time=datetime(2026, 1, 31, tzinfo=UTC)
    )


def test_given_a_current_trace_when_an_event_is_created_then_it_is_a_cloudevent_in_that_trace() -> None:
    with tracing.traced("work", propagation.remote(TRACEPARENT)):
        event = an_event().to_dict()

    jsonschema.validate(event, CLOUDEVENT, format_checker=jsonschema.FormatChecker())
    assert event["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]


def test_given_an_event_when_it_is_encoded_and_decoded_then_it_is_the_same() -> None:
    event = an_event()

    assert Event.from_dict(orjson.loads(orjson.dumps(event.to_dict()))) == event


def test_given_a_publisher_in_memory_when_events_are_published_then_it_keeps_them() -> None:
    publisher, events = MemoryPublisher(), [an_event() for _ in range(12)]

    publisher.publish(events)

    assert publisher.events == events


class Topic:
    """A topic that rejects some messages.

    Args:
        refusing: what it says of a message at its nth publication; None for one that it takes.
    """

    def __init__(self, refusing: Callable[[dict[str, Any], int], str | None] = lambda *_: None) -> None:
        self._refusing = refusing
        self.requests: list[list[dict[str, Any]]] = []

    def publish_batch(
        self,
        *,
        TopicArn: str,  # noqa: ARG002, N803 - AWS's name
        PublishBatchRequestEntries: Sequence[dict[str, Any]],  # noqa: N803 - AWS's name
    ) -> dict[str, Any]:
        entries = [orjson.loads(entry["Message"])["data"] for entry in PublishBatchRequestEntries]
        self.requests.append(entries)
        failed = [
            {"Id": entry["Id"], "Code": code, "SenderFault": False}
            for entry, data in zip(PublishBatchRequestEntries, entries, strict=True)
            if (code := self._refusing(data, sum(data in request for request in self.requests)))
        ]
        return {"Failed": failed}


def numbered(count: int, size: int = 0) -> list[Event]:
    return [Event("thing.made.v1", "/things", "1", {"n": n, "x": "x" * size}) for n in range(count)]


def numbers(topic: Topic) -> list[list[int]]:
    return [[data["n"] for data in request] for request in topic.requests]


def test_given_24_events_when_they_are_published_then_each_batch_has_at_most_ten() -> None:
    topic: Any = Topic()

    SnsPublisher(topic, "arn").publish(numbered(24))

    assert [len(request) for request in topic.requests] == [10, 10, 4]
    assert [n for request in numbers(topic) for n in request] == list(range(24))


def test_given_large_events_when_they_are_published_then_each_batch_has_at_most_256_kib() -> None:
    topic: Any = Topic()

    SnsPublisher(topic, "arn").publish(numbered(6, 100 * 1024))

    assert numbers(topic) == [[0, 1], [2, 3], [4, 5]]


def test_given_a_partially_rejected_batch_when_it_is_published_then_only_the_rejected_events_are_sent_again() -> (
    None
):
    topic: Any = Topic(
        lambda data, nth: "InternalError" if data["n"] in {1, 2} and nth <= data["n"] else None
    )

    SnsPublisher(topic, "arn").publish(numbered(11))

    assert numbers(topic) == [list(range(10)), [1, 2], [2], [10]]


def test_given_an_event_that_is_always_rejected_when_a_batch_is_published_then_the_error_contains_the_reason() -> (
    None
):
    topic: Any = Topic(lambda data, _: "InternalError" if data["n"] == 3 else None)

    with pytest.raises(NotPublished, match="1 of 10 events were not published: InternalError"):
        SnsPublisher(topic, "arn").publish(numbered(10))

    assert numbers(topic) == [list(range(10)), [3], [3]]


def test_given_a_subscription_by_type_when_events_are_published_then_only_those_of_its_type_arrive(
    account: AwsServer, create_topic: Callable[[], str], create_queue: Callable[[], str]
) -> None:
    topic, url = create_topic(), create_queue()
    arn = account.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    account.clients.sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn["QueueArn"],
        Attributes={"RawMessageDelivery": "true", "FilterPolicy": '{"type": ["thing.made.v1"]}'},
    )
    events = [an_event() for _ in range(12)]

    SnsPublisher(account.clients.sns, topic).publish([an_event("thing.broken.v1"), *events])

    queue, received = SqsQueue(account.clients.sqs, url), []
    done = threading.Event()
    for _ in range(10):
        for message in queue.receive(10, 1):
            received.append(Event.from_dict(orjson.loads(message.body)))
            queue.delete([message])
        if len(received) == len(events):
            done.set()
            break
    assert done.is_set()
    assert {event.id for event in received} == {event.id for event in events}
