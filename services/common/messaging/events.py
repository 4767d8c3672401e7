"""Facts: CloudEvents 1.0 in JSON (https://cloudevents.io), and where they are published."""

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
