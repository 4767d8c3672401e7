"""One pass over one ShopService: observe, render, apply what differs, prune, write the status once.

The pass is level-based: it looks at what is, never at what happened, so it may run at any time, any number of
times, and after any crash. It reads from the informer's store only. A failing child never keeps the others from
being applied; all that went wrong is in the status at the end, and the worst of it decides what happens next.
"""

import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

from shop_operator.compare import HASH_ANNOTATION, applied_hash, drift, ports_patch
from shop_operator.conditions import Observed, status
from shop_operator.errors import (
    Conflict,
    Exists,
    InvalidSpec,
    NotLeader,
    OperatorError,
    Refused,
    Stale,
    TemporaryError,
    Terminating,
    Throttled,
    Unreachable,
)
from shop_operator.render import LiveScale, render
from shop_operator.spec import ShopService
from shop_operator.store import PARENT_KIND, Child, ChildId, Key, Scaler, Shop, Store

_log = logging.getLogger(__name__)

# A foreign object is not watched (it lacks our label), so a pass looks again whether it is still in the way.
CONFLICT_RECHECK: Final = 30.0


class Api(Protocol):
    """What a pass asks of the cluster; kube.Kube is one."""

    async def apply(
        self, configuration: Mapping[str, Any], *, uid: str | None, version: int | None = None
    ) -> dict[str, Any]:
        """Create (uid None), or update exactly the object of that UID (and version)."""

    async def share(self, configuration: Mapping[str, Any], *, uid: str) -> None:
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


class WriteObserver(Protocol):
    """Told of every child that was written; metrics.Metrics is one."""

    def wrote(self, kind: str, operation: str) -> None:
        """Operation is create, update or delete."""


