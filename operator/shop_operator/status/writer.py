"""What a pass tells: the status, written once and not too often; Events; and why pods do not get ready.

A roll-out of many pods changes the Deployment's status many times a second. Nobody reads that fast, so a status that only
follows its children is written once a second at most; what a person has asked for (a new generation) is answered at once.
"""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from shop_operator.api.v1alpha1.reasons import REASONS
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.in_flight import InFlight
from shop_operator.cache.snapshot import Shop
from shop_operator.cache.store import Store
from shop_operator.errors import (
    InvalidSpec,
    OperatorError,
    PermanentError,
    TemporaryError,
)
from shop_operator.names import COMPONENT_LABEL, NAME_LABEL, Key
from shop_operator.objects.lenient import mapping
from shop_operator.objects.merge_patch import merge_patch
from shop_operator.render.workloads import workloads
from shop_operator.status.cause import CYCLE, MISSING, READY
from shop_operator.status.compute import status
from shop_operator.status.dependencies import GRACE, Dependencies
from shop_operator.status.diagnosis import (
    PULL,
    TEMPLATE_HASH,
    Diagnosis,
    diagnosis,
    hashes,
    last_line,
    latest,
    of_template,
    template_hash,
)
from shop_operator.status.drift import Repair
from shop_operator.status.memory import Memories, Memory
from shop_operator.status.observed import Observed
from shop_operator.status.rollback import Release
from shop_operator.status.rollback.progress import not_rolled_back, rolled_back
from shop_operator.status.rollback.rejection import newly_rejected
from shop_operator.status.verdicts.autoscaler import AUTOSCALERS, CANNOT_SCALE, failing
from shop_operator.status.verdicts.deployment import (
    OVER,
    SCALING,
    deadline_of,
    overdue,
    own_words,
    uncreated,
    waiting,
)
from shop_operator.status.verdicts.verdict import Summaries
from shop_operator.wording import LOG_LINE, printable, sentence, steady

_log = logging.getLogger(__name__)

STATUS_PAUSE: Final = 1.0
# Pods that take longer than this are inspected, and again after a while.
_PATIENCE: Final = 5.0
_LOOK_AGAIN: Final = 15.0
# The Deployment controller says of a new version too that it is over its deadline, if it made its ReplicaSet before, until
# that shows progress. No version is really late any earlier: it is the shortest deadline that there is.
_DOUBT: Final = 10.0
# An autoscaler has no measurement of pods that have just begun, nor while its metrics come back.
_UNSCALED: Final = 180.0


class Api(Protocol):
    """What a report asks of the cluster; kubernetes.client.Kube."""

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge-patch the status of exactly the ShopService of that version."""

    async def first_pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """The first pods, at most 100, that a label selector finds."""

    def replicasets(self, namespace: str, selector: str) -> AsyncGenerator[dict[str, Any]]:
        """The metadata of every ReplicaSet that a label selector finds."""

    async def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """The end of a container's log."""


class Teller(Protocol):
    """events.Events."""

    def tell(self, shop: ShopService, reason: str, note: str, *, warning: bool = False) -> None:
        """Something happened to a ShopService."""


class ReportObserver(Protocol):
    """Told what is worth counting; observability.metrics.Metrics."""

    def drifted(self, kind: str) -> None:
        """A child was put back."""

    def rolled_back(self) -> None:
        """An image was rejected."""

    def terminal(self) -> None:
        """A pass has found what only a person can change."""

    def status(self, namespace: str, name: str, *, ready: bool | None, stalled: str | None) -> None:
        """How a ShopService is."""

    def gone(self, namespace: str, name: str) -> None:
        """There is no such ShopService any more."""


