"""One pass over one ShopService: observe, render, apply what differs, prune, write the status once.

The pass is level-based: it looks at what is, never at what happened, so it may run at any time, any number of
times, and after any crash. It reads from the informer's store only. A failing child never keeps the others from
being applied; all that went wrong is in the status at the end, and the worst of it decides what happens next.
"""

import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Protocol

from shop_operator.compare import HASH_ANNOTATION, applied_hash, drift, ports_patch
from shop_operator.conditions import Repair
from shop_operator.dependencies import Dependencies, created, dependencies, now
from shop_operator.errors import (
    Conflict,
    Contested,
    Exists,
    InvalidSpec,
    NotInstalled,
    NotLeader,
    OperatorError,
    Refused,
    Stale,
    TemporaryError,
    Terminating,
    Throttled,
    Unreachable,
)
from shop_operator.render import LiveScale, Surroundings, account_name, config_references, render
from shop_operator.render.parts import parts
from shop_operator.report import Outcome, image_in_place
from shop_operator.spec import ShopService
from shop_operator.store import PARENT_KIND, Child, ChildId, Key, Scaler, Shop, Store

_log = logging.getLogger(__name__)

# A foreign object is not watched (it lacks our label), so a pass looks again whether it is still in the way.
CONFLICT_RECHECK: Final = 30.0
# Of a checksum: what variables come from cannot be read.
UNKNOWN: Final = "unknown"
_AUTOSCALERS: Final = ("HorizontalPodAutoscaler", "ScaledObject")
_REPAIRS: Final = 10.0
_REPAIR_PAUSE: Final = 2.0


