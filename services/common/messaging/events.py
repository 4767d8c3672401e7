"""Events in the CloudEvents 1.0 JSON format (https://cloudevents.io), and the port that publishes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from services.common.messaging import cause
from services.common.values import clock, ids


@dataclass(frozen=True, slots=True)
class Event:
    """An event, which states a fact.

    Args:
        type: name and version of the event, such as "shop.order.accepted.v1".
        source: service that publishes the event, as a URI reference such as "/order".
        subject: ID of the object that the event is about.
        data: content of the event.
        id: ID of the event. An event that is published again has the same ID.
        time: time at which the fact became true.
        traceparent: cause of the event; by default, the cause of the work in progress.
    """

    type: str
    source: str
    subject: str
    data: Mapping[str, Any]
    id: str = field(default_factory=ids.uuid7)
    time: datetime = field(default_factory=clock.now)
    traceparent: str = field(default_factory=cause.current)

    def to_dict(self) -> dict[str, Any]:
        """The event in the CloudEvents JSON format."""
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
        """Parses the result of `to_dict`.

        Raises:
            KeyError: an attribute is missing.
            ValueError: the time is invalid.
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


class ForgedEvent(ValueError):
    """An event whose source is not the owner of its type: it is forged."""


EventHandler = Callable[[Mapping[str, Any]], object]


def only_from(source: str, handler: EventHandler) -> Callable[[Mapping[str, Any]], None]:
    """A handler that rejects events whose source is not the owner of their type.

    The filter of a subscription accepts only events of the owner of its topic. This check also covers messages that reach
    the queue in another way.
    """

    def handle(event: Mapping[str, Any]) -> None:
        if event.get("source") != source:
            raise ForgedEvent(
                f"{event.get('type')} must come from {source}, but its source is {event.get('source')!r}"
            )
        handler(event)

    return handle


class Publisher(Protocol):
    """Publishes events."""

    def publish(self, events: Sequence[Event]) -> None:
        """Publishes every event at least once.

        Raises:
            Exception: an event was not published; others may have been. Publish all of them again later.
        """


class NotPublished(Exception):
    """The topic did not accept an event. It can safely be published again."""
