"""The status writer: writes a status at the end of a pass, if it has changed, and emits the Events about the change.

During a rollout of many pods, the status of the Deployment changes many times per second. Therefore a pass over the generation
that the status already describes writes it at most once per second. The status of a new generation is written at once.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.in_flight import InFlight
from shop_operator.cache.snapshot import Shop
from shop_operator.cache.store import Store
from shop_operator.errors import OperatorError, PermanentError
from shop_operator.names import Key
from shop_operator.objects.lenient import mapping
from shop_operator.objects.merge_patch import merge_patch
from shop_operator.status import announcements
from shop_operator.status.announcements import Announcement
from shop_operator.status.cause import READY
from shop_operator.status.compute import status
from shop_operator.status.deadlines import Lasted, observe, overdue_before
from shop_operator.status.diagnosis import Diagnosis
from shop_operator.status.diagnosis.reader import PodsApi, Reader
from shop_operator.status.drift import Repair
from shop_operator.status.memory import StatusMemories, StatusMemory
from shop_operator.status.observed import Observed
from shop_operator.status.outcome import Outcome, worst
from shop_operator.status.rollback.progress import not_rolled_back, rolled_back
from shop_operator.status.rollback.rejection import newly_rejected
from shop_operator.status.verdicts.verdict import Summaries

STATUS_PAUSE: Final = 1.0
"""Seconds between two writes of a status that only follows its children."""


class Api(PodsApi, Protocol):
    """The requests of the status writer; kubernetes.client.Kube."""

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge-patch the status of exactly that version of a ShopService."""


class Events(Protocol):
    """kubernetes.events.Events."""

    def tell(self, shop: ShopService, reason: str, note: str, *, warning: bool = False) -> None:
        """Emit an Event about a ShopService."""


class StatusObserver(Protocol):
    """observability.metrics.Metrics."""

    def drifted(self, kind: str) -> None:
        """Count a reverted modification."""

    def rolled_back(self) -> None:
        """Count a rejected release."""

    def terminal(self) -> None:
        """Count a pass with a permanent error."""

    def status(self, namespace: str, name: str, *, ready: bool | None, stalled: str | None) -> None:
        """Record the status of a ShopService."""

    def gone(self, namespace: str, name: str) -> None:
        """Drop the series of a ShopService that is deleted."""


