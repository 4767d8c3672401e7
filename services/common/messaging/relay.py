"""Sends the messages in an outbox. Several relays share the work."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import groupby
from typing import Any

from services.common.messaging.about import about
from services.common.messaging.events import Event, Publisher
from services.common.messaging.outbox import FACT, LONGEST_POSTPONEMENT, Outbox, OutboxMessage, OutboxRecord
from services.common.messaging.permanent import is_permanent
from services.common.runtime.progress import Progress
from services.common.telemetry import logs, metrics, propagation, tracing
from services.common.values import ids

log = logs.logger(__name__)
BATCH = 50
STUCK_AFTER = 60.0
# Attribute of a span: number of attempts to send the record, including this one.
ATTEMPTS = "shop.outbox.attempts"
# Seconds between two measurements of the age of the oldest record. A measurement queries each partition.
MEASURED_EVERY = 5.0

# Seconds after which a shutdown starts no more records. The next process sends the rest.
LONGEST_DRAIN = 5.0

# Sends messages of one kind, in their order.
Sender = Callable[[Sequence[Mapping[str, Any]]], object]


def publishing(publisher: Publisher) -> Sender:
    """The sender of events. The events of a record are published together: a record of an import has two dozen of them."""

    def publish(facts: Sequence[Mapping[str, Any]]) -> None:
        publisher.publish([Event.from_dict(fact) for fact in facts])

    return publish


class Relay:
    """Sends the messages in an outbox.

    Args:
        outbox: storage of records.
        senders: senders by kind of message. They may be called again with the same messages.
        threads: number of records handled at once.
        shortest: seconds between two reads of the outbox after a read that led to no sent record.
        longest: upper limit of this pause, which doubles each time; also the maximum delay of a record.
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
        self._turned = time.monotonic()
        self._measure_at = 0.0
        self._reading = Progress("the outbox cannot be read")
        self._sending = Progress("outbox records cannot be sent")

    def run(self, stop: threading.Event) -> None:
        """As `worker.Worker.run`. After `stop`, it sends what is left, because the next process may start much later."""
        pause = self._shortest
        with ThreadPoolExecutor(self._threads, thread_name_prefix=self.name) as pool:
            while not stop.is_set():
                self._turned = time.monotonic()
                records = self._read(stop)
                sent = list(pool.map(lambda record: not stop.is_set() and self.relay(record), records))
                if any(sent):
                    pause = self._shortest
                else:
                    stop.wait(pause)
                    pause = min(pause * 2, self._longest)
            end = time.monotonic() + LONGEST_DRAIN
            while any(self._send_until(end, self._read(stop), pool)):
                continue

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
        caused = propagation.remote(record.traceparent)
        fields = _about(record)
        # Several relays try to claim a record, and one of them adds a span.
        with tracing.untraced(caused, record_id=record.id, **fields):
            try:
                if not self._outbox.claim(record):
                    return False
                attributes = {ATTEMPTS: record.attempts + 1, **tracing.of_order(fields.get("order_id"))}
                with tracing.traced("relay", caused, attributes=attributes):
                    self._send(record.messages)
                    metrics.OUTBOX_DELAY.observe(ids.age(record.id), tracing.exemplar())
                    self._outbox.done(record)
            except Exception as error:
                if is_permanent(error):
                    log.exception("outbox_record_failed", attempts=record.attempts, error=repr(error))
                else:
                    # Without a traceback: a missing permission fails again every few milliseconds.
                    log.error("outbox_record_failed", attempts=record.attempts, error=repr(error))  # noqa: TRY400 - see above
                    self._sending.missed(record.id, error)
                self._postpone(record)
                return False
            finally:
                self._turned = time.monotonic()
        self._sending.made()
        return True

    def _send_until(
        self, end: float, records: Sequence[OutboxRecord], pool: ThreadPoolExecutor
    ) -> list[bool]:
        """Sends records, and starts none after a time of the monotonic clock. Returns for each whether it was sent."""
        return list(pool.map(lambda record: time.monotonic() < end and self.relay(record), records))

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

    def _postpone(self, record: OutboxRecord) -> None:
        pause = min(timedelta(seconds=2 ** min(record.attempts, 10)), LONGEST_POSTPONEMENT)
        try:
            self._outbox.postpone(record, pause)
        except Exception as error:  # noqa: BLE001 - the claim expires
            log.warning("outbox_record_not_postponed", error=str(error))


def _about(record: OutboxRecord) -> dict[str, str]:
    """The fields of the record for its log lines: the ID of its order, if all its messages are about the same one."""
    orders = {about(message.payload).get("order_id", "") for message in record.messages}
    return {"order_id": order_id} if len(orders) == 1 and (order_id := orders.pop()) else {}


def facts_relay(outbox: Outbox, publisher: Publisher) -> Relay:
    """The relay of a service that sends events only. It runs in the consumer process, and no customer waits for it."""
    return Relay(outbox, {FACT: publishing(publisher)}, threads=2, longest=1.0)
