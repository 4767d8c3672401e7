"""A queue in memory. test_consumer.py runs the same contract tests against it and SQS."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from services.common.messaging.consumer import Depth, Message


class MemoryQueue:
    """Messages that are received stay hidden for `timeout` seconds, unless they are deleted."""

    def __init__(self, timeout: int = 2) -> None:
        self.name = "memory"
        self.hidden: dict[str, tuple[float, Message]] = {}
        self.deleted: list[str] = []
        self.timeout = timeout
        self._waiting: deque[Message] = deque()
        self._ids = itertools.count(1)
        self._changed = threading.Condition()

    def send(self, body: str) -> None:
        with self._changed:
            self._waiting.append(Message(str(next(self._ids)), "", body, 0, time.time()))
            self._changed.notify_all()

    def receive(self, limit: int, wait: int) -> list[Message]:
        with self._changed:
            self._changed.wait_for(self._ready, max(wait, 0.02))
            received: list[Message] = []
            while self._waiting and len(received) < limit:
                message = self._waiting.popleft()
                message = replace(message, receipt=str(next(self._ids)), deliveries=message.deliveries + 1)
                self.hidden[message.receipt] = (time.monotonic() + self.timeout, message)
                received.append(message)
            return received

    def delete(self, messages: Sequence[Message]) -> None:
        with self._changed:
            for message in messages:
                self.hidden.pop(message.receipt, None)
                self.deleted.append(message.body)

    def hide(self, message: Message, seconds: int) -> None:
        with self._changed:
            if message.receipt in self.hidden:
                self.hidden[message.receipt] = (time.monotonic() + seconds, message)
                self._changed.notify_all()

    def depth(self) -> Depth:
        with self._changed:
            return Depth(len(self._waiting), len(self.hidden), 0)

    def ping(self) -> None:
        pass

    def _ready(self) -> bool:
        now = time.monotonic()
        for receipt, (until, message) in list(self.hidden.items()):
            if until <= now:
                del self.hidden[receipt]
                self._waiting.append(message)
        return bool(self._waiting)
