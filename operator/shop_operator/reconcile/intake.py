"""The path of an event: from a watch or a LIST into the store, and the keys that it concerns into the queue."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from shop_operator.cache.in_flight import InFlight
from shop_operator.cache.store import Store
from shop_operator.cache.synced import InitialLists, ServedKinds
from shop_operator.names import KIND, Key
from shop_operator.reconcile.gate import Gate, Wake

# Seconds. A watch that breaks often says nothing about what failed.
_UNREADY_AGAIN: Final = 60.0


class Intake:
    """A reflector.Sink for ShopServices and their children.

    Args:
        store: the cache of both.
        wake: enqueues keys.
        gate: opened here when the last initial LIST has ended.
        lists: the initial LISTs.
        served: the kinds that the API server serves.
        count: receives the number of ShopServices in the store.
        clock: a steady clock in seconds.

    Attributes:
        in_flight: holds an event of an object back until the operator's own write of that object is answered.
    """

    def __init__(
        self,
        store: Store,
        wake: Wake,
        gate: Gate,
        lists: InitialLists,
        served: ServedKinds,
        count: Callable[[int], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._wake = wake
        self._gate = gate
        self._lists = lists
        self._served = served
        self._count = count
        self._clock = clock
        # By namespace, when all of its ShopServices that are not ready were last enqueued.
        self._woken: dict[str | None, float] = {}
        self.in_flight = InFlight(self._store_event)

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        """Store an event of a watch: ADDED, MODIFIED or DELETED."""
        if not self.in_flight.waits(event, obj):
            self._store_event(event, obj)

    def _store_event(self, event: str | None, obj: Mapping[str, Any]) -> None:
        self._enqueue(self._store.remove(obj) if event == "DELETED" else self._store.put(obj))

    def knows(self, kind: str, identity: Mapping[str, str]) -> bool:
        """Whether a watch need not show this state of an object: `Store.knows`."""
        return self._store.knows(kind, identity)

    def begin_list(self) -> None:
        """Begin a LIST."""
        self._store.begin_list()

    def merge(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Store one page of a LIST."""
        self._enqueue(self._store.merge(items))

    def abort_list(self) -> None:
        """End a LIST that has failed."""
        self._store.end_list()

    def end_list(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None:
        """End a LIST that had exactly the objects with these UIDs."""
        self._sweep(kind, namespace, found, version)
        self._store.end_list()
        self._learn(kind, namespace, served=True)

    def not_served(self, kind: str, namespace: str | None) -> None:
        """Forget all objects of a kind that the API server does not serve."""
        self._sweep(kind, namespace, frozenset(), sys.maxsize)
        self._learn(kind, namespace, served=False)

    def _sweep(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None:
        self._enqueue(self._store.sweep(kind, namespace, found, version))
        if kind == KIND:
            self._wake_unready(namespace)

    def _learn(self, kind: str, namespace: str | None, *, served: bool) -> None:
        if self._served.learn(kind, served=served):
            # ShopServices may need the kind, or must do without it now.
            self._enqueue(self._store.keys())
        self.synced(kind, namespace)

    def synced(self, kind: str, namespace: str | None = None) -> None:
        """Record that an initial LIST has ended."""
        self._lists.end(kind, namespace)
        self._open_if(opens=self._gate.update())

    def wake_namespace(self, name: str) -> None:
        """Enqueue every ShopService of a namespace."""
        self._enqueue(self._store.in_namespace(name))

    def lead(self, *, leads: bool) -> None:
        """Enqueue every ShopService if the Lease was acquired; stop the workers if it was lost."""
        self._open_if(opens=self._gate.lead(leads=leads))

    def _open_if(self, *, opens: bool) -> None:
        if opens:
            self._woken = dict.fromkeys(self._woken, self._clock())
            self._enqueue(self._store.keys())

    def _wake_unready(self, namespace: str | None) -> None:
        """Enqueue what is not ready: the cause of a failure may have gone without an event."""
        now = self._clock()
        if now - self._woken.get(namespace, float("-inf")) >= _UNREADY_AGAIN:
            self._woken[namespace] = now
            self._enqueue(self._store.unready(namespace))

    def _enqueue(self, keys: Iterable[Key]) -> None:
        self._count(len(self._store))
        self._wake(keys)
