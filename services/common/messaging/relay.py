"""Sends the messages in an outbox. Several relays share the work."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby, takewhile
from typing import Any, TypeVar

from opentelemetry.trace import Span

from services.common.messaging.about import about
from services.common.messaging.events import Event, NotPublished, Publisher
from services.common.messaging.outbox import (
    CLAIM_LASTS,
    FACT,
    LONGEST_POSTPONEMENT,
    Outbox,
    OutboxMessage,
    OutboxRecord,
)
from services.common.messaging.permanent import is_permanent
from services.common.runtime.progress import Progress
from services.common.telemetry import logs, metrics, propagation, tracing
from services.common.values import ids

log = logs.logger(__name__)
Waiting = TypeVar("Waiting")
BATCH = 50
# Records whose events are published together: as many messages as a PublishBatch takes.
TOGETHER = 10
# Maximum delay in seconds of the records of this process, which are sent together.
GATHERED_FOR = 1.0
# Records of this process that wait at most. Further ones push out the oldest, which are pending once their claims expire.
MOST_OWN = 1000
STUCK_AFTER = 60.0
# Attribute of a span: number of attempts to send the record, including this one.
ATTEMPTS = "shop.outbox.attempts"
# Seconds between two measurements of the age of the oldest record. A measurement queries each partition.
MEASURED_EVERY = 30.0

# Seconds after which a shutdown starts no more records. The next process sends the rest.
LONGEST_DRAIN = 5.0

# Sends messages of one kind, in their order.
Sender = Callable[[Sequence[Mapping[str, Any]]], object]


def publishing(publisher: Publisher) -> Sender:
    """The sender of events. The events of a record are published together: a record of an import has two dozen of them."""

    def publish(facts: Sequence[Mapping[str, Any]]) -> None:
        publisher.publish([Event.from_dict(fact) for fact in facts])

    return publish


@dataclass(frozen=True, slots=True)
class _Begun:
    """A claimed record of which only the last events are left to publish, and its open span."""

    record: OutboxRecord
    events: tuple[OutboxMessage, ...]
    span: Span


class Relay:
    """Sends the messages in an outbox: the records that its own process writes, and those that it finds in the table.

    No customer waits for events. Those at the end of a record are therefore published together with those of other records, and
    the records are deleted together. Other messages of a record that its own process writes, such as the start of a workflow,
    are sent at once, by a thread of the relay.

    Args:
        outbox: storage of records.
        senders: senders by kind of message. They may be called again with the same messages.
        threads: number of records handled at once.
        shortest: seconds between two reads of the outbox after a read that led to a sent record.
        longest: upper limit of this pause, which doubles after each other read; also the maximum delay of a record of another
            process.
    """

    name = "relay"

    def __init__(
        self,
        outbox: Outbox,
        senders: Mapping[str, Sender],
        *,
        threads: int = 8,
        shortest: float = 0.05,
        longest: float = 0.5,
    ) -> None:
        self._outbox = outbox
        self._senders = dict(senders)
        self._threads = threads
        self._shortest = shortest
        self._longest = longest
        self._own = deque[OutboxRecord](maxlen=MOST_OWN)
        self._begun = deque[_Begun]()
        self._turned = time.monotonic()
        self._measure_at = 0.0
        self._reading = Progress("the outbox cannot be read")
        self._sending = Progress("outbox records cannot be sent")

    def run(self, stop: threading.Event) -> None:
        """As `worker.Worker.run`. After `stop`, it sends what is left, because the next process may start much later."""
        pause, left = self._shortest, 0.0  # until the next read
        with ThreadPoolExecutor(self._threads, thread_name_prefix=self.name) as pool:
            self._outbox.adopt(lambda record: self._take(record, pool))
            while not stop.is_set():
                self._turned = time.monotonic()
                is_due = left <= 0
                found = self._read(stop) if is_due else []
                self._begin_all(self._taken(), pool, lambda: not stop.is_set())
                has_begun = self._begin_all(found, pool, lambda: not stop.is_set())
                if not found:
                    self._finish_begun()
                if is_due:
                    pause = self._shortest if has_begun else pause
                    left = 0.0 if has_begun and len(found) == BATCH else pause
                    pause = min(pause * 2, self._longest)
                nap = min(left, GATHERED_FOR)
                stop.wait(nap)
                left -= nap
            end = time.monotonic() + LONGEST_DRAIN
            while self._begin_all([*self._taken(), *self._read(stop)], pool, lambda: time.monotonic() < end):
                self._finish_begun()
        self._finish_begun()

    def alive(self) -> bool:
        """As `worker.Worker.alive`."""
        return time.monotonic() - self._turned < STUCK_AFTER

    def ready(self) -> None:
        """As `worker.Worker.ready`."""
        self._outbox.ping()
        self._reading.check()
        self._sending.check()

    def relay(self, record: OutboxRecord) -> bool:
        """Sends one record unless another relay does. Returns whether it was sent."""
        begun = self._begin(record)
        return begun is not None and self._finish([begun])

    def _take(self, record: OutboxRecord, pool: ThreadPoolExecutor) -> None:
        """Takes over a record of this process, and has it sent at once if it contains more than events."""
        self._own.append(record)
        # If more are waiting, all threads are busy, and continue with this one.
        if _parted(record.messages)[0] and len(self._own) <= self._threads:
            with suppress(RuntimeError):  # the relay has ended: the record is pending once its claim expires
                pool.submit(self._begin_taken)

    def _begin_taken(self) -> None:
        while record := _first(self._own):
            if begun := self._begin(record):
                self._begun.append(begun)

    def _taken(self) -> list[OutboxRecord]:
        """The records that this process wrote since the last call."""
        return list(iter(lambda: _first(self._own), None))

    def _begin_all(
        self, records: Sequence[OutboxRecord], pool: ThreadPoolExecutor, may_begin: Callable[[], bool]
    ) -> bool:
        """Begins to send records. Finishes those that were begun once they fill a batch. Returns whether any was begun."""
        has_begun = False
        for start in range(0, len(records), TOGETHER):
            some = records[start : start + TOGETHER]
            begun = [
                each for each in pool.map(lambda one: self._begin(one) if may_begin() else None, some) if each
            ]
            self._begun += begun
            has_begun = has_begun or bool(begun)
            if len(self._begun) >= TOGETHER:
                self._finish_begun()
        return has_begun

    def _begin(self, record: OutboxRecord) -> _Begun | None:
        """Claims a record, and sends its messages except the events at its end. None if it is not sent now."""
        caused = propagation.remote(record.traceparent)
        fields = _about(record)
        # Several relays try to claim a record, and one of them adds a span.
        with tracing.untraced(caused, record_id=record.id, **fields):
            if not (_is_still_claimed(record) or self._claim(record)):
                return None
        attributes = {ATTEMPTS: record.attempts + 1, **tracing.of_order(fields.get("order_id"))}
        messages, events = _parted(record.messages)
        begun = _Begun(record, events, tracing.opened("relay", caused, attributes))
        try:
            with tracing.resumed(begun.span, record_id=record.id, **fields):
                self._send(messages)
        except Exception as error:  # noqa: BLE001 - the record is sent later
            self._fail(begun, error)
            return None
        finally:
            self._turned = time.monotonic()
        return begun

    def _claim(self, record: OutboxRecord) -> bool:
        try:
            return self._outbox.claim(record)
        except Exception as error:  # noqa: BLE001 - as above
            self._put_off(record, error)
            return False

    def _finish_begun(self) -> None:
        if begun := list(iter(lambda: _first(self._begun), None)):
            self._finish(begun)

    def _finish(self, begun: Sequence[_Begun]) -> bool:
        """Publishes the last events of records, and deletes the records. Returns whether all were sent."""
        try:
            with tracing.resumed(begun[0].span):
                self._send([event for each in begun for event in each.events])
            self._outbox.done(*(each.record for each in begun))
        except Exception as error:  # noqa: BLE001 - the records are sent later
            if len(begun) > 1 and (is_permanent(error) or isinstance(error, NotPublished)):
                # The events of one record must not prevent those of the others.
                alone = [self._finish([each]) for each in begun]
                return all(alone)
            for each in begun:
                self._fail(each, error)
            return False
        finally:
            self._turned = time.monotonic()
        for each in begun:
            with _ending(each):
                metrics.OUTBOX_DELAY.observe(ids.age(each.record.id), tracing.exemplar())
        self._sending.made()
        return True

    def _fail(self, begun: _Begun, error: Exception) -> None:
        with _ending(begun):
            tracing.fail(begun.span, type(error).__qualname__)
            self._put_off(begun.record, error)

    def _put_off(self, record: OutboxRecord, error: Exception) -> None:
        """Logs that a record was not sent, and has it sent later."""
        if is_permanent(error):
            log.error("outbox_record_failed", attempts=record.attempts, error=repr(error), exc_info=error)
        else:
            # Without a traceback: a missing permission fails again every few milliseconds.
            log.error("outbox_record_failed", attempts=record.attempts, error=repr(error))
            self._sending.missed(record.id, error)
        pause = min(timedelta(seconds=2 ** min(record.attempts, 10)), LONGEST_POSTPONEMENT)
        try:
            self._outbox.postpone(record, pause)
        except Exception as failed:  # noqa: BLE001 - the claim expires
            log.warning("outbox_record_not_postponed", error=str(failed))

    def _send(self, messages: Sequence[OutboxMessage]) -> None:
        for kind, group in groupby(messages, key=lambda message: message.kind):
            payloads = [message.payload for message in group]
            try:
                self._senders[kind](payloads)
            except Exception:
                metrics.OUTBOX_RELAYED.labels(kind, "failed").inc(len(payloads))
                raise
            metrics.OUTBOX_RELAYED.labels(kind, "done").inc(len(payloads))

    def _read(self, stop: threading.Event) -> list[OutboxRecord]:
        try:
            records = self._outbox.pending(BATCH)
            self._measure()
        except Exception as error:  # noqa: BLE001 - an unavailable table must not end the relay
            log.warning("outbox_unreachable", error=repr(error))
            self._reading.missed("", error)
            stop.wait(random.uniform(0.5, 1.5))  # noqa: S311 - not used for cryptography
            return []
        self._reading.made()
        return records

    def _measure(self) -> None:
        if time.monotonic() >= self._measure_at:
            metrics.OUTBOX_AGE.set(self._outbox.oldest())
            self._measure_at = time.monotonic() + MEASURED_EVERY


@contextmanager
def _ending(begun: _Begun) -> Iterator[None]:
    """The last work on a record, at the end of its span."""
    with tracing.resumed(begun.span, record_id=begun.record.id, **_about(begun.record)):
        try:
            yield
        finally:
            begun.span.end()


def _is_still_claimed(record: OutboxRecord) -> bool:
    """Whether a record is claimed since it was written. If it had to wait for too long, another relay may have claimed it."""
    return record.is_claimed and ids.age(record.id) < CLAIM_LASTS.total_seconds()


def _first(waiting: deque[Waiting]) -> Waiting | None:
    """Removes the first item of a queue that several threads use. None if it is empty."""
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _parted(messages: Sequence[OutboxMessage]) -> tuple[Sequence[OutboxMessage], tuple[OutboxMessage, ...]]:
    """The messages before the events at the end, and these."""
    events = tuple(takewhile(lambda message: message.kind == FACT, reversed(messages)))
    return messages[: len(messages) - len(events)], events[::-1]


def _about(record: OutboxRecord) -> dict[str, str]:
    """The fields of the record for its log lines: the ID of its order, if all its messages are about the same one."""
    orders = {about(message.payload).get("order_id", "") for message in record.messages}
    return {"order_id": order_id} if len(orders) == 1 and (order_id := orders.pop()) else {}


def facts_relay(outbox: Outbox, publisher: Publisher, longest: float) -> Relay:
    """The relay of a service that sends events only. It runs in the consumer process, which writes most of the records.

    Args:
        outbox: outbox of the service.
        publisher: topic of the service.
        longest: maximum delay in seconds of the records of other processes.
    """
    return Relay(outbox, {FACT: publishing(publisher)}, threads=2, longest=longest)
