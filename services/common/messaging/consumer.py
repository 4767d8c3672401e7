"""Receives messages from a queue, passes each to its handler, and deletes those that the handlers have completed.

Messages are delivered at least once, in any order. If a handler raises an exception, its message is delivered again after a
pause that triples each time, up to 40 seconds during the first five minutes and ten minutes afterwards. After hours, the
redrive policy of the queue moves the message to the dead-letter queue. After a permanent error, it gets there within a minute
or two. A message is invisible to other consumers until it is deleted. The consumer requests messages when it has handled the
previous ones, so that under load, one request returns several. Messages that were handled within a second are deleted together.
On shutdown, the consumer requests no more messages, and handles and deletes those that it has received, so that a scale-in causes
no second delivery.
"""

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import orjson
from opentelemetry.trace import SpanKind, get_current_span

from services.common.messaging.about import about
from services.common.messaging.permanent import is_permanent
from services.common.runtime.progress import NoProgress, Progress
from services.common.telemetry import logs, metrics, propagation, tracing
from services.common.values.errors import PermanentError, Unanswered

log = logs.logger(__name__)
# The Unix time at which the message in progress was sent, in seconds; None if unknown.
sent_at: ContextVar[float | None] = ContextVar("sent_at", default=None)
Handler = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]

# Attribute of a span: number of deliveries of its message, including this one.
DELIVERIES = "shop.message.deliveries"
# AWS limit of one ReceiveMessage.
BATCH = 10
# Maximum delay in seconds of the deletion of a handled message. If the process is killed meanwhile, it is handled again.
GATHERED_FOR = 1.0
# Seconds after which a message in progress no longer delays the next request for messages.
SLOW_AFTER = 0.25
LONGEST_PAUSE = 600
FIRST_PAUSE = 2
# An order survives an outage that is shorter than the short timeout of the workflow only if an attempt falls between the end
# of the outage and the timeout. Eleven pauses take more than four minutes, even if all of them are short.
LONGEST_EARLY_PAUSE = 40
EARLY_TRIES = 11
PERMANENT_ERROR_PAUSE = 1
# Seconds between two measurements of the length of the queue.
MEASURED_EVERY = 10.0
# Maximum number of paused messages that are tracked, so that repeated failures do not use more and more memory.
MOST_PAUSED = 1000
# Longer than a request to an unresponsive queue with all its retries.
STUCK_AFTER = 180.0


@dataclass(frozen=True, slots=True)
class Message:
    """A received message.

    Args:
        id: ID in the queue.
        receipt: handle of this delivery, with which the message is deleted.
        body: body of the message.
        deliveries: number of deliveries, including this one.
        sent_at: Unix time at which it was sent, in seconds; None if unknown.
        traceparent: span that sent the message, from its attribute; by default, its body names the cause.
        xray: the same in the format of AWS X-Ray, if AWS sent the message itself.
    """

    id: str
    receipt: str
    body: str
    deliveries: int
    sent_at: float | None = None
    traceparent: str | None = None
    xray: str | None = None


@dataclass(frozen=True, slots=True)
class Depth:
    """Approximate numbers of messages in a queue.

    Args:
        visible: messages that wait for a consumer.
        in_flight: messages that were received and are hidden from other consumers.
        delayed: messages that are not available yet.
    """

    visible: int
    in_flight: int
    delayed: int


class QueuePort(Protocol):
    """A queue with at-least-once delivery."""

    name: str

    def receive(self, limit: int, wait: int) -> list[Message]:
        """Up to `limit` messages (at most 10), waiting up to `wait` seconds for the first."""

    def delete(self, messages: Sequence[Message]) -> None:
        """Deletes at most 10 messages.

        Raises:
            NotDeleted: some of them were not deleted, and are delivered again.
        """

    def hide(self, message: Message, seconds: int) -> None:
        """Makes the message invisible for `seconds` from now on. May raise an exception if the message was deleted."""

    def depth(self) -> Depth:
        """Approximate numbers of messages."""

    def ping(self) -> None:
        """Raises an exception if the queue cannot be used."""


class NotDeleted(Exception):
    """The queue has not deleted a message, which is delivered again."""


class Unhandled(PermanentError):
    """The consumer has no handler for a message of this kind."""


