"""The work queue between events and reconciles: many events of one key become one pass, never two at once.

The semantics are those of client-go's workqueue, which every controller of Kubernetes relies on:

- a key that waits is in the queue once, however often it is added (the dirty set);
- a key that is being processed is not handed to a second worker: added meanwhile, it is queued again when
  the first one is done (the processing set);
- a key that fails comes back after its own exponential delay, and all failing keys together are held to a
  rate, so that one bad ShopService or one bad API server costs the others nothing.

Keys are in lanes, such as one for each namespace. Lanes that wait are served in turn, one key each, and lanes that fail
share the rate equally: however many keys of one lane wait or fail, a key of another waits for one of them at most.

It knows nothing of Kubernetes: keys are any hashable value.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)


class QueueObserver(Protocol):
    """What the queue tells about itself; metrics.py turns it into the workqueue_* series."""

    def added(self, depth: int) -> None:
        """A key became dirty; `depth` keys wait now."""

    def depth(self, depth: int) -> None:
        """So many keys wait now."""

    def started(self, depth: int, waited: float) -> None:
        """A worker took a key that had waited for `waited` seconds."""

    def finished(self, took: float) -> None:
        """A worker is done with a key after `took` seconds."""

    def retried(self) -> None:
        """A key was added with its backoff."""


@dataclass(frozen=True)
class Backoff:
    """How long a failing key waits: `first` seconds doubled with every failure up to `limit`, plus jitter.

    All retries together may not exceed `rate` a second once each lane has used up its `burst`. That bounds what failing keys cost,
    so that `limit` may be short: a key waits at most that long after what it failed by is over.
    """

    first: float = 0.1
    limit: float = 15.0
    jitter: float = 0.2
    rate: float = 20.0
    burst: int = 200

    def delay(self, failures: int) -> float:
        """Seconds to wait after that many failures in a row (the first failure is 0)."""
        # 2.0**64 s is beyond any limit and far from overflowing a float.
        delay = min(self.first * 2.0 ** min(failures, 64), self.limit)
        return delay * (1 + random.random() * self.jitter)  # noqa: S311  # spread, not secrecy


# Seconds; as long as the rate lets 6,000 keys of one lane come back.
_LONGEST_RESERVE: Final = 300.0


@dataclass
class _Bucket:
    """A token bucket that answers when the next token is free instead of blocking."""

    rate: float
    burst: int
    _tokens: float = field(init=False)
    _at: float | None = None

    def __post_init__(self) -> None:
        self._tokens = float(self.burst)

    def reserve(self, now: float) -> float:
        """Take one token; the seconds until it is really there."""
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        # Without a bound, keys that fail more often than they may would wait longer and longer.
        self._tokens = max(self._tokens - 1, -_LONGEST_RESERVE * self.rate)
        return max(0.0, -self._tokens / self.rate)

    def idle(self, now: float) -> bool:
        """Whether it is full again."""
        return self._at is None or self._tokens + (now - self._at) * self.rate >= self.burst


class _Buckets:
    """A bucket for each lane that fails; those share the rate."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._of: dict[Hashable, _Bucket] = {}

    def reserve(self, lane: Hashable, now: float) -> float:
        """Take one token of a lane; the seconds until it is really there."""
        self._of = {each: bucket for each, bucket in self._of.items() if each == lane or not bucket.idle(now)}
        self._of.setdefault(lane, _Bucket(self._backoff.rate, self._backoff.burst))
        for bucket in self._of.values():
            bucket.rate = self._backoff.rate / len(self._of)
        return self._of[lane].reserve(now)


class WorkQueue(Generic[K]):
    """One queue for one event loop; nothing here is thread-safe and nothing needs to be.

    Args:
        observer: told what happens.
        backoff: of keys that fail.
        lane: the lane of a key; by default there is one for all.
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
        self._ready: dict[Hashable, deque[K]] = {}  # by lane, in the order in which they are served
        self._waiting = 0
        self._dirty: dict[K, float] = {}  # key → since when it waits
        self._processing: dict[K, float] = {}  # key → since when a worker has it
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._not_before: dict[K, float] = {}  # key → until when a pass has asked to wait
        self._waiter = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return self._waiting

    def idle(self) -> bool:
        """Whether nothing waits, runs or is due later."""
        return not (self._dirty or self._processing or self._timers)

    def add(self, key: K) -> None:
        """Mark the key as in need of a pass, now; or as soon as it may have one after `retry`."""
        if self._closed or key in self._dirty:
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
        if self._closed:
            return
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
            # What has happened in the meantime need not wait for longer than was asked for.
            delay = after if self._leave(key, after) else max(delay, after)
        self.add_after(key, delay)

    def pause(self, key: K, seconds: float) -> None:
        """Add the key in so many seconds, and not before, whatever happens; it has not failed."""
        self._leave(key, seconds)
        self.add_after(key, seconds)

    def _leave(self, key: K, seconds: float) -> bool:
        """Delay every pass over the key; returns whether it was already waiting for one."""
        self._not_before[key] = _now() + seconds
        return self._dirty.pop(key, None) is not None

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure starts from the shortest delay."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key, as soon as there is one. Every get needs a done.

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
        """The worker is finished with the key, whatever came of it."""
        self._observer.finished(_now() - self._processing.pop(key))
        if key in self._dirty:
            self._push(key)
            self._observer.depth(self._waiting)

    def clear(self) -> None:
        """Forget everything that waits: another process is the leader and will see it all itself."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._failures.clear()
        self._not_before.clear()
        self._ready.clear()
        self._waiting = 0
        self._dirty.clear()
        self._observer.depth(0)

    def close(self) -> None:
        """Take nothing more; what is being processed may finish."""
        self._closed = True
        self.clear()

    def _pop(self) -> K:
        """The next key of the lane that was served longest ago, which has to wait for all others then."""
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
