"""Takes messages from a queue, hands each to its handler, and deletes it once the handler is done.

A message is delivered at least once, in any order. A handler that returns has dealt with it for good; a handler that
raises has not, and the message comes back after a pause that triples each time, up to 40 seconds in its first five
minutes, and ten minutes from then on: for hours, until the queue's redrive policy moves it to the dead letters. One
that no further try can help is there within a minute or two. While a handler works its message stays hidden from
others. On a stop no message is begun, and those begun are finished.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from services.common.messaging.permanent import is_permanent
from services.common.runtime import telemetry
from services.common.runtime.progress import Progress
from services.common.values.errors import PermanentError, Unanswered

log = telemetry.logger(__name__)
Handler = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]

# AWS limit of one ReceiveMessage.
BATCH = 10
LONGEST_PAUSE = 600
FIRST_PAUSE = 2
# While a customer waits for an order: an outage that ends within the workflow's short timeout is survived only if a
# try falls between the two. Eleven pauses take more than four minutes, even if all of them are short.
LONGEST_EARLY_PAUSE = 40
EARLY_TRIES = 11
PERMANENT_ERROR_PAUSE = 1
# Longer than a request to a queue that does not answer takes with all its retries.
STUCK_AFTER = 180.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was received.

    Args:
        id: the queue's name for it.
        receipt: what this delivery of it is deleted with.
        body: its text.
        deliveries: how often it was received, this time included.
    """

    id: str
    receipt: str
    body: str
    deliveries: int


class QueuePort(Protocol):
    """A queue with at-least-once delivery."""

    name: str

    def receive(self, limit: int, wait: int) -> list[Message]:
        """Up to `limit` messages (at most 10), waiting up to `wait` seconds for the first."""

    def delete(self, message: Message) -> None:
        """Ends the message."""

    def hide(self, message: Message, seconds: int) -> None:
        """Keeps the message from being received for so long from now; may raise when it was deleted."""

    def ping(self) -> None:
        """Returns when the queue can be used, raises otherwise."""


class Unhandled(PermanentError):
    """No handler takes a message of this kind."""


