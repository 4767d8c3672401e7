"""What a pass tells: the status, written once and not too often; Events; and why pods do not get ready.

A roll-out of many pods changes the Deployment's status many times a second. Nobody reads that fast, so a status that only
follows its children is written once a second at most; what a person has asked for (a new generation) is answered at once.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from shop_operator.conditions import READY, Observed, Repair, overdue, status, waiting
from shop_operator.dependencies import Dependencies
from shop_operator.errors import OperatorError, PermanentError, RolledBack, TemporaryError
from shop_operator.pods import Diagnosis, diagnosis, last_words
from shop_operator.render.labels import COMPONENT, NAME
from shop_operator.render.parts import parts
from shop_operator.spec import ShopService
from shop_operator.store import Key, Shop, Store

_log = logging.getLogger(__name__)

STATUS_PAUSE: Final = 1.0
# A pod that needs longer than this gets looked at, and again after a while.
_PATIENCE: Final = 5.0
_LOOK_AGAIN: Final = 15.0
# The Deployment controller says of a new version too that it is over its deadline, if it made its ReplicaSet before, until
# that shows progress. No version is really late any earlier: it is the shortest deadline that there is.
_DOUBT: Final = 10.0


class Api(Protocol):
    """What a report asks of the cluster; kube.Kube."""

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge-patch the status of exactly the ShopService of that version."""

    async def pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """The pods that a label selector finds."""

    async def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """The end of a container's log."""


class Teller(Protocol):
    """events.Events."""

    def tell(self, shop: ShopService, reason: str, note: str, *, warning: bool = False) -> None:
        """Something happened to a ShopService."""