class StatusWriter:
    """Writes the statuses of all ShopServices.

    Args:
        api: the cluster.
        store: the children.
        events: emits Events.
        observer: counts.
        wake: called with other ShopServices that are affected by a status that was written.
        clock: a steady clock in seconds.
        in_flight: holds back what a watch shows of a ShopService until the write of its status is answered.
        logs: whether a status may contain the last line of a container's log.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        events: Events,
        observer: StatusObserver,
        wake: Callable[[Iterable[Key]], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        in_flight: InFlight | None = None,
        logs: bool = False,
    ) -> None:
        self._in_flight = in_flight or InFlight()
        self._reader = Reader(api, clock, logs=logs)
        self._api = api
        self._store = store
        self._events = events
        self._observer = observer
        self._wake = wake
        self._clock = clock
        self._memories = StatusMemories()

    def forget(self, key: Key) -> None:
        """Drop everything remembered of a ShopService that is deleted."""
        self._memories.forget(key)
        self._observer.gone(*key)

    def clear(self) -> None:
        """Drop everything remembered: another replica of the operator leads now. The metrics are cleared by their owner."""
        self._memories.clear()

    def repaired(self, key: Key, shop: ShopService, repair: Repair) -> None:
        """Record a reverted modification."""
        self._remember(key, repair)
        self._emit(shop, [announcements.of_repair(repair)])

    def recreated(self, key: Key, shop: ShopService, child: str, count: int | None) -> None:
        """Record a child that another client had deleted and that was created again; with its count for a Deployment."""
        self._remember(key, Repair(child, (), ""))
        self._emit(shop, [announcements.of_recreation(child, count)])

    def _remember(self, key: Key, repair: Repair) -> None:
        self._memories.of(key).repairs.append(repair)
        self._observer.drifted(repair.object.partition(" ")[0])

    async def report(self, key: Key, cached: Shop, shop: ShopService, outcome: Outcome) -> float | None:
        """Write the status after a pass, if it has changed.

        Returns:
            seconds until the next look; None if the next event is early enough.
        """
        previous, memory = shop.status, self._memories.of(key)
        observed, look = await self._observe(memory, shop, self._children(key, cached), outcome)
        wanted = status(shop, observed, previous, made=outcome.pods)
        self._count(key, wanted, observed.error)
        patch = merge_patch(previous, wanted)
        if not patch:
            return look
        pause = memory.written + STATUS_PAUSE - self._clock()
        if pause > 0 and previous.get("observedGeneration") == shop.generation:
            return pause
        await self._write(key, cached, patch)
        memory.written = self._clock()
        memory.repairs = []
        self._emit(shop, announcements.of_change(shop, previous, wanted))
        # While the last good release runs, a rejection changes only in its words.
        rejected = None if observed.rolled_back else newly_rejected(previous, wanted)
        if not rejected:
            return look
        self._observer.rolled_back()
        self._emit(shop, [announcements.of_rejection(rejected, wanted)])
        # The pods still run the rejected release.
        return 0

    async def flawed(self, key: Key, cached: Shop, shop: ShopService, error: OperatorError) -> None:
        """Write the status of a ShopService that cannot be reconciled because of that error."""
        previous = mapping(cached.object.get("status"))
        wanted = status(shop, Observed({}, error=error), previous)
        self._count(key, wanted, error)
        patch = merge_patch(previous, wanted)
        if patch:
            await self._write(key, cached, patch)
            self._emit(shop, announcements.of_change(shop, previous, wanted))

    def _children(self, key: Key, cached: Shop) -> Summaries:
        return {
            (child.kind, child.name): found.state
            for child, found in self._store.children(key).items()
            if found.controller == cached.uid
        }

    async def _observe(
        self, memory: StatusMemory, shop: ShopService, children: Summaries, outcome: Outcome
    ) -> tuple[Observed, float | None]:
        """The observations of a pass, and the seconds until the next look."""
        before = overdue_before(memory, shop, children)
        diagnoses, look = await self._reader.read(
            memory, shop, outcome.pods or shop, children, outcome.problems
        )
        facts = observe(memory, shop, children, outcome, before=before, now=self._clock())
        looks = [each for each in (look, facts.next_look) if each is not None]
        return _observed(memory, shop, children, outcome, facts, diagnoses), min(looks, default=None)

    async def _write(self, key: Key, cached: Shop, patch: Mapping[str, Any]) -> None:
        """Write a status, which may affect other ShopServices."""
        with self._in_flight.writing(key):
            written = await self._api.patch_status(
                key.namespace, key.name, version=cached.version, patch=patch
            )
            self._wake(self._store.put(written) - {key})

    def _count(self, key: Key, wanted: Mapping[str, Any], error: OperatorError | None) -> None:
        if isinstance(error, PermanentError):
            self._observer.terminal()
        states = {each["type"]: each for each in wanted["conditions"]}
        stalled = states["Stalled"]
        self._observer.status(
            *key,
            ready=None if wanted.get("suspended") else states[READY]["status"] == "True",
            stalled=stalled["reason"] if stalled["status"] == "True" else None,
        )

    def _emit(self, shop: ShopService, events: Iterable[Announcement]) -> None:
        for each in events:
            self._events.tell(shop, each.reason, each.note, warning=each.warning)


def _observed(
    memory: StatusMemory,
    shop: ShopService,
    children: Summaries,
    outcome: Outcome,
    facts: Lasted,
    diagnoses: Mapping[str, Diagnosis],
) -> Observed:
    return Observed(
        children=children,
        error=worst([*outcome.problems, *_rollback(shop, outcome, children)]),
        dependencies=outcome.dependencies,
        held=outcome.held,
        diagnoses=diagnoses,
        overdue=facts.overdue,
        repairs=memory.repairs,
        scaling=facts.scaling,
        failed_autoscalers=facts.failed_autoscalers,
        uncreated=facts.uncreated,
        unobserved=facts.unobserved,
        idle=facts.idle,
        unmet=facts.unmet,
        release=outcome.release,
        rolled_back=outcome.pods is not None or bool(outcome.unrestored),
        notes=outcome.notes,
        overruled=outcome.overruled,
        retained=outcome.retained,
    )


def _rollback(shop: ShopService, outcome: Outcome, children: Summaries) -> list[OperatorError]:
    """The error about a rejected release; empty without one."""
    rollout = shop.status.get("rollout") or {}
    if outcome.unrestored:
        return [not_rolled_back(shop, outcome.unrestored, rollout)]
    return [rolled_back(shop, outcome.pods, children, rollout)] if outcome.pods is not None else []
