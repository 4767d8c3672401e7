"""One pass over one ShopService: observe, render, apply what differs, prune, write the status once.

The pass is level-based: it looks at what is, never at what happened, so it may run at any time, any number of
times, and after any crash. It reads from the informer's store only. A failing child never keeps the others from
being applied; all that went wrong is in the status at the end, and the worst of it decides what happens next.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from shop_operator.api.v1alpha1.common_metadata import NOTHING, CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.hostnames import taken
from shop_operator.cache.in_flight import InFlight
from shop_operator.cache.live import live_scale, part_of, records, routes
from shop_operator.cache.snapshot import Child, Shop
from shop_operator.cache.store import Store
from shop_operator.errors import Exists, InternalError, InvalidSpec, OperatorError, Refused
from shop_operator.kubernetes.refusals import Refusals
from shop_operator.names import ChildId, Key
from shop_operator.objects.lenient import mapping, mappings, text
from shop_operator.objects.pod_security import Level
from shop_operator.reconcile.attempts import attempt, next_look
from shop_operator.reconcile.child import Api as ChildApi
from shop_operator.reconcile.child import Children, WriteObserver
from shop_operator.reconcile.child import Reports as ChildReports
from shop_operator.reconcile.memory import Memories
from shop_operator.reconcile.neighbours import Api as NeighboursApi
from shop_operator.reconcile.neighbours import Neighbours
from shop_operator.reconcile.network_policy import NetworkPolicies
from shop_operator.reconcile.prune import Api as PruneApi
from shop_operator.reconcile.prune import Prune
from shop_operator.reconcile.replicas import last_counts
from shop_operator.reconcile.retention import Ports, old_parents
from shop_operator.reconcile.wanted import Wanted
from shop_operator.render import LiveScale, Surroundings, account_name, configuration_uses, render
from shop_operator.render.configuration import Configuration, Digests, Use
from shop_operator.render.installed import left_out, not_installed
from shop_operator.render.route import parents
from shop_operator.status.dependencies import Dependencies, dependencies, now
from shop_operator.status.rollback import Release, in_place, last_good, release, rolls_back
from shop_operator.status.rollback import records as good_records
from shop_operator.status.writer import Outcome
from shop_operator.wording import listed as enumerated

_log = logging.getLogger(__name__)

# A release counts as tried once these are applied: its pods exist, whatever else fails.
_RELEASED: Final = ("ServiceAccount", "Deployment")
_NEXT_TURN: Final = 1.0


class Api(ChildApi, NeighboursApi, PruneApi, Protocol):
    """What a pass requires of the API server; implemented by kubernetes.client.Kube."""


class Reports(ChildReports, Protocol):
    """status.writer.Reporter."""

    async def report(self, key: Key, cached: Shop, shop: ShopService, outcome: Outcome) -> float | None:
        """Write the status; returns the seconds until it may change again."""

    async def flawed(self, key: Key, cached: Shop, shop: ShopService, error: OperatorError) -> None:
        """Write the status of a ShopService that cannot be reconciled because of that error."""

    def forget(self, key: Key) -> None:
        """The ShopService is gone."""


class Configs(Protocol):
    """cache.config_hashes.Configs."""

    async def digests(self, key: Key, uses: AbstractSet[Use]) -> Digests | None:
        """The digests of everything that is used; None if changes to configuration are not tracked."""

    def forget(self, key: Key) -> None:
        """The ShopService is gone."""


class Namespaces(Protocol):
    """namespaces.Namespaces."""

    def level(self, namespace: str) -> Level:
        """Its pod-security level."""

    def check(self, key: Key) -> None:
        """Check that the namespace of a ShopService is served.

        Raises:
            InvalidSpec: its namespace is protected.
        """


@dataclass(frozen=True)
class Read:
    """What a pass reads from the API server before it renders; None for what could not be read.

    Attributes:
        config: the configuration of the pods.
        calls: the ports on which pods that no NetworkPolicy restricts yet call each ShopService, by its name.
        undrained: seconds until it is to be asked again which pods may call an earlier port of the Service; 0: none may.
    """

    config: Configuration | None
    calls: Mapping[str, Collection[int]] | None
    undrained: float


@dataclass(frozen=True)
class Rendered:
    """What a pass applies.

    Attributes:
        desired: the children.
        around: the surroundings with which they are rendered.
        release: what the spec asks for, with automatic rollback; None when it is not known.
        unrestored: why the last good release is not in its place although it is rejected; empty when nothing keeps it away.
    """

    desired: list[dict[str, Any]]
    around: Surroundings
    release: Release | None = None
    unrestored: str = ""


class Reconciler:
    """Reconciles ShopServices, one key at a time.

    Args:
        api: the cluster.
        store: what the watches have shown of it.
        reporter: writes statuses.
        observer: counts writes.
        configs: digests of ConfigMaps and Secrets.
        served: the kinds that the API server serves.
        common: metadata of every child of all ShopServices.
        queue_endpoints: addresses that autoscaling.queue may have beside those of AWS; None for any.
        namespaces: what applies to the namespace of a ShopService.
        in_flight: keeps what a watch shows of a child until its apply is answered.
        now: the time.
        clock: a steady clock in seconds.
    """

    def __init__(  # noqa: PLR0913  the object graph is built in one place
        self,
        api: Api,
        store: Store,
        reporter: Reports,
        observer: WriteObserver,
        *,
        configs: Configs,
        served: Callable[[], AbstractSet[str]],
        namespaces: Namespaces,
        common: CommonMetadata = NOTHING,
        queue_endpoints: Sequence[str] | None = None,
        in_flight: InFlight | None = None,
        now: Callable[[], datetime] = now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._configs = configs
        self._served = served
        self._common = common
        self._queue_endpoints = queue_endpoints
        self._namespaces = namespaces
        self._now = now
        self._memories = Memories()
        self._refusals = Refusals(clock)
        self._telling_flaw = asyncio.Lock()
        self._neighbours = Neighbours(api, store, now)
        self._children = Children(
            api,
            store,
            reporter,
            observer,
            memories=self._memories,
            in_flight=in_flight or InFlight(),
            clock=clock,
        )
        self._policies = NetworkPolicies(store, self._neighbours, self._children)
        self._prune = Prune(
            api,
            store,
            observer,
            memories=self._memories,
            neighbours=self._neighbours,
            children=self._children,
            served=served,
            now=now,
        )

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
            # The garbage collector deletes its children, which have owner references.
            self._forget(key)
            return None
        obj = cached.object
        if "deletionTimestamp" in obj["metadata"]:
            return None
        shop = ShopService.from_object(obj)
        if cached.flaw is not None:
            return await self._tell_flaw(key, cached, shop, InvalidSpec(cached.flaw))
        try:
            outcome, looks = await self._judged(key, cached, shop)
        except OperatorError:
            raise
        except Exception as error:
            raise await self._failed(key, cached, shop, error) from error
        if any(isinstance(each, Refused) for each in outcome.problems):
            looks.append(self._refusals.next(key, shop.generation))
        else:
            self._refusals.forget(key)
        looks.append(next_look(outcome.problems))
        return min((each for each in looks if each is not None), default=None)

    async def _tell_flaw(self, key: Key, cached: Shop, shop: ShopService, flaw: InvalidSpec) -> float | None:
        """Report that the spec of a ShopService cannot be stored; returns the seconds until the next attempt, None once it is reported.

        The API server works for seconds on the status of one that is large. Of several at once each would take longer than
        the operator waits for an answer, and then again.
        """
        if self._telling_flaw.locked():
            return _NEXT_TURN
        async with self._telling_flaw:
            await self._reporter.flawed(key, cached, shop, flaw)
        return None

    async def _judged(self, key: Key, cached: Shop, shop: ShopService) -> tuple[Outcome, list[float | None]]:
        """Make one pass and report it; returns its outcome and the delays until the next one."""
        listed = _listed(shop.status)
        memory = self._memories.of(key)
        memory.unlisted = known = listed | memory.unlisted
        try:
            outcome, looks = await self._pass(key, cached, shop, known)
        except InvalidSpec as error:
            outcome, looks = Outcome([error]), []
        finally:
            self._remember(key, cached, listed)
            self._memories.tidy(key)
        return outcome, [*looks, await self._reporter.report(key, cached, shop, outcome)]

    async def _failed(self, key: Key, cached: Shop, shop: ShopService, error: Exception) -> InternalError:
        """Report a bug. Without this, the status would still describe an earlier pass."""
        _log.error("pass failed", extra={"key": str(key)}, exc_info=error)
        internal = InternalError(
            f"The operator failed with {type(error).__name__}, which is a bug; report it with the traceback from its log."
            " It retries."
        )
        await self._reporter.flawed(key, self._store.shop(key) or cached, shop, internal)
        return internal

    def _forget(self, key: Key) -> None:
        self._refusals.forget(key)
        self._memories.forget(key)
        self._configs.forget(key)
        self._reporter.forget(key)

    async def _pass(
        self, key: Key, cached: Shop, shop: ShopService, known: frozenset[ChildId]
    ) -> tuple[Outcome, list[float | None]]:
        """Bring the children in line with the spec; returns the outcome and the delays until the next pass.

        Args:
            key: of the ShopService.
            cached: it, as the store has it.
            shop: it.
            known: children that it has had.
        """
        self._namespaces.check(key)
        depends = dependencies(
            key.name,
            lambda name: self._store.shop(Key(key.namespace, name)),
            lambda: self._store.names(key.namespace),
            self._store.circle(key),
        )
        if shop.spec.suspend:
            return Outcome(dependencies=depends, pods=in_place(shop)), []
        config, unreadable = await self._configuration(key, shop)
        calls, unlisted = await self._neighbours.unruled_calls(key, shop)
        undrained, unseen = await self._neighbours.undrained(key, shop, cached.uid)
        read, unreadable = Read(config, calls, undrained), [*unreadable, *unlisted, *unseen]
        outcome, look = await self._make(key, cached, shop, known, depends, read)
        if any(isinstance(problem, Exists) for problem in outcome.problems):
            # The store now has an object that no watch shows, and the desired state depends on the observed state.
            outcome, look = await self._make(key, cached, shop, known, depends, read)
        if not outcome.problems:
            self._memories.of(key).unlisted = frozenset()
        return replace(outcome, problems=[*unreadable, *outcome.problems]), [look]

    async def _configuration(
        self, key: Key, shop: ShopService
    ) -> tuple[Configuration | None, list[OperatorError]]:
        """The configuration of its pods; None, and the reason, if it cannot be read."""
        uses = configuration_uses(shop)
        found: list[Configuration] = []

        async def read() -> None:
            digests = await self._configs.digests(key, frozenset().union(*uses.values()))
            found.append(Configuration(uses, digests))

        problems = await attempt(read())
        return (found[0] if found else None), problems

    async def _make(  # a pass has these and nothing else
        self,
        key: Key,
        cached: Shop,
        shop: ShopService,
        known: frozenset[ChildId],
        depends: Dependencies | None,
        read: Read,
    ) -> tuple[Outcome, float | None]:
        """Render, apply, prune. There is no await between rendering and the first write, so the render matches the store.

        Deployments stay as they are while their configuration cannot be read, and pods without a NetworkPolicy stay without
        one while it is not known what they call.
        """
        config = read.config
        children = self._store.children(key)
        lost = last_counts(key, children, self._store.lost(key), shop.status, known)
        wait = 0.0 if lost else self._wait(shop, depends, children)
        called = self._neighbours.called(key, cached.depends_on)
        held = self._neighbours.ports(key, shop, cached.uid, drained=not read.undrained)
        hostname_taken = self._hostname_taken(key, shop)
        around = Surroundings(
            dependencies={name: here[0] for name, here in called.items()},
            called_ports=called,
            old_ports=held.old,
            routed_port=held.routed,
            old_parents=_old_parents(shop, children, cached.uid),
            dependants=self._store.dependants(key),
            records=config.records(records(children)) if config else {},
            routes=routes(children, cached.uid),
            part_of=part_of(children, shop.spec.image),
            common=self._common,
            queue_endpoints=self._queue_endpoints,
            pod_security=self._namespaces.level(key.namespace),
            discovered=not hostname_taken,
            served=self._served(),
            hold=wait > 0,
        )
        made = self._rendered(key, cached, shop, around, config, depends, live_scale(children, lost))
        desired, around, asked = made.desired, made.around, made.release
        had = _existed(shop.status, known - children.keys(), self._store.lost(key).keys() | lost.keys())
        seen = {child: live.version for child, live in children.items()}
        problems: list[OperatorError] = [*hostname_taken, *not_installed(shop, around)]
        # Pods must not run as a ServiceAccount that belongs to another owner: its permissions are not the ShopService's.
        foreign_account = False
        applied = around.pods is None
        open_to = self._neighbours.unruled(key, shop, held, read.calls or {})
        desired, narrowing = self._policies.widened(key, cached.uid, desired, open_to)
        for configuration in desired:
            child = ChildId(configuration["kind"], configuration["metadata"]["name"])
            if (child.kind == "Deployment" and (config is None or foreign_account or made.unrestored)) or (
                child.kind == "NetworkPolicy" and read.calls is None
            ):
                continue
            problems += await self._prune.make_way(key, cached.uid, child)
            wanted = Wanted(key, shop, configuration, seen.get(child), again=child in known, had=child in had)
            failed = await attempt(self._children.ensure(wanted), problems)
            problems += failed
            applied &= not (failed and child.kind in _RELEASED)
            if failed and child.kind == "ServiceAccount":
                foreign_account = not self._prune.owns(key, cached.uid, child)
        waits = [wait] if around.hold else []
        if read.undrained and self._neighbours.awaits_drain(key, shop, cached.uid):
            waits.append(read.undrained)
        # The ServiceAccount that the pods name belongs to the user, even if the operator created it.
        kept = _ids(desired) | {ChildId("ServiceAccount", account_name(around.pods or shop))}
        if made.unrestored:
            kept |= _of_other_workloads(children, kept)
        failed, needed = await self._prune.clear_up(key, shop, known, kept)
        problems += failed
        waits += needed.values()
        problems += await attempt(self._policies.narrow(key, shop, desired, narrowing, waits), problems)
        self._store.forget_former(key, kept)
        if asked is not None:
            asked = replace(asked, applied=applied)
        outcome = Outcome(
            problems,
            pods=around.pods,
            unrestored=made.unrestored,
            release=asked,
            dependencies=depends,
            held=around.hold,
            notes=tuple(left_out(shop, around)),
            overruled=tuple(self._children.overruled(key, desired)),
            retained=(
                *_kept_ports(key, held),
                *_kept_gateways(around.old_parents),
                *map(str, needed),
                *self._policies.kept(key, narrowing),
            ),
        )
        return outcome, min(waits, default=None)

    def _rendered(
        self,
        key: Key,
        cached: Shop,
        shop: ShopService,
        around: Surroundings,
        config: Configuration | None,
        depends: Dependencies | None,
        live: LiveScale | None,
    ) -> Rendered:
        """Render the spec, or the last good release if the release of the spec was rejected.

        Raises:
            InvalidSpec: the spec cannot be rendered.
        """
        desired = render(shop, live=live, around=around)
        if around.hold or not rolls_back(shop):
            return Rendered(desired, around)
        there = frozenset(depends.ports if depends else ())
        labelled = part_of(self._store.children(key))
        # Configuration that cannot be read identifies a release no better than configuration that does not exist.
        asked = release(shop, desired, config or Configuration(), around, there, labelled)
        found = Rendered(desired, around, None if config is None else asked)
        rollout = mapping(shop.status.get("rollout"))
        rejected = asked.rejected_by(
            rollout, spec_changed=shop.status.get("observedGeneration") != shop.generation
        )
        good = last_good(shop, rollout) if rejected else None
        if good is None:
            return found
        try:
            back = self._around_good(key, cached, good, rollout, around)
            return replace(found, desired=render(shop, live=live, around=back), around=back)
        except InvalidSpec as error:
            return replace(found, unrestored=error.message)

    def _around_good(
        self, key: Key, cached: Shop, good: ShopService, rollout: Mapping[str, Any], around: Surroundings
    ) -> Surroundings:
        """The surroundings in which the last good release is rendered.

        Raises:
            InvalidSpec: its spec is not valid any more.
        """
        called = self._neighbours.called(key, {*cached.depends_on, *(good.spec.depends_on or ())})
        return replace(
            around,
            pods=good,
            records=good_records(rollout, around.records),
            dependencies={name: here[0] for name, here in called.items()},
            called_ports=called,
            part_of=part_of(self._store.children(key), good.spec.image),
        )

    def _hostname_taken(self, key: Key, shop: ShopService) -> list[OperatorError]:
        """The reason why the ShopService is not registered under its discovery hostname, if it is not."""
        hostname = shop.spec.discovery.hostname if shop.spec.discovery else ""
        holder = self._store.holder(hostname) if hostname else None
        if holder is None or holder == key:
            return []
        return [taken(hostname, holder.name if holder.namespace == key.namespace else None)]

    def _wait(
        self, shop: ShopService, depends: Dependencies | None, children: Mapping[ChildId, Child]
    ) -> float:
        """Seconds to wait before the first pods are created. Only the first pods of a ShopService wait."""
        began = "image" in shop.status or any(child.kind == "Deployment" for child in children)
        return 0.0 if depends is None or began else depends.wait(shop.created, self._now())

    def _remember(self, key: Key, cached: Shop, listed: frozenset[ChildId]) -> None:
        """Remember the children that the status does not list for a later pass.

        Args:
            key: of the ShopService.
            cached: it, as it was when the pass began.
            listed: the children that its status listed then.
        """
        now = self._store.shop(key)
        if now is None:
            return
        if now is not cached:
            listed = _listed(mapping(now.object.get("status")))
        children = self._store.children(key).items()
        present = {child for child, live in children if live.controller == cached.uid}
        memory = self._memories.of(key)
        memory.unlisted = (memory.unlisted | present) - listed


def _ids(configurations: Iterable[Mapping[str, Any]]) -> frozenset[ChildId]:
    return frozenset(ChildId(each["kind"], each["metadata"]["name"]) for each in configurations)


def _of_other_workloads(
    children: Mapping[ChildId, Child], wanted: AbstractSet[ChildId]
) -> frozenset[ChildId]:
    """The Deployments that are not desired, with their autoscalers and disruption budgets."""
    unwanted = {child.name for child in children if child.kind == "Deployment"} - {
        child.name for child in wanted if child.kind == "Deployment"
    }
    return frozenset(child for child in children if child.name in unwanted)


def _listed(status: Mapping[str, Any]) -> frozenset[ChildId]:
    """The children that a ShopService's status lists."""
    children = mappings(status.get("children"))
    return frozenset(ChildId(text(each.get("kind")), text(each.get("name"))) for each in children)


