"""The ports of services.common in memory. The contract tests run against these fakes and the real adapters."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.common.faults.switches import Fault
from services.common.http.idempotency import KEPT, Answer, KeyedRequest, KeyReused, KeyTaken
from services.common.messaging.events import Event
from services.common.messaging.outbox import CLAIM_LASTS, NO_CLAIM_ENDS_AFTER, OutboxRecord
from services.common.messaging.tasks import TaskGone
from services.common.values import clock, ids
from services.common.values.clock import Clock
from services.common.values.errors import Unavailable


class MemoryOutbox:
    """As `outbox.Outbox`; a record is claimed until the time that is kept of it."""

    def __init__(self, now: Clock = clock.now) -> None:
        self._now = now
        self.records: dict[str, OutboxRecord] = {}
        self._claimed_until: dict[str, datetime] = {}
        self._arrived: Callable[[OutboxRecord], object] | None = None

    def adopt(self, arrived: Callable[[OutboxRecord], object]) -> None:
        self._arrived = arrived

    def add(self, record: OutboxRecord) -> None:
        self.records[record.id] = record
        if self._arrived:
            self._claimed_until[record.id] = self._now() + CLAIM_LASTS
            self._arrived(replace(record, is_claimed=True))

    def pending(self, limit: int) -> list[OutboxRecord]:
        free = [self.records[name] for name in sorted(self.records) if self._is_free(name)]
        return free[:limit]

    def claim(self, record: OutboxRecord) -> bool:
        if record.id not in self.records or not self._is_free(record.id):
            return False
        known = self.records[record.id]
        self.records[record.id] = replace(known, attempts=known.attempts + 1)
        self._claimed_until[record.id] = self._now() + CLAIM_LASTS
        return True

    def postpone(self, record: OutboxRecord, pause: timedelta) -> None:
        self._claimed_until[record.id] = self._now() + pause

    def done(self, *records: OutboxRecord) -> None:
        for record in records:
            self.records.pop(record.id, None)

    def oldest(self) -> float:
        return ids.age(min(self.records, default=""))

    def ping(self) -> None:
        pass

    def _is_free(self, name: str) -> bool:
        until, now = self._claimed_until.get(name), self._now()
        return until is None or until < now or until > now + NO_CLAIM_ENDS_AFTER


class MemoryIdempotency:
    """As `idempotency.IdempotencyStore`."""

    def __init__(self, now: Clock = clock.now) -> None:
        self._now = now
        self._kept: dict[tuple[str, str], tuple[str, Answer, datetime]] = {}

    def find(self, request: KeyedRequest) -> Answer | None:
        fingerprint, answer, ends_at = self._kept.get((request.scope, request.key), ("", None, self._now()))
        if answer is None or ends_at < self._now():
            return None
        if fingerprint != request.fingerprint:
            raise KeyReused
        return answer

    def record(self, request: KeyedRequest, answer: Answer) -> None:
        """Records the answer, as a transaction with the part `DynamoIdempotency.record` does.

        Raises:
            KeyTaken: when the key has a record.
        """
        now = self._now()
        found = self._kept.get((request.scope, request.key))
        if found is not None and found[2] >= now:
            raise KeyTaken
        self._kept[request.scope, request.key] = (request.fingerprint, answer, now + KEPT)


class MemoryPublisher:
    """Keeps what is published in `events`."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, events: Sequence[Event]) -> None:
        self.events.extend(events)


class MemoryAnswers:
    """Keeps the answers: `outputs` and `failures` by token. Each token of `waiting` can be answered once."""

    def __init__(self, *waiting: str) -> None:
        self.waiting = set(waiting)
        self.outputs: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, tuple[str, str]] = {}

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        self._end(token)
        self.outputs[token] = dict(output)

    def fail(self, token: str, error: str, cause: str) -> None:
        self._end(token)
        self.failures[token] = (error, cause)

    def _end(self, token: str) -> None:
        if token not in self.waiting:
            raise TaskGone("TaskDoesNotExist")
        self.waiting.remove(token)


class MemoryLedger:
    """As `ledger.Ledger`, with its entries by key."""

    def __init__(self) -> None:
        self.entries: dict[str, Mapping[str, Any]] = {}
        self._tries = Counter[str]()

    def record(self, key: str, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
        before = self.entries.get(key)
        self.entries.setdefault(key, dict(entry))
        return before

    def count(self, key: str) -> int:
        self._tries[key] += 1
        return self._tries[key]


class MemorySwitchboard:
    """As `switches.Switchboard`, and as `switches.Faults`. `reads` counts the reads; `down` makes it unavailable."""

    def __init__(self, *on: Fault) -> None:
        self._on = set(on)
        self.reads = 0
        self.down = False

    def on(self) -> frozenset[Fault]:
        self._reach()
        self.reads += 1
        return frozenset(self._on)

    def is_on(self, fault: Fault) -> bool:
        return fault in self._on

    def turn_on(self, fault: Fault) -> None:
        self._reach()
        self._on.add(fault)

    def turn_off(self, *faults: Fault) -> None:
        self._reach()
        self._on.difference_update(faults)

    def _reach(self) -> None:
        if self.down:
            raise Unavailable("down")
