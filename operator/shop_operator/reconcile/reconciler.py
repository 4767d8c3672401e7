"""One pass over one ShopService: observe, render, apply what differs, prune, write the status once.

The pass is level-based: it looks at what is, never at what happened, so it may run at any time, any number of
times, and after any crash. It reads from the informer's store only. A failing child never keeps the others from
being applied; all that went wrong is in the status at the end, and the worst of it decides what happens next.
"""

import asyncio
import logging
import time
from collections.abc import (
    AsyncGenerator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Protocol

from shop_operator.api.v1alpha1.common_metadata import NOTHING, CommonMetadata
from shop_operator.api.v1alpha1.spec import ShopService
from shop_operator.cache.hostnames import taken
from shop_operator.cache.in_flight import InFlight
from shop_operator.cache.store import Child, Scaler, Shop, Store, applied_by_operator
from shop_operator.errors import (
    Conflict,
    Contested,
    Exists,
    InternalError,
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
from shop_operator.kubernetes.refusals import Refusals
from shop_operator.names import (
    COMPONENT_LABEL,
    HASH_ANNOTATION,
    NAME_LABEL,
    OWN_MANAGERS,
    REPAIR_MANAGER,
    ChildId,
    Key,
)
from shop_operator.objects.clearing import cleared, fields_of_others
from shop_operator.objects.compare import applied_hash, drift
from shop_operator.objects.lenient import digits, mapping, mappings, text
from shop_operator.objects.network_rules import Rules
from shop_operator.objects.ownership import CONFLICT_RECHECK, check_owner, controller_of
from shop_operator.objects.pod_security import Level
from shop_operator.objects.rollouts import replaced
from shop_operator.objects.summary import LiveRoute
from shop_operator.objects.summary import calls as called_by
from shop_operator.reconcile.retention import (
    Ports,
    called_port,
    calls,
    earlier_rules,
    ended,
    former_callers,
    leaves_gateway,
    needed_rules,
    old_parents,
    ports,
    route_wait,
    served,
    unruled,
    uses_account,
    with_rules,
)
from shop_operator.render import LiveScale, Surroundings, account_name, configuration_uses, render
from shop_operator.render.configuration import Configuration, Digests, Record, Use
from shop_operator.render.installed import left_out, not_installed
from shop_operator.render.labels import WEB, worker_component
from shop_operator.render.parts import parts
from shop_operator.render.route import parents
from shop_operator.status.conditions import Repair
from shop_operator.status.dependencies import Dependencies, dependencies, now
from shop_operator.status.rollback import Release, in_place, last_good, release, rolls_back
from shop_operator.status.rollback import records as good_records
from shop_operator.status.writer import Outcome
from shop_operator.wording import listed as enumerated

_log = logging.getLogger(__name__)

_AUTOSCALERS: Final = ("HorizontalPodAutoscaler", "ScaledObject")
# An autoscaler is not among those who have set the count.
_FOREIGN: Final = (Scaler.OTHER, Scaler.SHARED)
_SCALERS: Final = (Scaler.AUTOSCALER, Scaler.KEDA)
# Without these a release is not tried; whatever else fails, its pods are there.
_RELEASED: Final = ("ServiceAccount", "Deployment")
# A zero of theirs is no decision to switch an autoscaler off.
_NO_CHOICE: Final = (Scaler.OPERATOR, Scaler.SHARED, Scaler.KEDA)
# An event tells earlier that what is still needed can go.
_LOOK_AGAIN: Final = 300.0
# No event tells that a pod which is being deleted has ended.
_DRAIN_LOOK: Final = 5.0
# Nor that one which still runs has been replaced, unless it is a dependant's.
_CALLERS_LOOK: Final = 30.0
_REPAIRS: Final = 10.0
_REPAIR_PAUSE: Final = 2.0
_ROOM_ATTEMPTS: Final = 4
_NEXT_TURN: Final = 1.0
# One kind may have a limit of its own. Of two, all others have it too.
_BUSY: Final = 2


class Api(Protocol):
    """What a pass asks of the cluster; kubernetes.client.Kube is one."""

    async def apply(
        self, configuration: Mapping[str, Any], *, uid: str | None, version: int | None = None
    ) -> dict[str, Any]:
        """Create (uid None), or update exactly the object of that UID (and version)."""

    async def share(self, configuration: Mapping[str, Any], *, uid: str) -> dict[str, Any]:
        """Become a second owner of fields that have these values."""

    async def rewrite(
        self, kind: str, namespace: str, name: str, *, version: int, parts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Replace parts of exactly the child of that version."""

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """One object, None when there is none."""

    def pods(self, namespace: str, selector: str) -> AsyncGenerator[dict[str, Any]]:
        """Every pod that a label selector finds; closed, or gone through to its end, by the caller."""

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        """Delete exactly the object of that UID."""

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge-patch the status of exactly the ShopService of that version."""


class Reports(Protocol):
    """status.writer.Reporter."""

    async def report(self, key: Key, cached: Shop, shop: ShopService, outcome: Outcome) -> float | None:
        """Write the status; seconds until there may be more to say."""

    async def flawed(self, key: Key, cached: Shop, shop: ShopService, error: OperatorError) -> None:
        """Write the status of a ShopService that there is no pass over, because of that error alone."""

    def repaired(self, key: Key, shop: ShopService, repair: Repair) -> None:
        """Something was put back that somebody had changed."""

    def recreated(self, key: Key, shop: ShopService, child: str, count: int | None) -> None:
        """A child that another client had deleted was created again."""

    def forget(self, key: Key) -> None:
        """The ShopService is gone."""


class Configs(Protocol):
    """cache.config_hashes.Configs."""

    async def digests(self, key: Key, uses: AbstractSet[Use]) -> Digests | None:
        """The digests of all that is used; None when changes of the configuration are not followed."""

    def forget(self, key: Key) -> None:
        """The ShopService is gone."""


class WriteObserver(Protocol):
    """Told of every child that was written; observability.metrics.Metrics is one."""

    def wrote(self, kind: str, operation: str) -> None:
        """Operation is create, update or delete."""


class Namespaces(Protocol):
    """namespaces.Namespaces."""

    def level(self, namespace: str) -> Level:
        """Its pod-security level."""

    def check(self, key: Key) -> None:
        """Pass only ShopServices of namespaces that are served.

        Raises:
            InvalidSpec: its namespace is protected.
        """


class Patience:
    """How often something may be put back: ten times at once, then once in two seconds."""

    def __init__(self, clock: Callable[[], float], left: float = _REPAIRS) -> None:
        self._clock = clock
        self._left = left
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
            f"{who} keeps overwriting operator-managed fields; configure it to ignore them. The operator reverts them"
            f" at most every {_REPAIR_PAUSE:.0f} s.",
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
        again: there was one before, or it was wanted before.
        had: there was one before, which another client must have deleted when it is not there.
    """

    key: Key
    shop: ShopService
    configuration: Mapping[str, Any]
    seen: int | None = None
    again: bool = False
    had: bool = False

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


@dataclass(frozen=True)
class Read:
    """What a pass has asked the API server for before it renders; None for what could not be read.

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
    """What a pass shall apply.

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


@dataclass(frozen=True)
class Narrowing:
    """A NetworkPolicy that admits more than it shall.

    Attributes:
        policy: its apply configuration, as rendered.
        rules: what the live one admits beside that, by direction.
    """

    policy: Mapping[str, Any]
    rules: Rules


class Reconciler:
    """Makes ShopServices true, one key at a time.

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
        self._api = api
        self._store = store
        self._reporter = reporter
        self._observer = observer
        self._configs = configs
        self._served = served
        self._common = common
        self._queue_endpoints = queue_endpoints
        self._namespaces = namespaces
        self._in_flight = in_flight or InFlight()
        self._now = now
        self._clock = clock
        # (hash, paths) of fields that the API server or a webhook did not take as we sent them. Applying them
        # again would change nothing, for ever.
        self._overruled: dict[Key, dict[ChildId, tuple[str, frozenset[str]]]] = {}
        # Those of them that have another value now.
        self._differing: dict[Key, dict[ChildId, tuple[str, frozenset[str]]]] = {}
        self._repairs: dict[Key, Patience] = {}
        self._refusals = Refusals(clock)
        self._telling_flaw = asyncio.Lock()
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
        looks.append(_next_look(outcome.problems))
        return min((each for each in looks if each is not None), default=None)

    async def _tell_flaw(self, key: Key, cached: Shop, shop: ShopService, flaw: InvalidSpec) -> float | None:
        """Say of a ShopService that its spec cannot be kept; seconds until its turn, None when that is said.

        The API server works for seconds on the status of one that is large. Of several at once each would take longer than
        the operator waits for an answer, and then again.
        """
        if self._telling_flaw.locked():
            return _NEXT_TURN
        async with self._telling_flaw:
            await self._reporter.flawed(key, cached, shop, flaw)
        return None

    async def _judged(self, key: Key, cached: Shop, shop: ShopService) -> tuple[Outcome, list[float | None]]:
        """Make one pass and report it; how it went, and when to look again."""
        listed = _listed(shop.status)
        self._unlisted[key] = known = listed | self._unlisted.get(key, frozenset())
        try:
            outcome, looks = await self._pass(key, cached, shop, known)
        except InvalidSpec as error:
            outcome, looks = Outcome([error]), []
        finally:
            self._remember(key, cached, listed)
        return outcome, [*looks, await self._reporter.report(key, cached, shop, outcome)]

    async def _failed(self, key: Key, cached: Shop, shop: ShopService, error: Exception) -> InternalError:
        """Report a bug: a status that still says Ready would be about an earlier pass."""
        _log.error("pass failed", extra={"key": str(key)}, exc_info=error)
        internal = InternalError(
            f"The operator failed with {type(error).__name__}, which is a bug; report it with the traceback from its log."
            " It retries."
        )
        await self._reporter.flawed(key, self._store.shop(key) or cached, shop, internal)
        return internal

    def _forget(self, key: Key) -> None:
        self._refusals.forget(key)
        self._overruled.pop(key, None)
        self._differing.pop(key, None)
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
        calls, unlisted = await self._unruled_calls(key, shop)
        undrained, unseen = await self._undrained(key, shop, cached.uid)
        read, unreadable = Read(config, calls, undrained), [*unreadable, *unlisted, *unseen]
        outcome, look = await self._make(key, cached, shop, known, depends, read)
        if any(isinstance(problem, Exists) for problem in outcome.problems):
            # What no watch shows is in the store now, and what shall be depends on what is.
            outcome, look = await self._make(key, cached, shop, known, depends, read)
        if not outcome.problems:
            self._unlisted.pop(key, None)
        return replace(outcome, problems=[*unreadable, *outcome.problems]), [look]

    async def _configuration(
        self, key: Key, shop: ShopService
    ) -> tuple[Configuration | None, list[OperatorError]]:
        """The configuration of its pods; None, and why, when it cannot be read."""
        uses = configuration_uses(shop)
        found: list[Configuration] = []

        async def read() -> None:
            digests = await self._configs.digests(key, frozenset().union(*uses.values()))
            found.append(Configuration(uses, digests))

        problems = await _attempt(read())
        return (found[0] if found else None), problems

    async def _unruled_calls(
        self, key: Key, shop: ShopService
    ) -> tuple[dict[str, set[int]] | None, list[OperatorError]]:
        """What pods call that the first NetworkPolicy is about to restrict; None, and why, when it cannot be read."""
        children, policy = self._store.children(key), ChildId("NetworkPolicy", key.name)
        asked = shop.spec.network_policy is not None and shop.spec.network_policy.enabled
        if not asked or policy in children or policy in self._store.former(key):
            return {}, []
        deployments = [live.state for child, live in children.items() if child.kind == "Deployment"]
        found: dict[str, set[int]] = {}

        def note(calls: Mapping[str, int]) -> None:
            for name, port in calls.items():
                found.setdefault(name, set()).add(port)

        for state in deployments:
            note(state.get("calls", {}))

        async def read() -> None:
            async for pod in self._api.pods(key.namespace, f"{NAME_LABEL}={key.name}"):
                note(called_by(key.namespace, mappings(mapping(pod.get("spec")).get("containers"))))

        # A Deployment tells of its newest template only, and its counts not of pods that are being deleted.
        problems = await _attempt(read()) if deployments else []
        return None if problems else found, problems

    async def _undrained(self, key: Key, shop: ShopService, owner: str) -> tuple[float, list[OperatorError]]:
        """For how many seconds pods that may call an earlier port of the Service keep it; and why that cannot be told.

        A ShopService that has left this one out of its spec, or is gone, is no dependant, and its pods may still be there.
        """
        if not self._awaits_drain(key, shop, owner):
            return _DRAIN_LOOK, []
        seconds = _DRAIN_LOOK

        async def look() -> None:
            nonlocal seconds
            for name in sorted({key.name} | self._store.dependants(key)):
                if await self._draining(Key(key.namespace, name)):
                    return
            seconds = await self._called_on(key, self._ports(key, shop, owner, drained=False).old)

        problems = await _attempt(look())
        return seconds, problems

    async def _make(  # a pass has these and nothing else
        self,
        key: Key,
        cached: Shop,
        shop: ShopService,
        known: frozenset[ChildId],
        depends: Dependencies | None,
        read: Read,
    ) -> tuple[Outcome, float | None]:
        """Render, apply, prune. From here to the first write nothing is waited for: what was rendered is what the store knew.

        Deployments stay as they are while their configuration cannot be read, and pods without a NetworkPolicy stay without
        one while it is not known what they call.
        """
        config = read.config
        children = self._store.children(key)
        lost = self._last_counts(key, shop.status, known)
        wait = 0.0 if lost else self._wait(shop, depends, children)
        called = self._called(key, cached.depends_on)
        held = self._ports(key, shop, cached.uid, drained=not read.undrained)
        hostname_taken = self._hostname_taken(key, shop)
        around = Surroundings(
            dependencies={name: here[0] for name, here in called.items()},
            called_ports=called,
            old_ports=held.old,
            routed_port=held.routed,
            old_parents=_old_parents(shop, children, cached.uid),
            dependants=self._store.dependants(key),
            records=config.records(_records(children)) if config else {},
            routes=_routes(children, cached.uid),
            part_of=_part_of(children, shop.spec.image),
            common=self._common,
            queue_endpoints=self._queue_endpoints,
            pod_security=self._namespaces.level(key.namespace),
            discovered=not hostname_taken,
            served=self._served(),
            hold=wait > 0,
        )
        made = self._rendered(key, cached, shop, around, config, depends, self._live_scale(key, lost))
        desired, around, asked = made.desired, made.around, made.release
        had = _existed(shop.status, known - children.keys(), self._store.lost(key).keys() | lost.keys())
        seen = {child: live.version for child, live in children.items()}
        problems: list[OperatorError] = [*hostname_taken, *not_installed(shop, around)]
        # Pods must not run as an account of that name which is not ours: its rights are not the ShopService's to use.
        foreign_account = False
        applied = around.pods is None
        open_to = self._unruled(key, shop, held, read.calls or {})
        desired, narrowing = self._widened(key, cached.uid, desired, open_to)
        for configuration in desired:
            child = ChildId(configuration["kind"], configuration["metadata"]["name"])
            if (child.kind == "Deployment" and (config is None or foreign_account or made.unrestored)) or (
                child.kind == "NetworkPolicy" and read.calls is None
            ):
                continue
            problems += await self._make_way(key, cached.uid, child)
            wanted = Wanted(key, shop, configuration, seen.get(child), again=child in known, had=child in had)
            failed = await _attempt(self._ensure(wanted), problems)
            problems += failed
            applied &= not (failed and child.kind in _RELEASED)
            if failed and child.kind == "ServiceAccount":
                foreign_account = not self._owns(key, cached.uid, child)
        waits = [wait] if around.hold else []
        if read.undrained and self._awaits_drain(key, shop, cached.uid):
            waits.append(read.undrained)
        # The ServiceAccount that the pods name is the user's now, even if it was made by us.
        kept = _ids(desired) | {ChildId("ServiceAccount", account_name(around.pods or shop))}
        if made.unrestored:
            kept |= _of_other_parts(children, kept)
        failed, needed = await self._clear_up(key, shop, known, kept)
        problems += failed
        waits += needed.values()
        problems += await _attempt(self._narrow(key, shop, desired, narrowing, waits), problems)
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
            overruled=tuple(self._told_overruled(key, desired)),
            retained=(
                *_kept_ports(key, held),
                *_kept_gateways(around.old_parents),
                *map(str, needed),
                *self._kept_rules(key, narrowing),
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
        """Render the spec; where its release is rejected, the last good one in its place.

        Raises:
            InvalidSpec: the spec cannot be rendered.
        """
        desired = render(shop, live=live, around=around)
        if around.hold or not rolls_back(shop):
            return Rendered(desired, around)
        there = frozenset(depends.ports if depends else ())
        part_of = _part_of(self._store.children(key))
        # Configuration that cannot be read says as little about a release as what is away.
        asked = release(shop, desired, config or Configuration(), around, there, part_of)
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
        called = self._called(key, {*cached.depends_on, *(good.spec.depends_on or ())})
        return replace(
            around,
            pods=good,
            records=good_records(rollout, around.records),
            dependencies={name: here[0] for name, here in called.items()},
            called_ports=called,
            part_of=_part_of(self._store.children(key), good.spec.image),
        )

    async def _clear_up(
        self, key: Key, shop: ShopService, known: AbstractSet[ChildId], kept: AbstractSet[ChildId]
    ) -> tuple[list[OperatorError], dict[ChildId, float]]:
        """Delete what is not wanted any more; what went wrong, and for how many seconds the rest has to stay."""
        problems: list[OperatorError] = []
        needed: dict[ChildId, float] = {}
        unseen = known - self._store.children(key).keys() - kept

        async def release(child: ChildId, live: Child) -> None:
            seconds = await self._needed(key, child, live, kept)
            if seconds:
                needed[child] = seconds
            else:
                await self._let_go(key, shop, child, live)

        for child, live in self._surplus(key, shop.uid, kept):
            problems += await _attempt(release(child, live), problems)
        for child in unseen:
            problems += await _attempt(self._prune_unseen(key, child, shop.uid), problems)
        return problems, needed

    def _hostname_taken(self, key: Key, shop: ShopService) -> list[OperatorError]:
        """Why the ShopService is not registered under its discovery hostname, if so."""
        hostname = shop.spec.discovery.hostname if shop.spec.discovery else ""
        holder = self._store.holder(hostname) if hostname else None
        if holder is None or holder == key:
            return []
        return [taken(hostname, holder.name if holder.namespace == key.namespace else None)]

    def _last(self, key: Key, owner: str, child: ChildId) -> Child | None:
        """A Service or NetworkPolicy of the ShopService of that UID as it is, or as it was before another client deleted it."""
        found = self._store.children(key).get(child) or self._store.former(key).get(child)
        return found if found is not None and found.controller == owner else None

    def _unruled(
        self, key: Key, shop: ShopService, held: Ports, calls: Mapping[str, Collection[int]]
    ) -> dict[str, Rules]:
        """What is to be admitted where there has been no NetworkPolicy: what pods of an earlier template do."""
        if not any(child.kind == "Deployment" for child in self._store.children(key)):
            # Without a Deployment there are no pods that could call, or be called.
            return {}
        ports = {name: {*calls[name], *found} for name, found in self._called(key, calls).items()}
        called = {**{name: {*found} for name, found in calls.items()}, **ports}
        return {"rules": unruled(called, self._store.callers(key), (shop.spec.port, *held.old))}

    def _widened(
        self, key: Key, owner: str, desired: list[dict[str, Any]], open_to: Mapping[str, Rules]
    ) -> tuple[list[dict[str, Any]], Narrowing | None]:
        """The children, with a NetworkPolicy that still admits what is admitted now: that is narrowed at the end of a pass."""
        for at, wanted in enumerate(desired):
            if wanted["kind"] != "NetworkPolicy":
                continue
            child = ChildId("NetworkPolicy", wanted["metadata"]["name"])
            last = self._last(key, owner, child)
            if last is None and child in self._store.children(key):
                break
            rules = earlier_rules(open_to if last is None else last.state, wanted)
            if not rules or (last and _is_like(last, applied_hash(wanted))):
                break
            return [*desired[:at], with_rules(wanted, rules), *desired[at + 1 :]], Narrowing(wanted, rules)
        return desired, None

    def _kept_rules(self, key: Key, narrowing: Narrowing | None) -> Iterator[str]:
        """What a status says of a NetworkPolicy that was not narrowed to the end."""
        if narrowing is None:
            return
        child = ChildId("NetworkPolicy", narrowing.policy["metadata"]["name"])
        live = self._store.children(key).get(child)
        if live is not None and earlier_rules(live.state, narrowing.policy):
            yield f"earlier rules of {child}"

    async def _narrow(
        self,
        key: Key,
        shop: ShopService,
        desired: Iterable[Mapping[str, Any]],
        narrowing: Narrowing | None,
        waits: list[float],
    ) -> None:
        """Take what running pods and Gateways need no longer from what a NetworkPolicy admits."""
        if narrowing is None:
            return
        waits.append(_LOOK_AGAIN)
        if not self._all_replaced(key, desired):
            return
        former = former_callers(narrowing.rules, self._store.dependants(key))
        calling = {name for name in former if self._may_call(Key(key.namespace, name), key.name)}
        rules = needed_rules(narrowing.rules, calling, leaving_gateway=self._leaves_gateway(key, shop))
        if rules == narrowing.rules:
            return
        for name in sorted({key.name} | (former - calling)):
            if await self._draining(Key(key.namespace, name)):
                waits.append(_DRAIN_LOOK)
                return
        await self._ensure(Wanted(key, shop, with_rules(narrowing.policy, rules), again=True))

    def _all_replaced(self, key: Key, desired: Iterable[Mapping[str, Any]]) -> bool:
        """Whether every Deployment is as desired, and no pod of an earlier template of any is left."""
        live = {child: c for child, c in self._store.children(key).items() if child.kind == "Deployment"}
        wanted = {
            ChildId("Deployment", each["metadata"]["name"]): applied_hash(each)
            for each in desired
            if each["kind"] == "Deployment"
        }
        applied = all(child in live and _is_like(live[child], digest) for child, digest in wanted.items())
        return applied and all(replaced(each.state) for each in live.values())

    def _leaves_gateway(self, key: Key, shop: ShopService) -> bool:
        """Whether a Gateway that is not wanted any more may still send requests."""
        wanted = parents(shop) if shop.spec.routes else []
        return any(
            leaves_gateway(live.state, wanted)
            for child, live in self._store.children(key).items()
            if child.kind == "HTTPRoute" and live.controller == shop.uid
        )

    def _may_call(self, caller: Key, dependency: str) -> bool:
        """Whether pods of a ShopService may call a dependency that its spec no longer names."""
        return self._lags(caller) or any(
            calls(live.state, dependency)
            for child, live in self._store.children(caller).items()
            if child.kind == "Deployment"
        )

    def _lags(self, key: Key) -> bool:
        """Whether the children of a ShopService may not be those of its spec yet."""
        cached = self._store.shop(key)
        if cached is None:
            return False
        shop = ShopService.from_object(cached.object)
        seen = mapping(cached.object.get("status")).get("observedGeneration")
        return bool(seen != shop.generation or shop.document.get("suspend"))

    async def _draining(self, key: Key) -> bool:
        """Whether pods of a ShopService are being deleted, or are about to be since their Deployment is gone."""
        parts = {_component(key, child) for child in self._store.children(key) if child.kind == "Deployment"}
        async with aclosing(self._api.pods(key.namespace, f"{NAME_LABEL}={key.name}")) as pods:
            async for pod in pods:
                component = mapping(pod["metadata"].get("labels")).get(COMPONENT_LABEL)
                going = "deletionTimestamp" in pod["metadata"] or component not in parts
                if going and not ended(pod, self._now()):
                    return True
        return False

    async def _called_on(self, key: Key, ports: Collection[int]) -> float:
        """For how many seconds pods of an earlier release may go on to call this one on these ports; 0: there are none.

        A client that its spec tells one of these ports itself, without a dependency, has no release that moves it.
        """
        seconds = 0.0
        async with aclosing(self._api.pods(key.namespace, NAME_LABEL)) as pods:
            async for pod in pods:
                told = called_by(key.namespace, mappings(mapping(pod.get("spec")).get("containers")))
                port, labels = told.get(key.name), mapping(pod["metadata"].get("labels"))
                caller = Key(key.namespace, text(labels.get(NAME_LABEL)))
                if port not in ports or ended(pod, self._now()):
                    continue
                if self._tells(caller, labels.get(COMPONENT_LABEL), key.name) == port and not self._lags(
                    caller
                ):
                    continue
                if "deletionTimestamp" in pod["metadata"]:
                    return _DRAIN_LOOK
                seconds = _CALLERS_LOOK
        return seconds

    def _tells(self, caller: Key, component: Any, dependency: str) -> int | None:
        """The port of a dependency that the newest template of a part gives its pods."""
        return next(
            (
                live.state.get("calls", {}).get(dependency)
                for child, live in self._store.children(caller).items()
                if child.kind == "Deployment" and _component(caller, child) == component
            ),
            None,
        )

    def _called(self, key: Key, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """The ports on which each dependency answers, first the one to call; of one that does not exist those that pods are told.

        One that is deleted and created again then has its dependants rolled out only if it has another port.
        """
        found: dict[str, tuple[int, ...]] = {}
        for name in names:
            dependency = self._store.shop(Key(key.namespace, name))
            if dependency is None:
                told = self._told(key, name)
                found |= {name: told} if told else {}
                continue
            wanted = dependency.port
            last = self._last(Key(key.namespace, name), dependency.uid, ChildId("Service", name))
            state = None if last is None else last.state
            present: tuple[int, ...] = tuple((state or {}).get("ports", ()))
            found[name] = tuple(dict.fromkeys((served(wanted, state), wanted, *present)))
        return found

    def _told(self, key: Key, dependency: str) -> tuple[int, ...]:
        """The ports of a dependency that the Deployments give their pods, that of the web part first."""
        deployments = {
            child.name: live.state
            for child, live in self._store.children(key).items()
            if child.kind == "Deployment"
        }
        ordered = sorted(deployments, key=lambda name: (name != key.name, name))
        found = (deployments[name].get("calls", {}).get(dependency) for name in ordered)
        return tuple(dict.fromkeys(port for port in found if port))

    def _awaits_drain(self, key: Key, shop: ShopService, owner: str) -> bool:
        """Whether the Service has earlier ports that nothing but pods may need of which no Deployment of a dependant tells."""
        held = (self._ports(key, shop, owner, drained=drained) for drained in (False, True))
        return len(set(held)) > 1

    def _ports(self, key: Key, shop: ShopService, owner: str, *, drained: bool) -> Ports:
        """Which ports the Service keeps; `retention.ports`."""
        children = self._store.children(key)
        service = self._last(key, owner, ChildId("Service", key.name))
        if service is None:
            return Ports()
        state = service.state
        if state["ports"] in ([], [shop.spec.port]):
            return Ports()
        web = children.get(ChildId("Deployment", key.name))
        callers = [
            called_port(live.state, key.name)
            for name in self._store.dependants(key)
            for child, live in self._store.children(Key(key.namespace, name)).items()
            if child.kind == "Deployment"
        ]
        routes = [
            live.state
            for child, live in children.items()
            if child.kind == "HTTPRoute" and live.controller == owner
        ]
        return ports(shop.spec.port, state, web.state if web else None, callers, routes, drained=drained)

    async def _needed(self, key: Key, child: ChildId, live: Child, kept: AbstractSet[ChildId]) -> float:
        """Seconds for which a child that is not wanted any more has to stay unless an event ends that earlier; 0: it can go."""
        children = self._store.children(key)
        if child.kind == "ServiceAccount":
            deployments = [found.state for each, found in children.items() if each.kind == "Deployment"]
            if uses_account(child.name, deployments):
                return _LOOK_AGAIN
            return _DRAIN_LOOK if await self._draining(key) else 0.0
        if child.kind == "HTTPRoute":
            successors = [
                found.state if (found := children.get(each)) else None
                for each in kept
                if each.kind == "HTTPRoute"
            ]
            return route_wait(live.state, successors, self._now())
        return 0.0

    def _wait(
        self, shop: ShopService, depends: Dependencies | None, children: Mapping[ChildId, Child]
    ) -> float:
        """Seconds for which there shall be no pods yet; only the very first ones ever wait."""
        began = "image" in shop.status or any(child.kind == "Deployment" for child in children)
        return 0.0 if depends is None or began else depends.wait(shop.created, self._now())

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
            check_owner(wanted.child, live, wanted.key.name, wanted.shop.uid, applied=cached.applied)
            if not controller_of(live):
                await self._check_stays(wanted)
            differences = frozenset(drift(wanted.configuration, live))
            marked = _remembered(live) == wanted.digest
            if marked and differences <= self._overruled_fields(wanted) and not cached.unfinished:
                self._note_differing(wanted, differences)
                self._store.settle(wanted.key, wanted.child, cached.digest, wanted.digest)
                return
            drifted = self._drifted(wanted, cached, differences, marked=marked)
        who = cached.author(wanted.child.kind, drifted)
        contested = None
        if drifted:
            _log.info("reverting", extra={"child": str(wanted), "fields": drifted, "manager": who})
            contested = self._spend(wanted, who)
        if cached.scaled_by is Scaler.OPERATOR and "replicas" not in wanted.configuration.get("spec", {}):
            await self._hand_over_replicas(wanted, cached)
        await self._update(wanted, cached.uid, live, self._unmoved(wanted))
        repaired = [path for path in drifted if path not in self._overruled_fields(wanted)]
        if repaired:
            repair = Repair(str(wanted.child), tuple(repaired), who)
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
        patience = self._repairs.get(wanted.key)
        if patience is None:
            # An earlier process may have run out of it.
            left = 0.0 if _is_contested(self._store.shop(wanted.key)) else _REPAIRS
            patience = self._repairs[wanted.key] = Patience(self._clock, left)
        return patience.spend(f"{wanted.child}: {who or 'another manager'}")

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
            managed = mappings(live["metadata"].get("managedFields"))
            applied = applied_by_operator(managed)
            check_owner(child, live, wanted.key.name, wanted.shop.uid, applied=applied)
            # Ours after all: the watch is behind, or somebody took our label off.
            self._store.file(wanted.key, live)
            raise
        if wanted.had:
            count = wanted.configuration["spec"]["replicas"] if wanted.child.kind == "Deployment" else None
            self._reporter.recreated(wanted.key, wanted.shop, str(wanted.child), count)
        contested = self._spend(wanted, "") if wanted.again else None
        if contested:
            raise contested

    async def _update(
        self, wanted: Wanted, uid: str, live: Mapping[str, Any] | None, version: int | None = None
    ) -> None:
        """Apply; what others have left in its way goes first, as far as that is known, or else once it was refused."""
        if live is not None and cleared(wanted.configuration, live) is not None:
            moved = await self._make_room(wanted, uid, frozenset())
            version = moved if version and moved else version
        try:
            await self._apply(wanted, uid, version)
        except Refused:
            moved = await self._make_room(wanted, uid, OWN_MANAGERS)
            if moved is None:
                raise
            await self._apply(wanted, uid, moved if version else None)

    async def _make_room(self, wanted: Wanted, uid: str, own: AbstractSet[str]) -> int | None:
        """Take away what stands in the way of an apply, and set our fields in the same write.

        Args:
            wanted: the child.
            uid: of the live object.
            own: the managers whose fields stay; those of every other one go from what is ours. Empty: none has to go for that.

        Returns:
            the version of the object since; None when nothing was written, as nothing stands in the way or it would be refused.
        """
        child, namespace = wanted.child, wanted.key.namespace
        for _ in range(_ROOM_ATTEMPTS):
            live = await self._api.get(child.kind, namespace, child.name)
            if live is None or live["metadata"]["uid"] != uid:
                return None
            spec = cleared(wanted.configuration, live, fields_of_others(live, own) if own else {})
            if spec is None:
                return None
            seen = int(live["metadata"]["resourceVersion"])
            try:
                live = await self._api.rewrite(
                    child.kind, namespace, child.name, version=seen, parts={"/spec": spec}
                )
            except Stale:
                # Its controller writes the status of what was edited at about the same moment.
                continue
            except Refused:
                # The refusal of the apply says it in words of the ShopService's own fields.
                return None
            return int(live["metadata"]["resourceVersion"])
        raise Stale(f"{child} changes faster than it can be repaired.")

    async def _disown(self, wanted: Wanted, live: dict[str, Any]) -> dict[str, Any]:
        """Leave no field to the manager of repairs: what the apply drops one day would stay as its own.

        Returns:
            the object as the API server has it now.
        """
        child, namespace = wanted.child, wanted.key.namespace
        for _ in range(_ROOM_ATTEMPTS):
            entries = live["metadata"].get("managedFields") or ()
            kept = [each for each in entries if each.get("manager") != REPAIR_MANAGER]
            if len(kept) == len(entries):
                return live
            version = int(live["metadata"]["resourceVersion"])
            try:
                return await self._api.rewrite(
                    child.kind,
                    namespace,
                    child.name,
                    version=version,
                    parts={"/metadata/managedFields": kept},
                )
            except Stale:
                live = await self._api.get(child.kind, namespace, child.name) or live
        # The next apply will.
        return live

    async def _apply(self, wanted: Wanted, uid: str | None, version: int | None = None) -> None:
        with self._in_flight.writing(wanted.key, wanted.child):
            await self._apply_and_store(wanted, uid, version)

    async def _apply_and_store(self, wanted: Wanted, uid: str | None, version: int | None) -> None:
        try:
            live = await self._api.apply(wanted.signed, uid=uid, version=version)
        except Stale:
            if uid is not None and version is None:
                # Gone, or replaced by an object of another UID: the next pass must not believe in it.
                self._store.discard(wanted.key, wanted.child, uid)
            raise
        self._observer.wrote(wanted.child.kind, "create" if uid is None else "update")
        live = await self._disown(wanted, live)
        self._store.put(live, settled=wanted.digest)
        overruled = frozenset(drift(wanted.configuration, live))
        if overruled:
            _log.warning(
                "fields were not taken as sent", extra={"child": str(wanted), "fields": sorted(overruled)}
            )
            self._overruled.setdefault(wanted.key, {})[wanted.child] = (wanted.digest, overruled)
        self._note_differing(wanted, overruled)
        cached = self._store.children(wanted.key).get(wanted.child)
        # A LIST may have been faster.
        if cached and cached.body and str(cached.version) == live["metadata"]["resourceVersion"]:
            self._store.settle(wanted.key, wanted.child, cached.digest, wanted.digest)

    def _note_differing(self, wanted: Wanted, fields: frozenset[str]) -> None:
        if fields:
            self._differing.setdefault(wanted.key, {})[wanted.child] = (wanted.digest, fields)
        else:
            self._differing.get(wanted.key, {}).pop(wanted.child, None)

    def _told_overruled(self, key: Key, desired: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """The fields of each child that have another value than the one that was applied."""
        known = self._differing.get(key, {})
        for configuration in desired:
            child = ChildId(configuration["kind"], configuration["metadata"]["name"])
            digest, fields = known.get(child, ("", frozenset()))
            if fields and digest == applied_hash(configuration):
                yield f"{child} ({enumerated(sorted(fields))})"

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

    def _owns(self, key: Key, owner: str, child: ChildId) -> bool:
        """Whether a child is known to be controlled by the ShopService of that UID."""
        found = self._store.children(key).get(child)
        return found is not None and found.controller == owner

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
        if child.kind in _AUTOSCALERS and unwished and scaled and scaled.scaled_by in _FOREIGN:
            await self._share_replicas(key, child.name, scaled)
        await self._prune(key, child, cached)

    async def _make_way(self, key: Key, owner: str, child: ChildId) -> list[OperatorError]:
        """Delete the autoscaler of the other kind before one acts on the same Deployment; what went wrong."""
        if child.kind not in _AUTOSCALERS:
            return []
        others = (ChildId(kind, child.name) for kind in _AUTOSCALERS if kind != child.kind)
        return [
            problem
            for other in others
            if self._owns(key, owner, other)
            for problem in await _attempt(self._prune(key, other, self._store.children(key)[other]))
        ]

    async def _prune(self, key: Key, child: ChildId, cached: Child) -> None:
        if "deletionTimestamp" in cached.state["metadata"]:
            return
        await self._api.delete(child.kind, key.namespace, child.name, uid=cached.uid)
        self._observer.wrote(child.kind, "delete")
        self._unlisted[key] = self._unlisted.get(key, frozenset()) - {child}
        # It need not be looked for when the watch shows that it has gone; if a finalizer holds it, that shows it again.
        self._store.discard(key, child, cached.uid)

    async def _prune_unseen(self, key: Key, child: ChildId, owner: str) -> None:
        """Delete what is not wanted any more and was ours, if it is still there: somebody took our label off it."""
        if child.kind not in self._served():
            return
        live = await self._api.get(child.kind, key.namespace, child.name)
        if live is None or "deletionTimestamp" in live["metadata"] or controller_of(live).get("uid") != owner:
            return
        await self._api.delete(child.kind, key.namespace, child.name, uid=live["metadata"]["uid"])
        self._observer.wrote(child.kind, "delete")

    def _remember(self, key: Key, cached: Shop, listed: frozenset[ChildId]) -> None:
        """Keep in mind what the status does not tell a later pass, or process, about children.

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
        unlisted = (self._unlisted.get(key, frozenset()) | present) - listed
        if unlisted:
            self._unlisted[key] = unlisted
        else:
            self._unlisted.pop(key, None)

    def _last_counts(
        self, key: Key, status: Mapping[str, Any], known: AbstractSet[ChildId]
    ) -> dict[str, int]:
        """The counts that Deployments had which are not there any more.

        After a restart of the operator the status and the autoscalers, which outlive their Deployments, tell of them.
        """
        children = self._store.children(key)
        # KEDA gives its autoscaler the labels of the ScaledObject, and a name of its own.
        asked: dict[str, int] = {}
        for child, found in children.items():
            if child.kind == "HorizontalPodAutoscaler":
                name = found.state.get("scales", child.name)
                asked[name] = max(asked.get(name, 0), found.state["status"].get("desiredReplicas", 0))
        # What an autoscaler has counted was there, also when the status was never written.
        there = {child.name for child in children if child.kind == "Deployment"}
        gone = {child.name for child in known if child.kind == "Deployment"} | asked.keys()
        gone -= there
        if not gone:
            return {}
        asked[key.name] = asked.get(key.name) or _wanted_before(status)
        last = {**asked, **self._store.lost(key)}
        return {name: count for name, count in last.items() if count and name in gone}

    def _live_scale(self, key: Key, lost: Mapping[str, int]) -> LiveScale | None:
        """How many replicas each Deployment is set to, and by whom; None before there is one."""
        children = self._store.children(key)
        deployments = {c.name: d for c, d in children.items() if c.kind == "Deployment"}
        if not deployments and not lost:
            return None
        # An autoscaler that has had nothing to do yet has left no trace on its Deployment.
        autoscalers = {c.name for c in children if c.kind in _AUTOSCALERS}
        kept = {name for name, cached in deployments.items() if cached.state.get("kept")}
        by = {name: cached.scaled_by for name, cached in deployments.items()}
        return LiveScale(
            replicas={name: cached.state["spec"]["replicas"] for name, cached in deployments.items()},
            ours={name for name, who in by.items() if who is Scaler.OPERATOR},
            autoscaled=autoscalers | kept | {name for name, who in by.items() if who in _SCALERS},
            unchosen={name for name, who in by.items() if who in _NO_CHOICE},
            event_driven={c.name for c in children if c.kind == "ScaledObject"},
            lost=lost,
        )


def _ids(configurations: Iterable[Mapping[str, Any]]) -> frozenset[ChildId]:
    return frozenset(ChildId(each["kind"], each["metadata"]["name"]) for each in configurations)


def _of_other_parts(children: Mapping[ChildId, Child], wanted: AbstractSet[ChildId]) -> frozenset[ChildId]:
    """The Deployments that are not wanted, and what scales and protects each."""
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


def _is_contested(shop: Shop | None) -> bool:
    """Whether a ShopService's status says that another manager keeps overwriting fields."""
    status = mapping(shop.object.get("status")) if shop is not None else {}
    return any(each.get("reason") == Contested.reason for each in mappings(status.get("conditions")))


def _existed(
    status: Mapping[str, Any], absent: AbstractSet[ChildId], lost: AbstractSet[str]
) -> frozenset[ChildId]:
    """Those children of which it is certain that they existed: a status lists Deployments before they are created."""
    if not absent:
        return frozenset()
    children = mappings(status.get("children"))
    ready = {(c.get("kind"), c.get("name")) for c in children if c.get("ready")}
    return frozenset(
        child for child in absent if child.kind != "Deployment" or child.name in lost or child in ready
    )


def _wanted_before(status: Mapping[str, Any]) -> int:
    """How many pods of the web part an earlier status says are wanted; 0 when it does not say."""
    return digits(str(status.get("ready", "")).rpartition("/")[2])


async def _attempt(
    step: Coroutine[Any, Any, None], problems: Sequence[OperatorError] = ()
) -> list[OperatorError]:
    """What went wrong in one step, so that the next one is still taken; unless it would fail alike.

    Args:
        step: what is to be done; it is not begun any more once the API server has been too busy for two others.
        problems: what went wrong before.
    """
    busy = [each for each in problems if isinstance(each, Throttled)]
    if len(busy) >= _BUSY:
        step.close()
        return [busy[-1]]
    try:
        await step
    except (NotLeader, Unreachable):
        raise
    except OperatorError as error:
        return [error]
    return []


def _records(children: Mapping[ChildId, Child]) -> dict[str, Record]:
    """The records of configuration that the Deployments carry, by their names."""
    return {
        child.name: Record(*(live.state.get("checksums") or (None, None)))
        for child, live in children.items()
        if child.kind == "Deployment"
    }


def _part_of(children: Mapping[ChildId, Child], image: str | None = None) -> dict[str, str]:
    """The part-of label of the pods of each Deployment, where it is ours; of those that run an image, or of all."""
    states = {child.name: live.state for child, live in children.items() if child.kind == "Deployment"}
    return {
        name: state["partOf"]
        for name, state in states.items()
        if "partOf" in state and (image is None or image in state["images"].values())
    }


def _component(key: Key, deployment: ChildId) -> str:
    """The component label of the pods of a Deployment."""
    return (
        WEB if deployment.name == key.name else worker_component(deployment.name.removeprefix(f"{key.name}-"))
    )


def _is_like(live: Child, digest: str) -> bool:
    """Whether the apply configuration of that hash was the last one to be applied."""
    obj = live.object
    return live.settled == digest if obj is None else _remembered(obj) == digest


def _routes(children: Mapping[ChildId, Child], owner: str) -> dict[str, LiveRoute]:
    """The HTTPRoutes that are ours, by name."""
    return {
        child.name: LiveRoute.of(live.state)
        for child, live in children.items()
        if child.kind == "HTTPRoute" and live.controller == owner
    }


def _remembered(live: Mapping[str, Any]) -> str | None:
    hashed: str | None = mapping(live["metadata"].get("annotations")).get(HASH_ANNOTATION)
    return hashed


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
