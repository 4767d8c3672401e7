"""Events in the CloudEvents 1.0 JSON format (https://cloudevents.io), and the port that publishes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from services.common.values import clock, ids, trace


def _trace() -> str:
    return str(trace.current())


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
        """Reads what `to_dict` writes.

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


class ForeignFact(ValueError):
    """An event whose source is not the owner of its type: it is forged."""


Follower = Callable[[Mapping[str, Any]], object]


def said_by(source: str, follow: Follower) -> Callable[[Mapping[str, Any]], None]:
    """A handler that rejects events whose source is not the owner of their type.

    The filter of a subscription accepts only events of the owner of its topic. This check also covers messages that reach
    the queue in another way.
    """

    def handle(event: Mapping[str, Any]) -> None:
        if event.get("source") != source:
            raise ForeignFact(
                f"{event.get('type')} must come from {source}, but its source is {event.get('source')!r}"
            )
        follow(event)

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
