"""The transactional outbox: messages that are written in the transaction of their change, and sent afterwards.

A record is sent at least once: `relay` claims it for a limited time, sends its messages, and deletes it. The claim of a
process that crashed expires. A process with a relay claims its own records as it writes them, and need not look for them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol

from services.common.messaging import cause
from services.common.messaging.events import Event
from services.common.values import ids

CLAIM_LASTS: Final = timedelta(seconds=30)
LONGEST_POSTPONEMENT: Final = timedelta(seconds=64)
# A claim expires by the clock of its owner. A claim that expires later than this was made by a wrong clock.
NO_CLAIM_ENDS_AFTER: Final = 2 * LONGEST_POSTPONEMENT
# The kind of message that is published as an event.
FACT: Final = "fact"


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A message to send.

    Args:
        kind: kind of message, which selects its sender.
        payload: content, as JSON.
    """

    kind: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """The messages of one transaction, in the order in which they are sent.

    Args:
        messages: messages to send.
        traceparent: cause of the transaction; by default, the cause of the work in progress.
        id: ID that sorts by creation time.
        attempts: number of earlier claims.
        partition: partition that contains the record; derived from the ID by default.
        is_claimed: whether this process claimed the record as it wrote it.
    """

    messages: tuple[OutboxMessage, ...]
    traceparent: str = field(default_factory=cause.current)
    id: str = field(default_factory=ids.uuid7)
    attempts: int = 0
    partition: str = field(default="", compare=False)
    is_claimed: bool = field(default=False, compare=False)


def of_fact(event: Event) -> OutboxRecord:
    """The record of one event."""
    return OutboxRecord((OutboxMessage(FACT, event.to_dict()),))


def of_facts(events: Sequence[Event]) -> OutboxRecord | None:
    """The record of several events, or None if there are none."""
    return OutboxRecord(tuple(OutboxMessage(FACT, event.to_dict()) for event in events)) if events else None


class Outbox(Protocol):
    """The storage of records."""

    def adopt(self, arrived: Callable[[OutboxRecord], object]) -> None:
        """Claims the records that this process writes from now on, and passes each to `arrived` after its transaction.

        A record whose transaction committed without a response is not passed. It is pending when its claim has expired.
        """

    def pending(self, limit: int) -> list[OutboxRecord]:
        """Up to `limit` unclaimed records, oldest first."""

    def claim(self, record: OutboxRecord) -> bool:
        """Claims a record for 30 seconds. Returns false if another process was faster."""

    def postpone(self, record: OutboxRecord, pause: timedelta) -> None:
        """Releases a claimed record. It is not pending again before `pause` has passed."""

    def done(self, *records: OutboxRecord) -> None:
        """Deletes records that were sent."""

    def oldest(self) -> float:
        """Age of the oldest record in seconds, including claimed, postponed and unreadable ones; 0 if there are none."""

    def ping(self) -> None:
        """Raises an exception if the outbox cannot be read."""
