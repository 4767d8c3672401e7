"""Keeps the parts in motion: events into the store and the queue, keys out of it into passes.

Everything here lives as long as the process. kopf may be started again underneath it (main.py) without the
store, the queue, the lease or a running pass being lost.
"""

import asyncio
import logging
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from shop_operator.errors import NotInstalled, NotLeader, OperatorError, TemporaryError
from shop_operator.queue import WorkQueue
from shop_operator.store import Key, Store

_log = logging.getLogger(__name__)

_LIST_RETRY: Final = 2.0
_RELIST_SETTLE: Final = 1.0
# How soon a kind is noticed whose CRD was installed.
_MISSING_RETRY: Final = 10.0


class Passes(Protocol):
    """reconcile.Reconciler."""

    async def reconcile(self, key: Key) -> float | None:
        """One pass; seconds until the next look, or None."""


class Page(Protocol):
    """kube.Page."""

    @property
    def items(self) -> list[dict[str, Any]]:
        """The objects."""

    @property
    def version(self) -> int:
        """The resourceVersion of the moment that all pages are of."""


class Lists(Protocol):
    """Where complete LISTs come from; kube.Kube."""

    def pages(self, kind: str, namespace: str | None) -> AsyncIterator[Page]:
        """All objects of one kind."""


class PassObserver(Protocol):
    """Told how every pass ended and how many ShopServices there are; metrics.Metrics."""

    def reconciled(self, result: str, took: float) -> None:
        """Result is success, error, requeue or requeue_after."""

    def shops(self, number: int) -> None:
        """The number of ShopServices in the store."""


class Engine:
    """The store, the queue and the workers of one process.

    Args:
        store: what the watches have shown.
        queue: the keys to reconcile.
        passes: the reconciler.
        lists: complete LISTs, to find what a watch missed.
        observer: the metrics.
        kinds: the kinds to list, and of those the ones whose CRD may be missing.
        namespaces: the namespaces to list; (None,) for all.
        resync: seconds between two LISTs of everything.
    """

    def __init__(  # the object graph is built in one place
        self,
        store: Store,
        queue: WorkQueue[Key],
        passes: Passes,
        lists: Lists,
        observer: PassObserver,
        *,
        kinds: Sequence[str],
        namespaces: Sequence[str | None],
        resync: float,
    ) -> None:
        self._store = store
        self._queue = queue
        self._passes = passes
        self._lists = lists
        self._observer = observer
        self._kinds = kinds
        self._namespaces = namespaces
        self._resync = resync
        self._unsynced = set(kinds)
        self._missing: set[str] = set()  # kinds that the API server does not serve
        self._stale: set[str] = set(kinds)  # kinds to list
        self._wake = asyncio.Event()
        self._go = asyncio.Event()  # set while leading with synced caches
        self._leading = False

    @property
    def synced(self) -> bool:
        """Whether every kind was listed once: the store may be believed."""
        return not self._unsynced

    @property
    def served(self) -> frozenset[str]:
        """The kinds that a LIST has found the API server to serve."""
        return frozenset(self._kinds) - self._unsynced - self._missing

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        """A watch showed something: ADDED, MODIFIED, DELETED, or None for an item of its own LIST."""
        self._enqueue(self._store.remove(obj) if event == "DELETED" else self._store.put(obj))

    def relisted(self, kind: str) -> None:
        """A watch began anew: what was deleted while it was away has no event, so compare with a LIST."""
        self._stale.add(kind)
        self._wake.set()

    def lead(self, *, leads: bool) -> None:
        """The lease was won: everything is to be looked at. Or lost: nothing of ours may be written."""
        self._leading = leads
        self._observer_state()
        if not leads:
            self._queue.clear()

    def tasks(self, workers: int) -> list[Callable[[], Any]]:
        """The coroutine functions that make the engine run, each to be run for ever."""
        return [self._list_forever, *[self._work_forever] * workers]

    async def _list_forever(self) -> None:
        full = self._next_full()
        while True:
            for kind in sorted(self._stale):
                await self._list(kind)
            if self._stale:
                await asyncio.sleep(_LIST_RETRY)
                continue
            now = time.monotonic()
            wait = min(full - now, _MISSING_RETRY) if self._missing else full - now
            try:
                async with asyncio.timeout(max(wait, 0)):
                    await self._wake.wait()
                    # A watch that breaks seldom breaks alone: let the others come, and list each once.
                    await asyncio.sleep(_RELIST_SETTLE * random.uniform(0.5, 1.5))  # noqa: S311
            except TimeoutError:
                self._stale |= self._missing
            self._wake.clear()
            if time.monotonic() >= full:
                self._stale |= set(self._kinds)
                full = self._next_full()

    def _next_full(self) -> float:
        return time.monotonic() + self._resync * random.uniform(0.8, 1.2)  # noqa: S311  # spread, not secrecy

    async def _list(self, kind: str) -> None:
        self._stale.discard(kind)
        self._store.listing()
        try:
            for namespace in self._namespaces:
                listed: set[str] = set()
                version = 0
                async for page in self._lists.pages(kind, namespace):
                    self._enqueue(self._store.merge(page.items))
                    listed.update(item["metadata"]["uid"] for item in page.items)
                    version = page.version
                self._enqueue(self._store.sweep(kind, namespace, listed, version))
        except NotInstalled:
            self._missing.add(kind)
            self._enqueue(self._store.sweep(kind, None, frozenset(), sys.maxsize))
        except OperatorError as error:
            _log.warning("list failed, trying again: %s", error, extra={"kind": kind})
            self._stale.add(kind)
            return
        else:
            if kind in self._missing:
                # Somebody may have been waiting for the kind.
                self._missing.discard(kind)
                self._enqueue(self._store.keys())
        finally:
            self._store.listed()
        if kind in self._unsynced:
            self._unsynced.discard(kind)
            self._observer_state()

    def _observer_state(self) -> None:
        """Open or close the gate of the workers; opening it starts with a look at everything."""
        if not (self._leading and self.synced):
            self._go.clear()
        elif not self._go.is_set():
            self._go.set()
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

    async def _work(self, key: Key) -> None:
        started = time.monotonic()
        result = "error"
        try:
            again = await self._passes.reconcile(key)
        except NotLeader as error:
            _log.info("pass ended: %s", error, extra={"key": str(key)})
        except TemporaryError as error:
            _log.info("pass will be repeated: %s", error, extra={"key": str(key), "reason": error.reason})
            self._queue.retry(key, after=error.retry_after)
        except Exception:  # noqa: BLE001  # a bug in one pass must cost the others nothing, nor be silent
            _log.exception("pass failed", extra={"key": str(key)})
            self._queue.retry(key)
        else:
            self._queue.forget(key)
            result = "success" if again is None else "requeue_after"
            if again is not None:
                self._queue.add_after(key, again)
        finally:
            self._observer.reconciled(result, time.monotonic() - started)
