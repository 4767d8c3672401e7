"""The work queue between events and passes: many events of one key become one pass, and a key never has two passes at once.

The semantics are those of the workqueue of client-go, on which all Kubernetes controllers rely:

- A waiting key is in the queue once, however often it is added (the dirty set).
- A key that is being processed is not handed to a second worker. If it is added meanwhile, it is queued again when the first worker
  is done (the processing set).
- A failed key returns after its own exponential delay, and a rate limits all failing keys together, so that one ShopService or one
  API server that fails does not slow down the others.

Keys are grouped into lanes, such as one for each namespace. Waiting lanes are served in turn, one key at a time, and failing lanes
share the rate equally. However many keys of one lane wait or fail, a key of another lane waits for at most one of them.

The queue does not depend on Kubernetes: a key is any hashable value.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)


class QueueObserver(Protocol):
    """Receives the events of the queue; observability.metrics exports them as the workqueue_* series."""

    def added(self, depth: int) -> None:
        """Record that a key was added; `depth` keys wait now."""

    def depth(self, depth: int) -> None:
        """Record the number of waiting keys."""

    def started(self, depth: int, waited: float) -> None:
        """Record that a worker took a key that had waited for `waited` seconds."""

    def finished(self, took: float) -> None:
        """Record that a worker finished a key after `took` seconds."""

    def retried(self) -> None:
        """Record that a key was added with its backoff."""


@dataclass(frozen=True)
class Backoff:
    """The delay of a failing key: `first` seconds, doubled with each failure up to `limit`, plus jitter.

    All retries together do not exceed `rate` per second once each lane has used up its `burst`. This bounds the cost of failing keys, so
    `limit` can be short: after the cause of a failure is gone, a key waits for at most that time.
    """

    first: float = 0.1
    limit: float = 15.0
    jitter: float = 0.2
    rate: float = 20.0
    burst: int = 200

    def delay(self, failures: int) -> float:
        """Seconds to wait after a number of consecutive failures; the first failure is 0."""
        # 2.0**64 s exceeds any limit without overflowing a float.
        delay = min(self.first * 2.0 ** min(failures, 64), self.limit)
        return delay * (1 + random.random() * self.jitter)  # noqa: S311  # jitter, not cryptography


# Seconds; as long as the rate lets 6,000 keys of one lane come back.
_LONGEST_RESERVE: Final = 300.0


@dataclass
class _Bucket:
    """A token bucket that returns the time of the next free token instead of blocking."""

    rate: float
    burst: int
    _tokens: float = field(init=False)
    _at: float | None = None

    def __post_init__(self) -> None:
        self._tokens = float(self.burst)

    def reserve(self, now: float) -> float:
        """Take one token; returns the seconds until it is available."""
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        # Without a bound, keys that fail faster than the rate would wait for ever longer.
        self._tokens = max(self._tokens - 1, -_LONGEST_RESERVE * self.rate)
        return max(0.0, -self._tokens / self.rate)

    def idle(self, now: float) -> bool:
        """Whether the bucket is full again."""
        return self._at is None or self._tokens + (now - self._at) * self.rate >= self.burst


class _Buckets:
    """A token bucket for each failing lane; the lanes share the rate."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._of: dict[Hashable, _Bucket] = {}

    def reserve(self, lane: Hashable, now: float) -> float:
        """Take one token of a lane; returns the seconds until it is available."""
        self._of = {each: bucket for each, bucket in self._of.items() if each == lane or not bucket.idle(now)}
        self._of.setdefault(lane, _Bucket(self._backoff.rate, self._backoff.burst))
        for bucket in self._of.values():
            bucket.rate = self._backoff.rate / len(self._of)
        return self._of[lane].reserve(now)


