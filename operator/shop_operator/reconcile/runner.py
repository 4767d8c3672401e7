"""Keeps the parts in motion: events into the store and the queue, keys out of it into passes.

Everything here lives as long as the process. kopf may be started again underneath it (main.py) without the
store, the queue, the lease or a running pass being lost.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol

from shop_operator.cache.in_flight import InFlight
from shop_operator.cache.store import Store
from shop_operator.errors import Contested, NotLeader, OperatorError, TemporaryError
from shop_operator.names import KIND, Key
from shop_operator.reconcile.queue import WorkQueue

_log = logging.getLogger(__name__)

# Seconds. When the process starts, ShopServices are listed twice within a few, and a watch that breaks often is no news of
# what failed.
_UNREADY_AGAIN: Final = 60.0


class Passes(Protocol):
    """reconcile.Reconciler."""

    async def reconcile(self, key: Key) -> float | None:
        """One pass; seconds until the next look, or None."""


class PassObserver(Protocol):
    """Told how every pass ended and how many ShopServices there are; observability.metrics.Metrics."""

    def reconciled(self, result: str, took: float) -> None:
        """Result is success, error, requeue or requeue_after."""

    def shops(self, number: int) -> None:
        """The number of ShopServices in the store."""

    def succeeded(self, namespace: str, name: str) -> None:
        """A pass over that ShopService has worked."""

    def failed(self, namespace: str, name: str) -> None:
        """A pass over that ShopService has not worked, and is repeated."""


class Engine:
    """The store, the queue and the workers of one process.

    Args:
        store: what the watches have shown.
        queue: the keys to reconcile.
        passes: the reconciler.
        observer: the metrics.
        kinds: the kinds that must have been listed before the store is believed.
        namespaces: where; (None,) for all.
        awaited: what else must be known, until `arrived` tells of it.
        in_flight: keeps what a watch shows of an object until its write is answered.
        clock: a steady clock in seconds.
    """

    def __init__(  # noqa: PLR0913  the object graph is built in one place
        self,
        store: Store,
        queue: WorkQueue[Key],
        passes: Passes,
        observer: PassObserver,
        *,
        kinds: Iterable[str],
        namespaces: Iterable[str | None],
        awaited: Iterable[str] = (),
        in_flight: InFlight | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._queue = queue
        self._passes = passes
        self._observer = observer
        self._in_flight = in_flight or InFlight()
        self._kinds = frozenset(kinds)
        self._unsynced = {*itertools.product(self._kinds, namespaces), *((each, None) for each in awaited)}
        self._missing: set[str] = set()  # kinds that the API server does not serve
        self._go = asyncio.Event()  # set while leading with synced caches
        self._leading = False
        self._clock = clock
        # Namespace → when all of its ShopServices that are not ready were last enqueued.
        self._woken: dict[str | None, float] = {}

    @property
    def synced(self) -> bool:
        """Whether every kind was listed once: the store may be believed."""
        return not self._unsynced

    @property
    def served(self) -> frozenset[str]:
        """The kinds that the API server serves, as far as is known."""
        return self._kinds - self._missing

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        """A watch showed something: ADDED, MODIFIED, DELETED, or None for an item of kopf's own LIST."""
        if self._in_flight.waits(event, obj):
            return
        self._enqueue(self._store.remove(obj) if event == "DELETED" else self._store.put(obj))

    def knows(self, kind: str, identity: Mapping[str, str]) -> bool:
        """Whether a watch need not show this state of an object: `Store.knows`."""
        return self._store.knows(kind, identity)

    def listing(self) -> None:
        """A LIST begins."""
        self._store.listing()

    def merge(self, items: Iterable[Mapping[str, Any]]) -> None:
        """One page of a LIST."""
        self._enqueue(self._store.merge(items))

    def gave_up(self) -> None:
        """A LIST has failed."""
        self._store.listed()

    def listed(
        self, kind: str, namespace: str | None, found: AbstractSet[str], version: int, *, served: bool = True
    ) -> None:
        """A LIST has ended, and these UIDs are all that there is; or the kind is not served at all."""
        self._enqueue(self._store.sweep(kind, namespace, found, version))
        if kind == KIND:
            self._wake_unready(namespace)
        if served:
            self._store.listed()
        if served is (kind in self._missing):
            # ShopServices may have been waiting for the kind, or have to do without it.
            self._missing ^= {kind}
            self._enqueue(self._store.keys())
        self._unsynced.discard((kind, namespace))
        self._observer_state()

    def _wake_unready(self, namespace: str | None) -> None:
        """Whatever it was that failed may have healed without an event."""
        now = self._clock()
        if now - self._woken.get(namespace, float("-inf")) >= _UNREADY_AGAIN:
            self._woken[namespace] = now
            self._enqueue(self._store.unready(namespace))

    def arrived(self, what: str) -> None:
        """What had to be awaited is known."""
        if (what, None) in self._unsynced:
            self._unsynced.discard((what, None))
            self._observer_state()

    def wake(self, keys: Iterable[Key]) -> None:
        """Something else that these ShopServices need has changed."""
        self._enqueue(keys)

    def lead(self, *, leads: bool) -> None:
        """The lease was won: every ShopService is reconciled. Or it was lost: nothing may be written any more."""
        self._leading = leads
        self._observer_state()
        if not leads:
            self._queue.clear()

    def tasks(self, workers: int) -> list[Callable[[], Any]]:
        """The coroutine functions that make the engine run, each to be run for ever."""
        return [self._work_forever] * workers

    def _observer_state(self) -> None:
        """Open or close the gate of the workers; opening it starts with a look at everything."""
        if not (self._leading and self.synced):
            self._go.clear()
        elif not self._go.is_set():
            self._go.set()
            self._woken = dict.fromkeys(self._woken, self._clock())
            self._enqueue(self._store.keys())

    def _enqueue(self, keys: Iterable[Key]) -> None:
        self._observer.shops(len(self._store))
        if self._go.is_set():
            for key in keys:
                self._queue.add(key)

    async def _work_forever(self) -> None:
        while True:
            await self._go.wait()
            key = await self._queue.get()
            try:
                await self._work(key)
            finally:
                self._queue.done(key)
            # A pass over what is well waits for nothing: thousands in a row must not keep the lease from being renewed.
            await asyncio.sleep(0)

    async def _work(self, key: Key) -> None:
        started = time.monotonic()
        result = "error"
        try:
            again = await self._passes.reconcile(key)
        except NotLeader as error:
            # The next leader does it; this is not an error.
            result = "requeue"
            _log.info("pass ended: %s", error, extra={"key": str(key)})
        except Contested as error:
            # Nothing has failed: a contested field is reverted less often than it is changed.
            result = "requeue_after"
            _log.info("pass will be repeated: %s", error, extra={"key": str(key), "reason": error.reason})
            self._queue.forget(key)
            self._queue.pause(key, error.retry_after or 0.0)
        except OperatorError as error:
            _log.info("pass will be repeated: %s", error, extra={"key": str(key), "reason": error.reason})
            self._queue.retry(key, after=error.retry_after if isinstance(error, TemporaryError) else None)
            self._observer.failed(*key)
        except Exception:  # noqa: BLE001  # a bug in one pass must cost the others nothing, nor be silent
            _log.exception("pass failed", extra={"key": str(key)})
            self._queue.retry(key)
            self._observer.failed(*key)
        else:
            self._queue.forget(key)
            if self._store.shop(key) is not None:
                self._observer.succeeded(*key)
            result = "success" if again is None else "requeue_after"
            if again is not None:
                self._queue.add_after(key, again)
        finally:
            self._observer.reconciled(result, time.monotonic() - started)
