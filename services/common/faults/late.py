"""Delays events while the fault `events-late` is on."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from services.common.faults.switches import Fault, Faults
from services.common.messaging.events import Event, NotPublished, Publisher
from services.common.values import clock
from services.common.values.clock import Clock

LATENESS: Final = timedelta(seconds=30)


class LatePublisher:
    """A publisher that accepts no event in the first half minute after it happened, so that the outbox keeps the event.

    Args:
        publisher: publisher of a topic.
        faults: whether the fault is on.
        now: current time.
    """

    def __init__(self, publisher: Publisher, faults: Faults, now: Clock = clock.now) -> None:
        self._publisher = publisher
        self._faults = faults
        self._now = now

    def publish(self, events: Sequence[Event]) -> None:
        """As `events.Publisher.publish`."""
        newest = max((event.time for event in events), default=None)
        if newest and self._now() - newest < LATENESS and self._faults.is_on(Fault.EVENTS_LATE):
            raise NotPublished(
                f"the fault {Fault.EVENTS_LATE} is on: events are published {LATENESS.seconds} s late"
            )
        self._publisher.publish(events)