class Api(Protocol):
    """What a pass asks of the cluster; kube.Kube is one."""

    async def apply(
        self, configuration: Mapping[str, Any], *, uid: str | None, version: int | None = None
    ) -> dict[str, Any]:
        """Create (uid None), or update exactly the object of that UID (and version)."""

    async def share(self, configuration: Mapping[str, Any], *, uid: str) -> dict[str, Any]:
        """Become a second owner of fields that have these values."""

    async def patch(
        self, kind: str, namespace: str, name: str, *, uid: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Strategic-merge-patch exactly the object of that UID."""

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """One object, None when there is none."""

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        """Delete exactly the object of that UID."""

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge-patch the status of exactly the ShopService of that version."""


class Reports(Protocol):
    """report.Reporter."""

    async def report(self, key: Key, cached: Shop, shop: ShopService, outcome: Outcome) -> float | None:
        """Write the status; seconds until there may be more to say."""

    def repaired(self, key: Key, shop: ShopService, repair: Repair) -> None:
        """Something was put back that somebody had changed."""

    def forget(self, key: Key) -> None:
        """The ShopService is gone."""


class Checksums(Protocol):
    """configs.Configs."""

    async def checksum(self, key: Key, references: AbstractSet[tuple[str, str]]) -> str | None:
        """The hash over all of them, None when there are none."""

    def forget(self, key: Key) -> None:
        """The ShopService is gone."""


class WriteObserver(Protocol):
    """Told of every child that was written; metrics.Metrics is one."""

    def wrote(self, kind: str, operation: str) -> None:
        """Operation is create, update or delete."""


class Patience:
    """How often something may be put back: ten times at once, then once in two seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = _REPAIRS
        self._at = clock()

    def spend(self, who: str) -> Contested | None:
        """Put back once.

        Returns:
            what to tell when that was the last time for now.

        Raises:
            Contested: it was put back too often, and not now.
        """
        now = self._clock()
        self._left = min(_REPAIRS, self._left + (now - self._at) / _REPAIR_PAUSE)
        self._at = now
        contested = Contested(
            f"{who} changes what the operator owns again and again; have it leave these fields alone."
            f" They are put back every {_REPAIR_PAUSE:.0f} s.",
            retry_after=_REPAIR_PAUSE,
        )
        if self._left < 1:
            raise contested
        self._left -= 1
        return contested if self._left < 1 else None


@dataclass(frozen=True)
class Wanted:
    """One child as it shall be.

    Attributes:
        key: its ShopService.
        shop: its ShopService.
        configuration: the apply configuration, as rendered.
        seen: the version of the live child that it was rendered from, None when there was none.
        again: there was one before.
    """

    key: Key
    shop: ShopService
    configuration: Mapping[str, Any]
    seen: int | None = None
    again: bool = False

    def __str__(self) -> str:
        return f"{self.key.namespace}: {self.child}"

    @property
    def child(self) -> ChildId:
        """Kind and name."""
        return ChildId(self.configuration["kind"], self.configuration["metadata"]["name"])

    @cached_property
    def digest(self) -> str:
        """The hash by which the configuration is known again."""
        return applied_hash(self.configuration)

    @property
    def signed(self) -> dict[str, Any]:
        """What is sent: the configuration with its own hash."""
        metadata = self.configuration["metadata"]
        annotations = {**metadata.get("annotations", {}), HASH_ANNOTATION: self.digest}
        return {**self.configuration, "metadata": {**metadata, "annotations": annotations}}


class Reconciler:
    """Makes ShopServices true, one key at a time.

    Args:
        api: the cluster.
        store: what the watches have shown of it.
        reporter: writes statuses.
        observer: counts writes.
        configs: hashes of ConfigMaps and Secrets.
        served: the kinds that the API server serves.
        now: the time.
        clock: a steady clock in seconds.
    """

    def __init__(  # the object graph is built in one place
        self,
        api: Api,
        store: Store,
        reporter: Reports,
        observer: WriteObserver,
        *,
        configs: Checksums,
        served: Callable[[], AbstractSet[str]],
        now: Callable[[], datetime] = now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._store = store
        self._reporter = reporter
        self._observer = observer
        self._configs = configs
        self._served = served
        self._now = now
        self._clock = clock
        # (hash, paths) of fields that the API server or a webhook did not take as we sent them. Applying them
        # again would change nothing, for ever.
        self._overruled: dict[Key, dict[ChildId, tuple[str, frozenset[str]]]] = {}
        self._repairs: dict[Key, Patience] = {}
        # Children that we have seen and that no status lists yet.
        self._unlisted: dict[Key, frozenset[ChildId]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Bring the cluster in line with one ShopService.

        Returns:
            seconds until the next look, None when the next event is early enough.

        Raises:
            TemporaryError: something will heal with time; try again.
        """
        self._store.forget_unwatched(key)
        cached = self._store.shop(key)
        if cached is None:
            # Its children have owner references: the garbage collector deletes them, even without us.
            self._forget(key)
            return None
        obj = cached.object
        if "deletionTimestamp" in obj["metadata"]:
            return None
        shop = ShopService.from_object(obj)
        self._unlisted[key] = known = _listed(obj) | self._unlisted.get(key, frozenset())
        try:
            outcome, looks = await self._pass(key, cached, shop, known)
        except InvalidSpec as error:
            outcome, looks = Outcome([error]), []
        finally:
            self._remember(key, cached.uid)
        looks.append(await self._reporter.report(key, cached, shop, outcome))
        looks.append(_next_look(outcome.problems))
        return min((each for each in looks if each is not None), default=None)

    def _forget(self, key: Key) -> None:
        self._overruled.pop(key, None)
        self._repairs.pop(key, None)
        self._unlisted.pop(key, None)
        self._configs.forget(key)
        self._reporter.forget(key)

    async def _pass(
        self, key: Key, cached: Shop, shop: ShopService, known: frozenset[ChildId]
    ) -> tuple[Outcome, list[float | None]]:
        """Make the children as they shall be; how that went, and when to look again.

        Args:
            key: of the ShopService.
            cached: it, as the store has it.
            shop: it.
            known: children that it has had.
        """
        depends = dependencies(key.name, lambda name: self._store.shop(Key(key.namespace, name)))
        if shop.spec.suspend:
            return Outcome(dependencies=depends), []
        checksum, unreadable = await self._checksum(key, shop)
        outcome, look = await self._make(key, cached, shop, known, depends, checksum)
        if any(isinstance(problem, Exists) for problem in outcome.problems):
            # What no watch shows is in the store now, and what shall be depends on what is.
            outcome, look = await self._make(key, cached, shop, known, depends, checksum)
        if not outcome.problems:
            self._unlisted.pop(key, None)
        return replace(outcome, problems=[*unreadable, *outcome.problems]), [look]

    async def _checksum(self, key: Key, shop: ShopService) -> tuple[str | None, list[OperatorError]]:
        """The hash of what variables come from; UNKNOWN and why, when it cannot be read."""
        found: list[str | None] = []

        async def read() -> None:
            found.append(await self._configs.checksum(key, config_references(shop)))

        problems = await _attempt(read())
        return (found[0] if found else UNKNOWN), problems

    async def _make(  # a pass has these and nothing else
        self,
        key: Key,
        cached: Shop,
        shop: ShopService,
        known: frozenset[ChildId],
        depends: Dependencies | None,
        checksum: str | None,
    ) -> tuple[Outcome, float | None]:
        """Render, apply, prune. From here to the first write nothing is waited for: what was rendered is what the store knew.

        Deployments stay as they are while nobody knows the checksum of their configuration.
        """
        obj, children = cached.object, self._store.children(key)
        wait = self._wait(obj, depends, children)
        around = Surroundings(
            dependencies=depends.ports if depends else {},
            dependants=self._store.dependants(key),
            checksum=checksum,
            unmarked=_unmarked(children),
            served=self._served(),
            image=image_in_place(shop, obj.get("status", {})),
            hold=wait > 0,
        )
        desired = render(shop, live=self._live_scale(key), around=around)
        seen = {child: live.version for child, live in children.items()}
        problems: list[OperatorError] = list(_not_installed(shop, around))
        for configuration in desired:
            child = ChildId(configuration["kind"], configuration["metadata"]["name"])
            if checksum == UNKNOWN and child.kind == "Deployment":
                continue
            wanted = Wanted(key, shop, configuration, seen.get(child), again=child in known)
            problems += await _attempt(self._ensure(wanted))
        # The ServiceAccount that the pods name is the user's now, even if it was made by us.
        kept = _ids(desired) | {ChildId("ServiceAccount", account_name(shop))}
        unseen = known - self._store.children(key).keys() - kept
        for child, live in self._surplus(key, cached.uid, kept):
            problems += await _attempt(self._let_go(key, shop, child, live))
        for child in unseen:
            problems += await _attempt(self._prune_unseen(key, child, cached.uid))
        outcome = Outcome(problems, image=around.image, dependencies=depends, held=around.hold)
        return outcome, wait if around.hold else None

    def _wait(
        self, obj: Mapping[str, Any], depends: Dependencies | None, children: Mapping[ChildId, Child]
    ) -> float:
        """Seconds for which there shall be no pods yet; only the very first ones ever wait."""
        began = "image" in obj.get("status", {}) or any(child.kind == "Deployment" for child in children)
        return 0.0 if depends is None or began else depends.wait(created(obj), self._now())

    async def _ensure(self, wanted: Wanted) -> None:
        """Make one child as desired: nothing, one apply, or a refusal to touch what is not ours."""
        cached = self._store.children(wanted.key).get(wanted.child)
        if cached is None:
            await self._create(wanted)
            return
        if cached.settled == wanted.digest:
            return
        live = cached.object
        differences: frozenset[str] = frozenset()
        drifted: list[str] = []
        # One that was compared with an earlier configuration is ours and as we left it.
        if live is not None:
            _check_owner(wanted, live)
            if not _controller(live):
                await self._check_stays(wanted)
            differences = frozenset(drift(wanted.configuration, live))
            marked = _remembered(live) == wanted.digest
            if marked and differences <= self._overruled_fields(wanted):
                self._store.settle(wanted.key, wanted.child, cached.digest, wanted.digest)
                return
            drifted = self._drifted(wanted, cached, differences, marked=marked)
        contested = None
        if drifted:
            _log.info(
                "putting back", extra={"child": str(wanted), "fields": drifted, "manager": cached.editor}
            )
            contested = self._spend(wanted, cached.editor)
        if cached.scaled_by is Scaler.OPERATOR and "replicas" not in wanted.configuration.get("spec", {}):
            await self._hand_over_replicas(wanted, cached)
        await self._update(wanted, cached.uid, differences, self._unmoved(wanted))
        repaired = [path for path in drifted if path not in self._overruled_fields(wanted)]
        if repaired:
            repair = Repair(str(wanted.child), tuple(repaired), cached.editor)
            self._reporter.repaired(wanted.key, wanted.shop, repair)
        if contested:
            raise contested

    def _drifted(
        self, wanted: Wanted, cached: Child, differences: AbstractSet[str], *, marked: bool
    ) -> list[str]:
        """The fields that somebody has changed; none when it is another configuration that is wanted now."""
        if not marked and cached.known != wanted.digest:
            return []
        # `kubectl rollout undo` takes the annotations of an earlier state along with its pods.
        mark = [] if marked else [f"metadata.annotations.{HASH_ANNOTATION}"]
        return sorted([*(differences - self._overruled_fields(wanted)), *mark])

    async def _check_stays(self, wanted: Wanted) -> None:
        """Pass only a ShopService that nobody has deleted, before a child that has no owner is given to it.

        `kubectl delete --cascade=orphan` marks it and then has its children let go, and the watches may show that first. With
        their owner back they would go with it. To write nothing for the version that is known is refused when it has moved.

        Raises:
            Stale: it is being deleted, was changed or is another one by now.
        """
        cached, key = self._store.shop(wanted.key), wanted.key
        if (
            cached is None
            or cached.uid != wanted.shop.uid
            or "deletionTimestamp" in cached.object["metadata"]
        ):
            raise Stale(f"{wanted.child} has no owner, and its ShopService has changed.")
        await self._api.patch_status(key.namespace, key.name, version=cached.version, patch={})

    def _spend(self, wanted: Wanted, who: str) -> Contested | None:
        """Something of this child is put back once more; `Patience.spend`."""
        patience = self._repairs.setdefault(wanted.key, Patience(self._clock))
        return patience.spend(f"{wanted.child}: {who or 'somebody'}")

    async def _create(self, wanted: Wanted) -> None:
        """Create it.

        Raises:
            Exists: it was there, and is in the store now.
        """
        try:
            await self._apply(wanted, None)
        except Exists:
            child = wanted.child
            live = await self._api.get(child.kind, wanted.key.namespace, child.name)
            if live is None:
                raise Stale(f"{child} came and went while it was being created.") from None
            _check_owner(wanted, live)
            # Ours after all: the watch is behind, or somebody took our label off.
            self._store.file(wanted.key, live)
            raise
        contested = self._spend(wanted, "") if wanted.again else None
        if contested:
            raise contested

    async def _update(
        self, wanted: Wanted, uid: str, differences: AbstractSet[str], version: int | None = None
    ) -> None:
        """Apply; when ports differ, whose keys an apply cannot change, take the others away first."""
        try:
            await self._apply(wanted, uid, version)
        except Refused:
            if not any("ports[" in path for path in differences):
                raise
            patch = ports_patch(wanted.configuration)
            child = wanted.child
            await self._api.patch(child.kind, wanted.key.namespace, child.name, uid=uid, patch=patch)
            await self._apply(wanted, uid)

    async def _apply(self, wanted: Wanted, uid: str | None, version: int | None = None) -> None:
        try:
            live = await self._api.apply(wanted.signed, uid=uid, version=version)
        except Stale:
            if uid is not None and version is None:
                # Gone, or replaced by an object of another UID: the next pass must not believe in it.
                self._store.discard(wanted.key, wanted.child, uid)
            raise
        self._observer.wrote(wanted.child.kind, "create" if uid is None else "update")
        self._store.put(live)
        overruled = frozenset(drift(wanted.configuration, live))
        if overruled:
            _log.warning(
                "fields were not taken as sent", extra={"child": str(wanted), "fields": sorted(overruled)}
            )
            self._overruled.setdefault(wanted.key, {})[wanted.child] = (wanted.digest, overruled)
        cached = self._store.children(wanted.key).get(wanted.child)
        if cached is not None and str(cached.version) == live["metadata"]["resourceVersion"]:
            self._store.settle(wanted.key, wanted.child, cached.digest, wanted.digest)

    def _overruled_fields(self, wanted: Wanted) -> frozenset[str]:
        known, fields = self._overruled.get(wanted.key, {}).get(wanted.child, ("", frozenset()))
        return fields if known == wanted.digest else frozenset()

    def _unmoved(self, wanted: Wanted) -> int | None:
        """The version that must still be the live one: an autoscaler may have set replicas a moment ago."""
        scaled = any(
            ChildId(kind, wanted.child.name) in self._store.children(wanted.key) for kind in _AUTOSCALERS
        )
        return wanted.seen if scaled and "replicas" in wanted.configuration.get("spec", {}) else None

    async def _hand_over_replicas(self, wanted: Wanted, cached: Child) -> None:
        """Before we let go of spec.replicas, give it a second owner, so that the count stays."""
        try:
            await self._share_replicas(wanted.key, wanted.child.name, cached)
        except Stale:
            # Somebody has set another count by now, and so owns it.
            _log.info("replicas have a new owner already", extra={"child": str(wanted)})

    async def _share_replicas(self, key: Key, deployment: str, cached: Child) -> None:
        """Own the live count of a Deployment, as what an autoscaler has left.

        Raises:
            Stale: it is another count by now.
        """
        share = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": deployment, "namespace": key.namespace},
            "spec": cached.state["spec"],
        }
        self._store.put(await self._api.share(share, uid=cached.uid))

    def _surplus(self, key: Key, owner: str, kept: AbstractSet[ChildId]) -> list[tuple[ChildId, Child]]:
        """Children that are ours by their controller and not wanted any more."""
        return [
            (child, cached)
            for child, cached in self._store.children(key).items()
            if child not in kept and cached.controller == owner
        ]

    async def _let_go(self, key: Key, shop: ShopService, child: ChildId, cached: Child) -> None:
        """Delete what is not wanted any more; of an autoscaler the count stays, also one that a person had set."""
        scaled = self._store.children(key).get(ChildId("Deployment", child.name))
        unwished = any(part.name == child.name and part.replicas is None for part in parts(shop))
        if child.kind in _AUTOSCALERS and unwished and scaled and scaled.scaled_by is Scaler.SOMEBODY:
            await self._share_replicas(key, child.name, scaled)
        await self._prune(key, child, cached)

    async def _prune(self, key: Key, child: ChildId, cached: Child) -> None:
        if "deletionTimestamp" in cached.state["metadata"]:
            return
        await self._api.delete(child.kind, key.namespace, child.name, uid=cached.uid)
        self._observer.wrote(child.kind, "delete")
        # It need not be looked for when the watch shows that it has gone; if a finalizer holds it, that shows it again.
        self._store.discard(key, child, cached.uid)

    async def _prune_unseen(self, key: Key, child: ChildId, owner: str) -> None:
        """Delete what is not wanted any more and was ours, if it is still there: somebody took our label off it."""
        if child.kind not in self._served():
            return
        live = await self._api.get(child.kind, key.namespace, child.name)
        if live is None or "deletionTimestamp" in live["metadata"] or _controller(live).get("uid") != owner:
            return
        await self._api.delete(child.kind, key.namespace, child.name, uid=live["metadata"]["uid"])
        self._observer.wrote(child.kind, "delete")

    def _remember(self, key: Key, owner: str) -> None:
        """Keep in mind what the status does not tell a later pass, or process, about children."""
        shop = self._store.shop(key)
        if shop is None:
            return
        children = self._store.children(key).items()
        present = {child for child, cached in children if cached.controller == owner}
        unlisted = (self._unlisted.get(key, frozenset()) | present) - _listed(shop.object)
        if unlisted:
            self._unlisted[key] = unlisted
        else:
            self._unlisted.pop(key, None)

    def _live_scale(self, key: Key) -> LiveScale | None:
        """How many replicas each Deployment is set to, and by whom; None before there is one."""
        children = self._store.children(key)
        deployments = {c.name: d for c, d in children.items() if c.kind == "Deployment"}
        if not deployments:
            return None
        # An autoscaler that has had nothing to do yet has left no trace on its Deployment.
        autoscalers = {c.name for c in children if c.kind in _AUTOSCALERS}
        return LiveScale(
            replicas={name: cached.state["spec"]["replicas"] for name, cached in deployments.items()},
            ours={n for n, cached in deployments.items() if cached.scaled_by is Scaler.OPERATOR},
            autoscaled=autoscalers
            | {n for n, cached in deployments.items() if cached.scaled_by is Scaler.AUTOSCALER},
        )