class WorkQueue(Generic[K]):
    """A queue for one event loop; it is not thread-safe.

    Args:
        observer: receives the events of the queue.
        backoff: the delay of failing keys.
        lane: the lane of a key; by default all keys share one.
    """

    def __init__(
        self,
        observer: QueueObserver,
        backoff: Backoff | None = None,
        *,
        lane: Callable[[K], Hashable] = lambda _: None,
    ) -> None:
        self._observer = observer
        self._backoff = backoff or Backoff()
        self._lane = lane
        self._buckets = _Buckets(self._backoff)
        self._ready: dict[Hashable, deque[K]] = {}  # by lane, in the order of service
        self._waiting = 0
        self._dirty: dict[K, float] = {}  # key → start of its wait
        self._processing: dict[K, float] = {}  # key → start of its processing
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._not_before: dict[K, float] = {}  # key → end of the pause that its last pass requested
        self._waiter = asyncio.Event()

    def __len__(self) -> int:
        return self._waiting

    def add(self, key: K) -> None:
        """Request a pass over the key: now, or after the minimum delay of `retry`."""
        if key in self._dirty:
            return
        now = _now()
        if self._not_before.get(key, now) > now:
            self._add_at(key, self._not_before[key])
            return
        self._not_before.pop(key, None)
        self._dirty[key] = now
        if key not in self._processing:
            self._push(key)
        self._observer.added(self._waiting)

    def add_after(self, key: K, delay: float) -> None:
        """Add the key in `delay` seconds, unless an earlier addition is already due."""
        if delay <= 0:
            self.add(key)
            return
        self._add_at(key, _now() + delay)

    def _add_at(self, key: K, due: float) -> None:
        pending = self._timers.get(key)
        if pending is not None:
            if pending.when() <= due:
                return
            pending.cancel()
        self._timers[key] = asyncio.get_running_loop().call_at(due, self._fire, key)

    def retry(self, key: K, *, after: float | None = None) -> None:
        """Add the key with its own backoff.

        Args:
            key: has failed.
            after: minimum seconds until the next pass, whatever happens; 0 or None for none.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._observer.retried()
        delay = self._backoff.delay(failures) + self._buckets.reserve(self._lane(key), _now())
        if after:
            # Events in the meantime do not wait for longer than the requested pause.
            delay = after if self._leave(key, after) else max(delay, after)
        self.add_after(key, delay)

    def pause(self, key: K, seconds: float) -> None:
        """Add the key in this number of seconds, and not earlier whatever happens. This is not a failure."""
        self._leave(key, seconds)
        self.add_after(key, seconds)

    def _leave(self, key: K, seconds: float) -> bool:
        """Delay the next pass over the key; returns whether the key was already waiting for one."""
        self._not_before[key] = _now() + seconds
        return self._dirty.pop(key, None) is not None

    def forget(self, key: K) -> None:
        """Record a success: the next failure of the key starts from the shortest delay."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key, as soon as one waits. Each `get` requires a `done`.

        Raises:
            asyncio.CancelledError: the worker is being stopped.
        """
        while not self._ready:
            self._waiter.clear()
            await self._waiter.wait()
        key = self._pop()
        now = _now()
        waited = now - self._dirty.pop(key)
        self._processing[key] = now
        self._observer.started(self._waiting, waited)
        return key

    def done(self, key: K) -> None:
        """Record that a worker has finished the key, whatever the result."""
        self._observer.finished(_now() - self._processing.pop(key))
        if key in self._dirty:
            self._push(key)
            self._observer.depth(self._waiting)

    def clear(self) -> None:
        """Drop all waiting keys: another process leads and enqueues all keys itself."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._failures.clear()
        self._not_before.clear()
        self._ready.clear()
        self._waiting = 0
        self._dirty.clear()
        self._observer.depth(0)

    def _pop(self) -> K:
        """The next key of the lane that was served least recently."""
        lane = next(iter(self._ready))
        keys = self._ready.pop(lane)
        key = keys.popleft()
        if keys:
            self._ready[lane] = keys
        self._waiting -= 1
        return key

    def _push(self, key: K) -> None:
        self._ready.setdefault(self._lane(key), deque()).append(key)
        self._waiting += 1
        self._waiter.set()

    def _fire(self, key: K) -> None:
        del self._timers[key]
        self.add(key)


def _now() -> float:
    return asyncio.get_running_loop().time()
