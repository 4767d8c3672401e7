"""The gate between the caches and the workers: it is open while this process leads and its caches are complete."""

import asyncio
from collections.abc import Iterable

from shop_operator.cache.synced import InitialLists
from shop_operator.names import Key
from shop_operator.reconcile.queue import WorkQueue


class Gate:
    """Opens once this process leads and all initial LISTs have ended; closes when it loses the Lease.

    Args:
        lists: the initial LISTs.
    """

    def __init__(self, lists: InitialLists) -> None:
        self._lists = lists
        self._leads = False
        self._opened = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether ShopServices may be reconciled."""
        return self._opened.is_set()

    async def opened(self) -> None:
        """Wait until ShopServices may be reconciled."""
        await self._opened.wait()

    def lead(self, *, leads: bool) -> bool:
        """Record whether this process leads; returns whether the gate has opened."""
        self._leads = leads
        return self.update()

    def update(self) -> bool:
        """Check the conditions again; returns whether the gate has opened."""
        if not (self._leads and self._lists.complete()):
            self._opened.clear()
            return False
        opens = not self._opened.is_set()
        self._opened.set()
        return opens


class Wake:
    """Enqueues ShopServices for another pass, while the gate is open.

    Args:
        queue: the keys to reconcile.
        gate: the gate.
    """

    def __init__(self, queue: WorkQueue[Key], gate: Gate) -> None:
        self._queue = queue
        self._gate = gate

    def __call__(self, keys: Iterable[Key]) -> None:
        """Enqueue keys; ignored while the gate is closed, since all keys are enqueued when it opens."""
        if self._gate.is_open:
            for key in keys:
                self._queue.add(key)