@dataclass(frozen=True)
class Outcome:
    """How a pass went.

    Args:
        problems: what went wrong.
        pods: the ShopService with the last good release, where that runs in place of the spec's.
        unrestored: why the last good release cannot be put in place of the spec's, which is rejected; empty when it can.
        release: what the spec asks for, with automatic rollback.
        dependencies: what the ShopService depends on.
        held: whether its pods wait for them.
        notes: clauses about what the spec asks for and the cluster leaves out.
        overruled: the children with fields that the API server or a webhook has given other values than the spec.
        retained: what stays for pods and clients of an earlier release.
    """

    problems: Sequence[OperatorError] = ()
    pods: ShopService | None = None
    unrestored: str = ""
    release: Release | None = None
    dependencies: Dependencies | None = None
    held: bool = False
    notes: Sequence[str] = ()
    overruled: Sequence[str] = ()
    retained: Sequence[str] = ()


class Reporter:
    """Writes statuses.

    Args:
        api: where to.
        store: what the children are like.
        events: where to tell what happens.
        observer: where to count it.
        wake: told of other ShopServices to which a status that was written is news.
        clock: a steady clock in seconds.
        in_flight: keeps what a watch shows of a ShopService until the write of its status is answered.
        logs: whether the last line that a container has logged may be told in a status.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        events: Teller,
        observer: ReportObserver,
        wake: Callable[[Iterable[Key]], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        in_flight: InFlight | None = None,
        logs: bool = False,
    ) -> None:
        self._in_flight = in_flight or InFlight()
        self._logs = logs
        self._api = api
        self._store = store
        self._events = events
        self._observer = observer
        self._wake = wake
        self._clock = clock
        self._memories = Memories()

    def forget(self, key: Key) -> None:
        """Drop everything remembered of a ShopService that is deleted."""
        self._memories.forget(key)
        self._observer.gone(*key)

    def clear(self) -> None:
        """Drop everything remembered: another replica of the operator leads now. The metrics are cleared by their owner."""
        self._memories.clear()

    def repaired(self, key: Key, shop: ShopService, repair: Repair) -> None:
        """A modification was reverted."""
        self._memories.of(key).repairs.append(repair)
        self._observer.drifted(repair.object.partition(" ")[0])
        self._events.tell(shop, "DriftRepaired", str(repair), warning=True)

    def recreated(self, key: Key, shop: ShopService, child: str, count: int | None) -> None:
        """A child that another client had deleted was created again; of a Deployment with its count."""
        self._memories.of(key).repairs.append(Repair(child, (), ""))
        self._observer.drifted(child.partition(" ")[0])
        pods = "" if count is None else f" with {count} replica{'' if count == 1 else 's'}"
        note = f"{child} was deleted by another client and has been recreated{pods}."
        self._events.tell(shop, "Recreated", note, warning=True)

    async def report(self, key: Key, cached: Shop, shop: ShopService, outcome: Outcome) -> float | None:
        """Write what is true now, if that is not what the status says already.

        Returns:
            seconds until there may be more to say or to do, None when an event will tell.
        """
        previous = shop.status
        memory = self._memories.of(key)
        children = {
            (child.kind, child.name): found.state
            for child, found in self._store.children(key).items()
            if found.controller == cached.uid
        }
        found = overdue(children)
        told = _told_overdue(previous, shop.generation) if memory.late is None else ""
        sure = [(name, generation) for name, generation in found.items() if name == told]
        late = self._late(memory, shop, children, outcome, previous)
        made = outcome.pods or shop
        diagnoses, look = await self._diagnoses(memory, made, late, children, previous)
        now = self._clock()
        surely, doubt = memory.overdue.see(found.items(), now, _DOUBT, known=sure)
        unscaled, broken = memory.unscaled.see(
            failing(children), now, _UNSCALED, known=_known_unscaled(previous)
        )
        stuck, soon = self._uncreated(memory, shop, children, outcome)
        impossible = ["dependencies"] if outcome.dependencies and outcome.dependencies.impossible else []
        known = impossible if _known_unmet(previous) else []
        unmet, hopeless = memory.unmet.see(impossible, now, GRACE.total_seconds(), known=known)
        observed = Observed(
            children=children,
            error=_worst([*outcome.problems, *_rollback(shop, outcome, children)]),
            dependencies=outcome.dependencies,
            held=outcome.held,
            diagnoses=diagnoses,
            overdue=stuck | {name for name, _ in surely},
            repairs=memory.repairs,
            scaling=_scaling(memory, children, previous),
            unscaled=unscaled,
            uncreated=stuck,
            unmet=bool(unmet),
            release=outcome.release,
            rolled_back=outcome.pods is not None or bool(outcome.unrestored),
            notes=outcome.notes,
            overruled=outcome.overruled,
            retained=outcome.retained,
        )
        wanted = status(shop, observed, previous, made=outcome.pods)
        looks = (look, doubt, broken, soon, hopeless)
        look = min((each for each in looks if each is not None), default=None)
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
        # While the last good release runs, a rejection can only be told in other words.
        rejected = None if observed.rolled_back else newly_rejected(previous, wanted)
        self._tell_changes(shop, previous, wanted, rejected)
        # The pods still run what was rejected.
        return 0 if rejected else look

    async def flawed(self, key: Key, cached: Shop, shop: ShopService, error: OperatorError) -> None:
        """Write the status of a ShopService that there is no pass over, because of that error alone."""
        previous = mapping(cached.object.get("status"))
        wanted = status(shop, Observed({}, error=error), previous)
        self._count(key, wanted, error)
        patch = merge_patch(previous, wanted)
        if patch:
            await self._write(key, cached, patch)
            self._tell_changes(shop, previous, wanted)

    async def _write(self, key: Key, cached: Shop, patch: Mapping[str, Any]) -> None:
        """Write a status; to other ShopServices it may be news."""
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

    def _late(
        self,
        memory: Memory,
        shop: ShopService,
        children: Summaries,
        outcome: Outcome,
        previous: Mapping[str, Any],
    ) -> dict[str, float]:
        """Since when each Deployment has had pods that are not available."""
        found = (
            frozenset[str]()
            if any(isinstance(each, PermanentError) for each in outcome.problems)
            else waiting(children)
        )
        known = memory.late
        if known is None:
            # Of which an earlier process has told more than they do themselves, that one had looked at long ago.
            told = _told_deployments(previous)
            known = {
                name: float("-inf")
                for name in found & told.keys()
                if not _says(told[name], own_words(shop, name, children["Deployment", name]))
            }
        memory.late = {name: known.get(name, self._clock()) for name in sorted(found)}
        return memory.late

    def _uncreated(
        self,
        memory: Memory,
        shop: ShopService,
        children: Summaries,
        outcome: Outcome,
    ) -> tuple[frozenset[str], float | None]:
        """The Deployments that have had no ReplicaSet for as long as their deadline, and when to look again.

        Their controller does not count that time.
        """
        found = uncreated(children)
        if any(isinstance(each, InvalidSpec) for each in outcome.problems):
            return frozenset(), None
        told = (
            _told_deployments(shop.status) if shop.status.get("observedGeneration") == shop.generation else {}
        )
        known = [each for each in found if OVER in told.get(each[0], "")]
        deadline = deadline_of(outcome.pods or shop) if found else 0
        late, soon = memory.uncreated.see(found, self._clock(), deadline, known=known)
        return frozenset(name for name, _ in late), soon

    async def _diagnoses(
        self,
        memory: Memory,
        shop: ShopService,
        late: Mapping[str, float],
        children: Summaries,
        previous: Mapping[str, Any],
    ) -> tuple[dict[str, Diagnosis], float | None]:
        """What keeps pods from getting ready, and when to look again."""
        told = _told_deployments(previous)
        memory.looked = {name: found for name, found in memory.looked.items() if name in late}
        memory.words = {name: found for name, found in memory.words.items() if name in late}
        next_look: float | None = None
        for name, since in late.items():
            due = memory.looked[name][0] + _LOOK_AGAIN if name in memory.looked else since + _PATIENCE
            if due <= self._clock():
                state = children["Deployment", name]["status"]
                found = await self._look(memory, shop, name, state, told.get(name, ""))
                memory.looked[name] = (self._clock(), found)
                due = self._clock() + _LOOK_AGAIN
            left = max(due - self._clock(), 0.1)
            next_look = left if next_look is None else min(next_look, left)
        known = {name: found for name, (_, found) in memory.looked.items() if found is not None}
        return known, next_look

    async def _look(
        self, memory: Memory, shop: ShopService, deployment: str, state: Mapping[str, Any], told: str
    ) -> Diagnosis | None:
        """Ask for the pods of the newest template of a Deployment, and say what keeps them from being ready.

        Args:
            memory: of the ShopService.
            shop: it.
            deployment: the name of the Deployment.
            state: its status.
            told: what the ShopService's status says of it.
        """
        component = next(
            (workload.component for workload in workloads(shop) if workload.name == deployment), None
        )
        if component is None:
            return None
        selector = f"{NAME_LABEL}={shop.name},{COMPONENT_LABEL}={component}"
        _, before = memory.looked.get(deployment, (0.0, None))
        try:
            pods = await self._api.first_pods(shop.namespace, selector)
            found = diagnosis(await self._newest(shop.namespace, selector, pods, state))
            if found is None:
                return None
            if found.vague:
                return _definite(found, told if before is None else before.message)
            return await self._with_words(memory, shop.namespace, deployment, found)
        except OperatorError as error:
            _log.info("pods not inspected: %s", error)
            return before

    async def _newest(
        self, namespace: str, selector: str, pods: list[dict[str, Any]], state: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The pods of the newest template: an older one may have failed for another reason, and goes anyway."""
        alive = sum("deletionTimestamp" not in pod["metadata"] for pod in pods)
        updated, there = state.get("updatedReplicas", 0), state.get("replicas", 0)
        if updated >= max(alive, there):
            return pods
        if not updated and len(hashes(pods)) == 1 and there >= alive:
            return []
        template = await self._template(namespace, selector)
        if there <= alive or template is None:
            return of_template(pods, template)
        # There are more than the first page has, and those of the newest template may all be on a later one.
        return await self._api.first_pods(namespace, f"{selector},{TEMPLATE_HASH}={template}")

    async def _template(self, namespace: str, selector: str) -> str | None:
        """The pod-template-hash of the newest template."""
        found: Mapping[str, Any] | None = None
        async for each in self._api.replicasets(namespace, selector):
            found = latest((each,) if found is None else (found, each))
        return None if found is None else template_hash(found)

    async def _with_words(
        self, memory: Memory, namespace: str, deployment: str, found: Diagnosis
    ) -> Diagnosis:
        """With the last line of the log, where that is allowed: read once for a reason and a container."""
        if not self._logs or found.container is None:
            return found
        reason, container, said = memory.words.get(deployment, ("", "", ""))
        if (reason, container) != (found.reason, found.container) or not said:
            log = await self._api.log(namespace, found.pod, found.container, previous=found.previous)
            said = last_line(log)
            memory.words[deployment] = (found.reason, found.container, said)
        return replace(found, message=f"{found.message}{LOG_LINE}{said}") if said else found

    def _tell_changes(
        self,
        shop: ShopService,
        previous: Mapping[str, Any],
        wanted: Mapping[str, Any],
        rejected: str | None = None,
    ) -> None:
        """Events for what is worth seeing in `kubectl describe`; of a release that is rejected now, its image is given."""
        before = {each["type"]: each for each in previous.get("conditions", ())}
        after = {each["type"]: each for each in wanted["conditions"]}
        ready, stalled = after[READY], after["Stalled"]
        was = before.get(READY, {})
        if ready["reason"] == READY and was.get("status") != "True":
            self._events.tell(shop, READY, f"{wanted['ready']} pods of {shop.spec.image} are ready.")
        was_stalled = before.get("Stalled", {})
        stalls = stalled["status"] == "True" and (was_stalled.get("status"), was_stalled.get("reason")) != (
            "True",
            stalled["reason"],
        )
        known = REASONS.get(ready["reason"])
        warns = known is not None and known.warns and was.get("reason") != ready["reason"]
        if stalls or warns:
            self._events.tell(shop, ready["reason"], ready["message"], warning=True)
        waits = ready["reason"] == "WaitingForDependencies"
        if waits and was.get("reason") != ready["reason"]:
            self._events.tell(shop, ready["reason"], ready["message"])
        if rejected:
            self._observer.rolled_back()
            back = wanted["rollout"]["lastAvailableImage"]
            note = f"Rolled back to {back}: the rollout of {rejected} failed. {sentence(wanted['rollout']['message'])}"
            self._events.tell(shop, "RollingBack", note, warning=True)