class ReportObserver(Protocol):
    """Told what is worth counting; metrics.Metrics."""

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
        image: what runs in place of spec.image.
        dependencies: what the ShopService depends on.
        held: whether its pods wait for them.
    """

    problems: Sequence[OperatorError] = ()
    image: str | None = None
    dependencies: Dependencies | None = None
    held: bool = False


@dataclass
class _Memory:
    """Of one ShopService, until it is gone.

    Attributes:
        written: when its status was written last.
        repairs: what was put back and is not in the status yet.
        late: since when each Deployment has had pods that are not available; None before the first look of this process.
        looked: when those were looked at last, and what was found.
        overdue: which generation of a Deployment is said to be over its deadline, and since when.
    """

    written: float = float("-inf")
    repairs: list[Repair] = field(default_factory=list)
    late: dict[str, float] | None = None
    looked: dict[str, tuple[float, Diagnosis | None]] = field(default_factory=dict)
    overdue: dict[str, tuple[int, float]] = field(default_factory=dict)


class Reporter:
    """Writes statuses.

    Args:
        api: where to.
        store: what the children are like.
        events: where to tell what happens.
        observer: where to count it.
        wake: told of other ShopServices to which a status that was written is news.
        clock: a steady clock in seconds.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        events: Teller,
        observer: ReportObserver,
        wake: Callable[[Iterable[Key]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._store = store
        self._events = events
        self._observer = observer
        self._wake = wake
        self._clock = clock
        self._memory: dict[Key, _Memory] = {}

    def forget(self, key: Key) -> None:
        """The ShopService is gone."""
        self._memory.pop(key, None)
        self._observer.gone(*key)

    def repaired(self, key: Key, shop: ShopService, repair: Repair) -> None:
        """Something was put back that somebody had changed."""
        self._memory.setdefault(key, _Memory()).repairs.append(repair)
        self._observer.drifted(repair.object.partition(" ")[0])
        self._events.tell(shop, "DriftRepaired", str(repair), warning=True)

    async def report(self, key: Key, cached: Shop, shop: ShopService, outcome: Outcome) -> float | None:
        """Write what is true now, if that is not what the status says already.

        Returns:
            seconds until there may be more to say or to do, None when an event will tell.
        """
        previous = cached.object.get("status", {})
        memory = self._memory.setdefault(key, _Memory())
        children = {
            (child.kind, child.name): found.state
            for child, found in self._store.children(key).items()
            if found.controller == cached.uid
        }
        late = self._late(memory, children, outcome, previous)
        diagnoses, look = await self._diagnoses(memory, shop, late)
        surely, doubt = self._overdue(memory, children)
        observed = Observed(
            children=children,
            error=_worst([*outcome.problems, *_rolled_back(shop, previous, outcome)]),
            dependencies=outcome.dependencies,
            held=outcome.held,
            diagnoses=diagnoses,
            overdue=surely,
            repairs=memory.repairs,
        )
        wanted = status(shop, observed, previous)
        look = min((each for each in (look, doubt) if each is not None), default=None)
        self._count(key, wanted, observed.error)
        patch = merge_patch(previous, wanted)
        if not patch:
            return look
        pause = memory.written + STATUS_PAUSE - self._clock()
        if pause > 0 and previous.get("observedGeneration") == shop.generation:
            return pause
        written = await self._api.patch_status(key.namespace, key.name, version=cached.version, patch=patch)
        memory.written = self._clock()
        memory.repairs = []
        # Its own event will be none, since the store knows it already.
        self._wake(self._store.put(written) - {key})
        self._tell_changes(shop, previous, wanted)
        # The pods still run what was rejected.
        return 0 if _rejected(previous, wanted) else look

    def _count(self, key: Key, wanted: Mapping[str, Any], error: OperatorError | None) -> None:
        if isinstance(error, PermanentError):
            self._observer.terminal()
        states = {each["type"]: each for each in wanted["conditions"]}
        stalled = states["Stalled"]
        self._observer.status(
            *key,
            ready={"True": True, "False": False}.get(states[READY]["status"]),
            stalled=stalled["reason"] if stalled["status"] == "True" else None,
        )

    def _late(
        self,
        memory: _Memory,
        children: Mapping[tuple[str, str], Mapping[str, Any]],
        outcome: Outcome,
        previous: Mapping[str, Any],
    ) -> dict[str, float]:
        """Since when each Deployment has had pods that are not available."""
        found = (
            {} if any(isinstance(each, PermanentError) for each in outcome.problems) else waiting(children)
        )
        known = memory.late
        if known is None:
            # Of which an earlier process has told more than they do themselves, that one had looked at long ago.
            told = {
                each["name"]: each["message"]
                for each in previous.get("children", ())
                if each["kind"] == "Deployment" and not each["ready"]
            }
            known = {name: float("-inf") for name, said in found.items() if told.get(name, said) != said}
        memory.late = {name: known.get(name, self._clock()) for name in found}
        return memory.late

    def _overdue(
        self, memory: _Memory, children: Mapping[tuple[str, str], Mapping[str, Any]]
    ) -> tuple[frozenset[str], float | None]:
        """The Deployments that are over their deadline beyond doubt, and when there may be more of them."""
        now = self._clock()
        said = overdue(children)
        since = {name: at for name, (of, at) in memory.overdue.items() if said.get(name) == of}
        memory.overdue = {name: (of, since.get(name, now)) for name, of in said.items()}
        left = {name: at + _DOUBT - now for name, (_, at) in memory.overdue.items()}
        surely = frozenset(name for name, seconds in left.items() if seconds <= 0)
        return surely, min((seconds for seconds in left.values() if seconds > 0), default=None)

    async def _diagnoses(
        self, memory: _Memory, shop: ShopService, late: Mapping[str, float]
    ) -> tuple[dict[str, Diagnosis], float | None]:
        """What keeps pods from getting ready, and when to look again."""
        memory.looked = {name: found for name, found in memory.looked.items() if name in late}
        next_look: float | None = None
        for name, since in late.items():
            due = memory.looked[name][0] + _LOOK_AGAIN if name in memory.looked else since + _PATIENCE
            if due <= self._clock():
                memory.looked[name] = (self._clock(), await self._look(shop, name))
                due = self._clock() + _LOOK_AGAIN
            left = max(due - self._clock(), 0.1)
            next_look = left if next_look is None else min(next_look, left)
        found = {name: known for name, (_, known) in memory.looked.items() if known is not None}
        return found, next_look

    async def _look(self, shop: ShopService, deployment: str) -> Diagnosis | None:
        """Ask for the pods of a Deployment, and for the last words of the container that says the most."""
        component = next((part.component for part in parts(shop) if part.name == deployment), None)
        if component is None:
            return None
        try:
            pods = await self._api.pods(shop.namespace, f"{NAME}={shop.name},{COMPONENT}={component}")
            found = diagnosis(pods)
            if found is None or found.container is None:
                return found
            log = await self._api.log(shop.namespace, found.pod, found.container, previous=found.previous)
        except OperatorError as error:
            _log.info("pods not looked at: %s", error)
            return None
        said = last_words(log)
        return replace(found, message=f"{found.message}; its last words: {said}") if said else found

    def _tell_changes(
        self, shop: ShopService, previous: Mapping[str, Any], wanted: Mapping[str, Any]
    ) -> None:
        """Events for what a person would want to have seen happen."""
        before = {each["type"]: each for each in previous.get("conditions", ())}
        after = {each["type"]: each for each in wanted["conditions"]}
        ready, stalled = after[READY], after["Stalled"]
        if ready["status"] == "True" and before.get(READY, {}).get("status") != "True":
            self._events.tell(shop, READY, f"{wanted['ready']} pods of {shop.spec.image} are ready.")
        was_stalled = before.get("Stalled", {})
        if stalled["status"] == "True" and (was_stalled.get("status"), was_stalled.get("reason")) != (
            "True",
            stalled["reason"],
        ):
            self._events.tell(shop, stalled["reason"], stalled["message"], warning=True)
        waits = ready["reason"] == "WaitingForDependencies"
        if waits and before.get(READY, {}).get("reason") != ready["reason"]:
            self._events.tell(shop, ready["reason"], ready["message"])
        rejected = _rejected(previous, wanted)
        if rejected:
            self._observer.rolled_back()
            back = wanted["rollout"]["lastAvailableImage"]
            note = f"{back} is put back: {rejected} failed. {wanted['rollout']['message']}"
            self._events.tell(shop, "RollingBack", note, warning=True)


def _rejected(previous: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """The image that this status rejects, None when it rejects none or one that was rejected before."""
    before, now = ((each.get("rollout") or {}).get("rejectedImage") for each in (previous, wanted))
    return None if now == before else now


def image_in_place(shop: ShopService, previous: Mapping[str, Any]) -> str | None:
    """The image that runs in place of one that was rejected, None when the image of the spec does."""
    if not (shop.spec.rollout and shop.spec.rollout.auto_rollback):
        return None
    rollout = previous.get("rollout") or {}
    known: str | None = rollout.get("lastAvailableImage")
    return known if rollout.get("rejectedImage") == shop.spec.image else None


def _rolled_back(shop: ShopService, previous: Mapping[str, Any], outcome: Outcome) -> list[OperatorError]:
    if outcome.image is None:
        return []
    said = (previous.get("rollout") or {}).get("message", "")
    return [
        RolledBack(
            f"{shop.spec.image} could not be rolled out, and {outcome.image} runs again; change spec.image to go on. {said}"
        )
    ]


def _worst(problems: Sequence[OperatorError]) -> OperatorError | None:
    """What the status shows: what only a person can heal before what heals with time, the first of equals."""
    return min(problems, key=lambda problem: isinstance(problem, TemporaryError), default=None)


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7396) that turns one object into the other; empty when they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = merge_patch(before, value)
            if inner:
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch
