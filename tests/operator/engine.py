"""The path from an event to a pass, as wiring.py builds it."""

import time
from collections.abc import Callable
from typing import Any

from shop_operator.cache.store import Store
from shop_operator.cache.synced import InitialLists, ServedKinds
from shop_operator.names import Key
from shop_operator.reconcile.gate import Gate, Wake
from shop_operator.reconcile.intake import Intake
from shop_operator.reconcile.queue import WorkQueue
from shop_operator.reconcile.runner import Passes, PassObserver, Workers


def idle(queue: WorkQueue[Any]) -> bool:
    """Whether no key waits, is processed or is due later."""
    return not (queue._dirty or queue._processing or queue._timers)


class Engine(Intake):
    """An intake with its workers; the store of a test may need to wake ShopServices before it is built."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue[Key],
        passes: Passes,
        observer: PassObserver,
        *kinds: str,
        count: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lists = InitialLists((kind, None) for kind in kinds)
        self.served = ServedKinds(kinds)
        gate = Gate(self.lists)
        self.wake = Wake(queue, gate)
        self.queue = queue
        self.workers = Workers(store, queue, gate, passes, observer)
        super().__init__(store, self.wake, gate, self.lists, self.served, count, clock=clock)
