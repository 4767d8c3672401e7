"""Facts are CloudEvents, and reach whoever subscribed to their type."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import jsonschema
import orjson

from services.common import telemetry
from services.common.consumer import SqsQueue
from services.common.events import Event, MemoryPublisher, SnsPublisher
from shopprocs.emulator import AwsServer

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


def test_an_event_is_a_cloudevent_of_the_trace_at_hand() -> None:
    with telemetry.traced(TRACEPARENT):
        event = an_event().to_dict()

    jsonschema.validate(event, CLOUDEVENT, format_checker=jsonschema.FormatChecker())
    assert event["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]


def test_an_event_survives_json() -> None:
    event = an_event()

    assert Event.from_dict(orjson.loads(orjson.dumps(event.to_dict()))) == event


def test_the_publisher_in_memory_keeps_what_it_is_given() -> None:
    publisher, events = MemoryPublisher(), [an_event() for _ in range(12)]

    publisher.publish(events)

    assert publisher.events == events


def test_events_reach_those_who_subscribed_to_their_type(
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
            queue.delete(message)
        if len(received) == len(events):
            done.set()
            break
    assert done.is_set()
    assert {event.id for event in received} == {event.id for event in events}