@dataclass(frozen=True)
class Wanted:
    """One child as it shall be.

    Attributes:
        key: its ShopService.
        owner: the UID of its ShopService.
        configuration: the apply configuration, as rendered.
        seen: the version of the live child that it was rendered from, None when there was none.
    """

    key: Key
    owner: str
    configuration: Mapping[str, Any]
    seen: int | None = None

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
    """Makes ShopServices true, one key at a time."""

    def __init__(self, api: Api, store: Store, observer: WriteObserver) -> None:
        self._api = api
        self._store = store
        self._observer = observer
        # (hash, paths) of fields that the API server or a webhook did not take as we sent them. Applying them
        # again would change nothing, for ever.
        self._overruled: dict[Key, dict[ChildId, tuple[str, frozenset[str]]]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Bring the cluster in line with one ShopService.

        Returns:
            seconds until the next look, None when the next event is early enough.

        Raises:
            TemporaryError: something will heal with time; try again.
        """
        cached = self._store.shop(key)
        if cached is None:
            # Its children have owner references: the garbage collector deletes them, even without us.
            self._overruled.pop(key, None)
            return None
        obj = cached.object
        if "deletionTimestamp" in obj["metadata"]:
            return None
        previous = obj.get("status", {})
        problems: list[OperatorError] = []
        shop = ShopService.from_object(obj)
        try:
            desired = render(shop, live=self._live_scale(key))
        except InvalidSpec as error:
            await self._write_status(key, cached, shop, previous, [error])
            return None
        # Before the first wait: from then on the store may know more than the rendering did.
        seen = {child: live.version for child, live in self._store.children(key).items()}
        for configuration in desired:
            child = ChildId(configuration["kind"], configuration["metadata"]["name"])
            problems += await _attempt(self._ensure(Wanted(key, cached.uid, configuration, seen.get(child))))
        for surplus in self._surplus(key, cached.uid, desired):
            problems += await _attempt(self._prune(key, surplus))
        await self._write_status(key, cached, shop, previous, problems)
        return _next_look(problems)

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
        # One that was compared with an earlier configuration is ours and as we left it.
        if live is not None:
            _check_owner(wanted, live)
            differences = frozenset(drift(wanted.configuration, live))
            if _remembered(live) == wanted.digest and differences <= self._overruled_fields(wanted):
                self._store.settle(wanted.key, wanted.child, cached.digest, wanted.digest)
                return
        if differences:
            _log.info("applying", extra={"child": str(wanted), "fields": sorted(differences)})
        if cached.scaled_by is Scaler.OPERATOR and "replicas" not in wanted.configuration.get("spec", {}):
            await self._hand_over_replicas(wanted, cached)
        try:
            await self._apply(wanted, cached.uid, self._unmoved(wanted))
        except Refused:
            if not any("ports[" in path for path in differences):
                raise
            patch = ports_patch(wanted.configuration)
            child = wanted.child
            await self._api.patch(child.kind, wanted.key.namespace, child.name, uid=cached.uid, patch=patch)
            await self._apply(wanted, cached.uid)

    async def _create(self, wanted: Wanted) -> None:
        try:
            await self._apply(wanted, None)
        except Exists:
            child = wanted.child
            live = await self._api.get(child.kind, wanted.key.namespace, child.name)
            if live is None:
                raise Stale(f"{child} came and went while it was being created.") from None
            _check_owner(wanted, live)
            # Ours after all: the watch is behind, or somebody took our label off.
            await self._apply(wanted, live["metadata"]["uid"])

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
        scaled = ChildId("HorizontalPodAutoscaler", wanted.child.name) in self._store.children(wanted.key)
        return wanted.seen if scaled and "replicas" in wanted.configuration.get("spec", {}) else None

    async def _hand_over_replicas(self, wanted: Wanted, cached: Child) -> None:
        """Before we let go of spec.replicas, give it a second owner, so that the count stays."""
        metadata = wanted.configuration["metadata"]
        share = {
            "apiVersion": wanted.configuration["apiVersion"],
            "kind": wanted.child.kind,
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "spec": cached.state["spec"],
        }
        try:
            await self._api.share(share, uid=cached.uid)
        except Stale:
            # Somebody has set another count by now, and so owns it.
            _log.info("replicas have a new owner already", extra={"child": str(wanted)})

    def _surplus(self, key: Key, owner: str, desired: list[dict[str, Any]]) -> list[tuple[ChildId, Child]]:
        """Children that are ours by their controller and not wanted any more."""
        wanted = {ChildId(c["kind"], c["metadata"]["name"]) for c in desired}
        return [
            (child, cached)
            for child, cached in self._store.children(key).items()
            if child not in wanted and cached.controller == owner
        ]

    async def _prune(self, key: Key, surplus: tuple[ChildId, Child]) -> None:
        child, cached = surplus
        if "deletionTimestamp" in cached.state["metadata"]:
            return
        await self._api.delete(child.kind, key.namespace, child.name, uid=cached.uid)
        self._observer.wrote(child.kind, "delete")

    def _live_scale(self, key: Key) -> LiveScale | None:
        """How many replicas each Deployment is set to, and by whom; None before there is one."""
        children = self._store.children(key)
        deployments = {c.name: d for c, d in children.items() if c.kind == "Deployment"}
        if not deployments:
            return None
        # An autoscaler that has had nothing to do yet has left no trace on its Deployment.
        autoscalers = {c.name for c in children if c.kind == "HorizontalPodAutoscaler"}
        return LiveScale(
            replicas={name: cached.state["spec"]["replicas"] for name, cached in deployments.items()},
            ours={n for n, cached in deployments.items() if cached.scaled_by is Scaler.OPERATOR},
            autoscaled=autoscalers
            | {n for n, cached in deployments.items() if cached.scaled_by is Scaler.AUTOSCALER},
        )

    async def _write_status(
        self,
        key: Key,
        cached: Shop,
        shop: ShopService,
        previous: Mapping[str, Any],
        problems: list[OperatorError],
    ) -> None:
        """Write what is true now, if that is not what the status says already."""
        children = {
            (child.kind, child.name): found.state
            for child, found in self._store.children(key).items()
            if found.controller == cached.uid
        }
        wanted = status(shop, Observed(children=children, error=_worst(problems)), previous)
        patch = merge_patch(previous, wanted)
        if patch:
            self._store.put(
                await self._api.patch_status(key.namespace, key.name, version=cached.version, patch=patch)
            )


async def _attempt(step: Coroutine[Any, Any, None]) -> list[OperatorError]:
    """What went wrong in one step, so that the next one is still taken; unless it would fail alike."""
    try:
        await step
    except (NotLeader, Unreachable, Throttled):
        raise
    except OperatorError as error:
        return [error]
    return []


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
    controller = next((r for r in metadata.get("ownerReferences", ()) if r.get("controller")), None)
    if controller is not None and controller["uid"] == wanted.owner:
        if "deletionTimestamp" in metadata:
            held = ", ".join(metadata.get("finalizers", ())) or "its grace period"
            raise Terminating(
                f"{child} is being deleted and waits for {held}; it is created again after that."
            )
        return
    if controller is None and _remembered(live) is not None:
        # We applied it, so it lost its owner reference: a hand edit, or `kubectl delete --cascade=orphan`.
        return
    if controller is None:
        whose = "is not managed by a ShopService"
    elif controller["kind"] == PARENT_KIND and "deletionTimestamp" in metadata:
        raise Terminating(f"{child} of a deleted ShopService is still being deleted.")
    else:
        whose = f"belongs to {controller['kind']} {controller['name']}"
    raise Conflict(
        f"{child} exists already and {whose}. Delete or rename it, or give this ShopService another name; "
        f"the operator looks again every {CONFLICT_RECHECK:.0f} s."
    )


def _next_look(problems: list[OperatorError]) -> float | None:
    """Raise what time heals; otherwise say when to look again at what only somebody else can heal."""
    for problem in problems:
        if isinstance(problem, TemporaryError) and not isinstance(problem, Terminating):
            raise problem
    return CONFLICT_RECHECK if any(isinstance(p, Conflict | Terminating) for p in problems) else None


def _worst(problems: list[OperatorError]) -> OperatorError | None:
    """The problem to show: one that only a person can solve before one that solves itself."""
    return min(problems, key=lambda p: isinstance(p, TemporaryError), default=None)


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