class Consumer:
    """Works on one queue.

    Args:
        queue: where messages come from.
        handlers: what is done with each kind: a task's name, or a CloudEvent's type.
        threads: how many messages are worked on at once.
        visibility: seconds that a message being worked on is hidden for at a time; the queue's own timeout must be
            no shorter than a third of it.
        wait: seconds that one request for messages lasts at most.
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
        self._turned = time.monotonic()
        self._receiving = Progress(f"{self.name} cannot be read")
        self._handling = Progress(f"messages of {self.name} cannot be handled")

    def run(self, stop: threading.Event) -> None:
        """As `worker.Worker.run`."""
        ended = threading.Event()
        keeper = threading.Thread(
            target=self._keep_hidden, args=(ended,), name=f"{self.name} keeper", daemon=True
        )
        keeper.start()
        with ThreadPoolExecutor(self._threads, thread_name_prefix=self.name) as pool:
            while not stop.is_set():
                self._turned = time.monotonic()
                slots = self._claim_slots()
                messages = [] if stop.is_set() else self._receive(slots, stop)
                for _ in range(slots - len(messages)):
                    self._free.release()
                for message in messages:
                    self._held[message.receipt] = message
                    pool.submit(self._work, message, stop)
        ended.set()
        keeper.join()

    def alive(self) -> bool:
        """As `worker.Worker.alive`: whether the loop turned lately, or waits for a handler that still works."""
        return bool(self._held) or time.monotonic() - self._turned < STUCK_AFTER

    def ready(self) -> None:
        """As `worker.Worker.ready`."""
        self._queue.ping()
        self._receiving.check()
        self._handling.check()

    def process(self, message: Message) -> bool:
        """Handles one message; answers whether it was dealt with for good (and deleted)."""
        started = time.perf_counter()
        body = _body(message)
        kind = _text(body.get("task") or body.get("type")) or "unreadable"
        with telemetry.traced(body.get("traceparent"), **_about(body), message_id=message.id, task=kind):
            handled = self._handle(message, kind, body)
        # What others send must not grow the number of time series.
        known = kind if kind in self._handlers else "unknown"
        telemetry.MESSAGES.labels(self.name, known, "done" if handled else "failed").inc()
        telemetry.MESSAGE_DURATION.labels(self.name, known).observe(time.perf_counter() - started)
        return handled

    def _handle(self, message: Message, kind: str, body: Mapping[str, Any]) -> bool:
        try:
            handler = self._handlers.get(kind)
            if handler is None:
                raise Unhandled(f"{self.name} takes {', '.join(sorted(self._handlers))}, not {kind}")  # noqa: TRY301 - as any failure of a message
            handler(body)
            self._queue.delete(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message comes back or goes to the dead letters
            # Where it failed is told once: the same message may fail dozens of times.
            tell = log.exception if message.deliveries == 1 else log.error
            tell("message_failed", queue=self.name, deliveries=message.deliveries, error=repr(error))
            # A message that is hopeless, or waits for an outside service, says nothing of this process.
            if not is_permanent(error) and not isinstance(error, Unanswered):
                self._handling.missed(message.id, error)
            self._pause(message, error)
            return False
        self._handling.made()
        log.info("message_handled", queue=self.name)
        return True

    def _claim_slots(self) -> int:
        """Waits until a thread is free; answers how many are."""
        self._free.acquire()
        slots = 1
        while slots < BATCH and self._free.acquire(blocking=False):
            slots += 1
        return slots

    def _receive(self, limit: int, stop: threading.Event) -> list[Message]:
        try:
            messages = self._queue.receive(limit, self._wait)
        except Exception as error:  # noqa: BLE001 - the queue being away must not end the consumer
            log.warning("queue_unreachable", queue=self.name, error=str(error))
            self._receiving.missed("", error)
            stop.wait(random.uniform(0.5, 1.5))  # noqa: S311 - a pause, not a secret
            return []
        self._receiving.made()
        return messages

    def _work(self, message: Message, stop: threading.Event) -> None:
        try:
            if stop.is_set():
                self._hide(message, 0)
            else:
                self.process(message)
        finally:
            self._held.pop(message.receipt, None)
            self._free.release()

    def _pause(self, message: Message, error: Exception) -> None:
        if is_permanent(error):
            self._hide(message, PERMANENT_ERROR_PAUSE)
            return
        longest = LONGEST_EARLY_PAUSE if message.deliveries <= EARLY_TRIES else LONGEST_PAUSE
        pause = min(FIRST_PAUSE * 3 ** min(message.deliveries - 1, 10), longest)
        self._hide(message, round(pause * random.uniform(0.75, 1.25)))  # noqa: S311 - as above

    def _keep_hidden(self, ended: threading.Event) -> None:
        while not ended.wait(self._visibility / 3):
            for message in list(self._held.values()):
                self._hide(message, self._visibility)

    def _hide(self, message: Message, seconds: int) -> None:
        try:
            self._queue.hide(message, seconds)
        except Exception as error:  # noqa: BLE001 - then the queue's own timeout holds
            log.warning("visibility_unchanged", queue=self.name, error=str(error))


def _body(message: Message) -> dict[str, Any]:
    """What a message says; nothing when it is no JSON object."""
    try:
        body = orjson.loads(message.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _about(body: Mapping[str, Any]) -> dict[str, str]:
    """The id that log lines about the message carry."""
    data = body.get("data")
    order_id = _text(body.get("order_id") or (data.get("order_id") if isinstance(data, Mapping) else None))
    return {"order_id": order_id} if order_id else {}


def _text(value: Any) -> str | None:
    """What is a text. Anything else that others send may be too deep to be printed."""
    return value if isinstance(value, str) else None