def _scaling(memory: Memory, children: Summaries, previous: Mapping[str, Any]) -> frozenset[str]:
    """The Deployments whose wanted count has changed since they had as many pods as wanted."""
    found: dict[str, tuple[int, bool]] = {}
    for (kind, name), child in children.items():
        if kind != "Deployment":
            continue
        wanted, state = child["spec"].get("replicas", 1), child["status"]
        known = memory.scaling.get(name)
        if known is None:
            # An earlier process has seen it.
            told = (each for each in previous.get("children", ()) if each["name"] == name)
            changed = any(each["kind"] == kind and each["message"].startswith(SCALING) for each in told)
        else:
            changed = known[1] or known[0] != wanted
        seen = state.get("observedGeneration", 0) >= child["metadata"].get("generation", 0)
        there = state.get("replicas", 0) == state.get("availableReplicas", 0) == wanted
        found[name] = (wanted, changed and not (seen and there))
    memory.scaling = found
    return frozenset(name for name, (_, changes) in found.items() if changes)


def _known_unscaled(previous: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The autoscalers that an earlier process has given up."""
    for each in previous.get("children", ()):
        if each["kind"] in AUTOSCALERS and not each["ready"] and each["message"].startswith(CANNOT_SCALE):
            yield each["kind"], each["name"]


def _known_unmet(previous: Mapping[str, Any]) -> bool:
    """Whether an earlier process has waited for dependencies in vain."""
    return any(
        each["type"] == "Stalled" and each["status"] == "True" and each["reason"] in {MISSING, CYCLE}
        for each in previous.get("conditions", ())
    )


def _told_deployments(previous: Mapping[str, Any]) -> dict[str, str]:
    """What a status says of each Deployment that is not ready."""
    return {
        each["name"]: each["message"]
        for each in previous.get("children", ())
        if each["kind"] == "Deployment" and not each["ready"]
    }


def _says(told: str, words: Iterable[str]) -> bool:
    """Whether a status says one of these, as it would be written."""
    return any(steady(told, printable(each)) == told for each in words)


def _told_overdue(previous: Mapping[str, Any], generation: int) -> str:
    """The Deployment of which a status says, beyond doubt, that the rollout of this generation has failed; empty for none."""
    if previous.get("observedGeneration") != generation:
        return ""
    message: str = (previous.get("rollout") or {}).get("message", "")
    return message.removeprefix("Deployment ").partition(":")[0]


def _definite(vague: Diagnosis, told: str) -> Diagnosis:
    """A diagnosis without a cause, with the one that was told earlier of the same image."""
    same = told.partition(PULL)[0] == vague.message.partition(PULL)[0] and PULL in told
    return replace(vague, message=told.partition(OVER)[0], vague=False) if same else vague


def _rollback(shop: ShopService, outcome: Outcome, children: Summaries) -> list[OperatorError]:
    """The error of a release that is rejected; empty without one."""
    rollout = shop.status.get("rollout") or {}
    if outcome.unrestored:
        return [not_rolled_back(shop, outcome.unrestored, rollout)]
    return [rolled_back(shop, outcome.pods, children, rollout)] if outcome.pods is not None else []


def _worst(problems: Sequence[OperatorError]) -> OperatorError | None:
    """What the status shows: what only a person can heal before what heals with time, the first of equals."""
    return min(problems, key=lambda problem: isinstance(problem, TemporaryError), default=None)