def _old_parents(
    shop: ShopService, children: Mapping[ChildId, Child], owner: str
) -> dict[str, list[dict[str, Any]]]:
    """The references to Gateways that each HTTPRoute keeps for a while, by its name."""
    if not shop.spec.routes:
        return {}
    wanted = parents(shop)
    found = {
        child.name: old_parents(live.state, wanted)
        for child, live in children.items()
        if child.kind == "HTTPRoute" and live.controller == owner
    }
    return {name: refs for name, refs in found.items() if refs}


def _kept_ports(key: Key, held: Ports) -> Iterator[str]:
    if held.old:
        ports = enumerated([str(each) for each in held.old])
        yield f"port{'' if len(held.old) == 1 else 's'} {ports} of Service {key.name}"


def _kept_gateways(old: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for route, refs in sorted(old.items()):
        yield f"Gateway{'' if len(refs) == 1 else 's'} {enumerated([text(each.get('name')) for each in refs])} of HTTPRoute {route}"


def _existed(
    status: Mapping[str, Any], absent: AbstractSet[ChildId], lost: AbstractSet[str]
) -> frozenset[ChildId]:
    """The children that certainly existed. A status lists Deployments before they are created."""
    if not absent:
        return frozenset()
    children = mappings(status.get("children"))
    ready = {(c.get("kind"), c.get("name")) for c in children if c.get("ready")}
    return frozenset(
        child for child in absent if child.kind != "Deployment" or child.name in lost or child in ready
    )