class Consumer:
    """Consumes the messages of one queue.

    Args:
        queue: source of messages.
        handlers: handlers by kind: name of a task, or type of a CloudEvent.
        threads: number of messages handled at once.
        visibility: visibility timeout of a message in progress in seconds, which is renewed until the handler ends. The
            default timeout of the queue must be at least a third of it.
        wait: maximum duration in seconds of one request for messages.
    """

    def __init__(
        self,
        queue: QueuePort,
        handlers: Mapping[str, Handler],
        *,
        threads: int = 4,
        visibility: int = 30,
        wait: int = 5,
    ) -> None:
        self.name = queue.name
        self._queue = queue
        self._handlers = dict(handlers)
        self._threads = threads
        self._visibility = visibility
        self._wait = wait
        self._free = threading.Semaphore(threads)
        self._held: dict[str, Message] = {}
        self._handled = deque[Message]()
        self._can_delete = threading.Event()
        self._has_handled = threading.Condition()
        # ID of a message that waits for its next attempt -> when it was sent, and the end of its pause on the monotonic clock.
        self._paused: dict[str, tuple[float, float]] = {}
        self._turned = time.monotonic()
        self._receiving = Progress(f"{self.name} cannot be read")
        self._handling = Progress(f"messages of {self.name} cannot be handled")

    def run(self, stop: threading.Event) -> None:
        """As `worker.Worker.run`."""
        metrics.QUEUE_OLDEST.labels(self.name).set_function(self._oldest)
        ended = threading.Event()
        keeper = threading.Thread(
            target=self._keep_hidden, args=(ended,), name=f"{self.name} keeper", daemon=True
        )
        # An unresponsive queue may take minutes to be measured. Neither the messages nor the shutdown wait for it.
        measurer = threading.Thread(
            target=self._measure, args=(ended,), name=f"{self.name} measurer", daemon=True
        )
        deleter = threading.Thread(
            target=self._delete_together, args=(ended,), name=f"{self.name} deleter", daemon=True
        )
        for thread in (keeper, measurer, deleter):
            thread.start()
        with ThreadPoolExecutor(self._threads, thread_name_prefix=self.name) as pool:
            while not stop.is_set():
                self._turned = time.monotonic()
                self._await_handlers()
                slots = self._claim_slots()
                # Every message that is received has a thread, and is handled even if the shutdown began during the request.
                messages = [] if stop.is_set() else self._receive(slots, stop)
                for _ in range(slots - len(messages)):
                    self._free.release()
                for message in messages:
                    self._held[message.receipt] = message
                    pool.submit(self._work, message)
        ended.set()
        self._can_delete.set()
        deleter.join()
        keeper.join()

    def alive(self) -> bool:
        """As `worker.Worker.alive`: whether the loop made progress recently, or is waiting for a running handler."""
        return bool(self._held) or time.monotonic() - self._turned < STUCK_AFTER

    def ready(self) -> None:
        """As `worker.Worker.ready`."""
        self._queue.ping()
        self._receiving.check()
        self._handling.check()

    def process(self, message: Message) -> bool:
        """Handles one message. Returns whether it was handled, and can be deleted."""
        started = time.perf_counter()
        body = _body(message)
        kind = _text(body.get("task") or body.get("type")) or "unreadable"
        # Arbitrary values in messages must not increase the number of time series.
        known = kind if kind in self._handlers else "unknown"
        if message.sent_at is not None and message.deliveries == 1:
            metrics.QUEUE_WAIT.labels(self.name).observe(max(0.0, time.time() - message.sent_at))
        fields: dict[str, Any] = {**about(body), "message_id": message.id, "task": kind}
        with tracing.traced(
            f"process {known}",
            propagation.remote(message.traceparent or body.get("traceparent"), message.xray),
            kind=SpanKind.CONSUMER,
            attributes=self._attributes(message) | tracing.of_order(fields.get("order_id")),
            **fields,
        ):
            before = sent_at.set(message.sent_at)
            handled = self._handle(message, kind, body)
            sent_at.reset(before)
            seconds = time.perf_counter() - started
            metrics.MESSAGE_DURATION.labels(self.name, known).observe(seconds, tracing.exemplar())
        metrics.MESSAGES.labels(self.name, known, "done" if handled else "failed").inc()
        return handled

    def _attributes(self, message: Message) -> dict[str, tracing.Value]:
        return {
            "messaging.system": "aws_sqs",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": self.name,
            "messaging.message.id": message.id,
            DELIVERIES: message.deliveries,
        }

    def _handle(self, message: Message, kind: str, body: Mapping[str, Any]) -> bool:
        try:
            handler = self._handlers.get(kind)
            if handler is None:
                raise Unhandled(  # noqa: TRY301 - handled below as any error of a message
                    f"{self.name} handles {', '.join(sorted(self._handlers))}, not {kind}"
                )
            handler(body)
        except Exception as error:  # noqa: BLE001 - the message is retried or becomes a dead letter
            # The traceback is logged once: the same message may fail dozens of times.
            log_failure = log.exception if message.deliveries == 1 else log.error
            tracing.fail(get_current_span(), type(error).__qualname__)
            log_failure("message_failed", queue=self.name, deliveries=message.deliveries, error=repr(error))
            # A permanent error, or an unavailable outside service, says nothing about the health of this process.
            if not is_permanent(error) and not isinstance(error, Unanswered):
                self._handling.missed(message.id, error)
            self._pause(message, error)
            return False
        self._handling.made()
        self._paused.pop(message.id, None)
        log.info("message_handled", queue=self.name)
        return True

    def _await_handlers(self) -> None:
        """Waits until no message is in progress. A slow handler does not delay the messages of the other threads for long."""
        with self._has_handled:
            self._has_handled.wait_for(lambda: not self._held, SLOW_AFTER)

    def _delete_together(self, ended: threading.Event) -> None:
        while not ended.is_set():
            self._can_delete.wait()
            ended.wait(GATHERED_FOR)
            self._can_delete.clear()
            self._delete_handled()

    def _delete_handled(self) -> None:
        while handled := [self._handled.popleft() for _ in range(min(BATCH, len(self._handled)))]:
            try:
                self._queue.delete(handled)
            except Exception as error:  # noqa: BLE001 - they are delivered again, and their handlers are idempotent
                log.warning("messages_not_deleted", queue=self.name, error=str(error))

    def _claim_slots(self) -> int:
        """Waits for a free thread. Returns the number of free threads, and reserves them."""
        self._free.acquire()
        slots = 1
        while slots < BATCH and self._free.acquire(blocking=False):
            slots += 1
        return slots

    def _receive(self, limit: int, stop: threading.Event) -> list[Message]:
        try:
            messages = self._queue.receive(limit, self._wait)
        except Exception as error:  # noqa: BLE001 - an unavailable queue must not end the consumer
            log.warning("queue_unreachable", queue=self.name, error=str(error))
            self._receiving.missed("", error)
            stop.wait(random.uniform(0.5, 1.5))  # noqa: S311 - not used for cryptography
            return []
        self._receiving.made()
        return messages

    def _work(self, message: Message) -> None:
        try:
            if self.process(message):
                self._handled.append(message)
                self._can_delete.set()
        finally:
            self._free.release()
            with self._has_handled:
                self._held.pop(message.receipt, None)
                self._has_handled.notify()

    def _pause(self, message: Message, error: Exception) -> None:
        if is_permanent(error):
            self._hide(message, PERMANENT_ERROR_PAUSE)
            return
        longest = LONGEST_EARLY_PAUSE if message.deliveries <= EARLY_TRIES else LONGEST_PAUSE
        pause = min(FIRST_PAUSE * 3 ** min(message.deliveries - 1, 10), longest)
        seconds = round(pause * random.uniform(0.75, 1.25))  # noqa: S311 - as above
        self._hide(message, seconds)
        self._note_pause(message, seconds)

    def _note_pause(self, message: Message, seconds: int) -> None:
        now = time.monotonic()
        for ended in [key for key, (_, end) in list(self._paused.items()) if end <= now]:
            self._paused.pop(ended, None)
        if message.sent_at is not None and len(self._paused) < MOST_PAUSED:
            self._paused[message.id] = (message.sent_at, now + seconds)

    def _keep_hidden(self, ended: threading.Event) -> None:
        while not ended.wait(self._visibility / 3):
            for message in [*self._held.values(), *self._handled]:
                self._hide(message, self._visibility)

    def _measure(self, ended: threading.Event) -> None:
        while True:
            try:
                depth = asdict(self._queue.depth())
            except Exception as error:  # noqa: BLE001 - the metric is unknown, which is no reason to stop
                log.warning("queue_not_measured", queue=self.name, error=str(error))
                depth = dict.fromkeys(("visible", "in_flight", "delayed"), math.nan)
            for state, messages in depth.items():
                metrics.QUEUE_MESSAGES.labels(self.name, state).set(messages)
            if ended.wait(MEASURED_EVERY):
                return

    def _oldest(self) -> float:
        """Age of the oldest unfinished message that this process received; NaN if it has none and cannot read the queue."""
        now = time.monotonic()
        held = [each.sent_at for each in list(self._held.values()) if each.sent_at]
        paused = [sent for sent, end in list(self._paused.values()) if end > now]
        if oldest := min((*held, *paused), default=None):
            return time.time() - oldest
        try:
            self._receiving.check()
        except NoProgress:
            return math.nan
        return 0.0

    def _hide(self, message: Message, seconds: int) -> None:
        try:
            self._queue.hide(message, seconds)
        except Exception as error:  # noqa: BLE001 - the default timeout of the queue applies
            log.warning("visibility_unchanged", queue=self.name, error=str(error))


def _body(message: Message) -> dict[str, Any]:
    """The body of a message as JSON; empty if it is not a JSON object."""
    try:
        body = orjson.loads(message.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(value: Any) -> str | None:
    """The value if it is a string. Other values may be nested too deeply to be printed."""
    return value if isinstance(value, str) else None
