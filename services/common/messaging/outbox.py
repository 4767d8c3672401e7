"""The outbox: what has to be told to others, written in the transaction that makes it true, and told afterwards.

A record is told at least once: whoever tells it claims it for a while, tells it, and removes it. A teller that dies
leaves a claim that lapses. `relay` tells what is here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol

from services.common.messaging.events import Event
from services.common.values import ids, trace

CLAIM_LASTS: Final = timedelta(seconds=30)
LONGEST_POSTPONEMENT: Final = timedelta(seconds=64)
# A claim ends when the clock of whoever made it says so. One that ends later than any can was made by a wrong clock.
NO_CLAIM_ENDS_AFTER: Final = 2 * LONGEST_POSTPONEMENT
# The kind of message that is a fact for everyone.
FACT: Final = "fact"


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One thing to tell.

    Args:
        kind: who is told; names the teller.
        payload: what, as JSON.
    """

    kind: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """What one transaction leaves to be told, in this order.

    Args:
        messages: what to tell.
        traceparent: the trace that it belongs to.
        id: sorts by the time it was made.
        attempts: how often it was claimed before.
        partition: where it was found; by default where one of its id is put.
    """

    messages: tuple[OutboxMessage, ...]
    traceparent: str = field(default_factory=lambda: str(trace.current()))
    id: str = field(default_factory=ids.uuid7)
    attempts: int = 0
    partition: str = field(default="", compare=False)


def of_fact(event: Event) -> OutboxRecord:
    """What a change leaves to be told when that is one fact."""
    return OutboxRecord((OutboxMessage(FACT, event.to_dict()),))


def of_facts(events: Sequence[Event]) -> OutboxRecord | None:
    """What a change leaves to be told when that is facts only; None when there are none."""
    return OutboxRecord(tuple(OutboxMessage(FACT, event.to_dict()) for event in events)) if events else None


class Outbox(Protocol):
    """Where records wait."""

    def pending(self, limit: int) -> list[OutboxRecord]:
        """Up to `limit` unclaimed records, oldest first."""

    def claim(self, record: OutboxRecord) -> bool:
        """Takes a record for 30 seconds; false when another was faster."""

    def postpone(self, record: OutboxRecord, pause: timedelta) -> None:
        """Gives a claimed record back, not to be tried before `pause` has passed."""

    def done(self, record: OutboxRecord) -> None:
        """Removes a record that was told."""

    def oldest(self) -> float:
        """Seconds for which the oldest record has waited, also one that is claimed, postponed or unreadable; 0 without any."""

    def ping(self) -> None:
        """Returns when the outbox can be read, raises otherwise."""