def _ids(configurations: Iterable[Mapping[str, Any]]) -> frozenset[ChildId]:
    return frozenset(ChildId(each["kind"], each["metadata"]["name"]) for each in configurations)


def _listed(obj: Mapping[str, Any]) -> frozenset[ChildId]:
    """The children that a ShopService's status lists."""
    children = obj.get("status", {}).get("children", ())
    return frozenset(ChildId(each["kind"], each["name"]) for each in children)


def _controller(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The owner reference that is the controller's; empty when there is none."""
    owners: Sequence[Mapping[str, Any]] = obj["metadata"].get("ownerReferences", ())
    return next((each for each in owners if each.get("controller")), {})


async def _attempt(step: Coroutine[Any, Any, None]) -> list[OperatorError]:
    """What went wrong in one step, so that the next one is still taken; unless it would fail alike."""
    try:
        await step
    except (NotLeader, Unreachable, Throttled):
        raise
    except OperatorError as error:
        return [error]
    return []


def _unmarked(children: Mapping[ChildId, Child]) -> dict[str, str | None]:
    """The Deployments whose pods carry no checksum, each with the one that it carries itself."""
    marks = {
        child.name: live.state.get("checksums") or (None, None)
        for child, live in children.items()
        if child.kind == "Deployment"
    }
    return {name: own for name, (own, of_pods) in marks.items() if of_pods is None}


def _not_installed(shop: ShopService, around: Surroundings) -> Iterator[OperatorError]:
    """What the spec asks for and the cluster cannot have yet; a watch tells when it can."""
    scaled = [part.name for part in parts(shop, around) if part.autoscaling and part.autoscaling.queue]
    if scaled and not around.serves("ScaledObject"):
        yield NotInstalled(
            f"{', '.join(scaled)}: scaling by a queue needs KEDA, which is not installed; install it, or take"
            " autoscaling.queue away."
        )


def _remembered(live: Mapping[str, Any]) -> str | None:
    hashed: str | None = live["metadata"].get("annotations", {}).get(HASH_ANNOTATION)
    return hashed


def _check_owner(wanted: Wanted, live: Mapping[str, Any]) -> None:
    """Pass only objects that this very ShopService controls and that are there to stay.

    Raises:
        Terminating: it is being deleted, or goes with a deleted ShopService of the same name.
        Conflict: it belongs to somebody else.
    """
    child, metadata = wanted.child, live["metadata"]
    controller = _controller(live)
    if controller.get("uid") == wanted.shop.uid:
        if "deletionTimestamp" in metadata:
            held = ", ".join(metadata.get("finalizers", ())) or "its grace period"
            raise Terminating(
                f"{child} is being deleted and waits for {held}; it is created again after that."
            )
        return
    if not controller and _remembered(live) is not None:
        # We applied it, so it lost its owner reference: a hand edit, or `kubectl delete --cascade=orphan`.
        return
    if not controller:
        whose = "is not managed by a ShopService"
    elif controller["kind"] == PARENT_KIND and "deletionTimestamp" in metadata:
        raise Terminating(f"{child} of a deleted ShopService is still being deleted.")
    else:
        whose = f"belongs to {controller['kind']} {controller['name']}"
    raise Conflict(
        f"{child} exists already and {whose}. Delete or rename it, or give this ShopService another name; "
        f"the operator looks again every {CONFLICT_RECHECK:.0f} s."
    )


def _next_look(problems: Sequence[OperatorError]) -> float | None:
    """Raise what time heals; otherwise say when to look again at what only somebody else can heal."""
    # That we leave somebody alone for a while is no failure, and must not hide one.
    for problem in sorted(problems, key=lambda each: isinstance(each, Contested)):
        if isinstance(problem, TemporaryError) and not isinstance(problem, Terminating | NotInstalled):
            raise problem
    return (
        CONFLICT_RECHECK
        if any(isinstance(p, Conflict | Terminating | NotInstalled) for p in problems)
        else None
    )
