"""One pass over one ShopService: observe, render, apply the differences, prune, write the status once.

A pass is level-based: it depends on the observed state, never on the event that caused it, so it can run at any time, any number of
times, and after a crash. It reads from the cache of the watches. A child that fails does not prevent the others from being
applied. The status reports all errors, and the worst of them decides when the next pass starts.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from shop_operator.api.v1alpha1.common_metadata import NOTHING, CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.config_digests import ConfigDigests
from shop_operator.cache.in_flight import InFlight
from shop_operator.cache.namespaces import Namespaces
from shop_operator.cache.snapshot import Shop
from shop_operator.cache.store import Store
from shop_operator.errors import Exists, InternalError, InvalidSpec, OperatorError, Refused
from shop_operator.kubernetes.refusals import Refusals
from shop_operator.names import ChildId, Key
from shop_operator.objects.lenient import mapping
from shop_operator.reconcile.api import Api
from shop_operator.reconcile.attempts import attempt, next_look
from shop_operator.reconcile.child import Children, WriteObserver
from shop_operator.reconcile.memory import ChildMemories, listed_children
from shop_operator.reconcile.neighbors import Neighbors
from shop_operator.reconcile.network_policy import NetworkPolicies
from shop_operator.reconcile.observation import Observation
from shop_operator.reconcile.passes import Pass
from shop_operator.reconcile.prune import Prune
from shop_operator.reconcile.replica_handover import ReplicaHandover
from shop_operator.reconcile.retention import kept_gateways, kept_ports
from shop_operator.reconcile.unlabeled import Unlabeled
from shop_operator.reconcile.wanted import Wanted, existed
from shop_operator.render.prepare import Facts
from shop_operator.status.dependencies import now
from shop_operator.status.outcome import Outcome
from shop_operator.status.rollback import Chosen, chosen, in_place
from shop_operator.status.writer import StatusWriter

_log = logging.getLogger(__name__)

# The release of a spec counts as tried once these are applied, because its pods exist then.
_RELEASED: Final = ("ServiceAccount", "Deployment")
_NEXT_TURN: Final = 1.0


class Reconciler:
    """Reconciles ShopServices, one key at a time.

    Args:
        api: the cluster.
        store: the cache of the watches.
        writer: writes statuses.
        observer: counts writes.
        config_digests: the digests of ConfigMaps and Secrets.
        served: the kinds that the API server serves.
        common: metadata of the children of all ShopServices.
        queue_endpoints: prefixes of the queue addresses that are allowed in addition to those of AWS; None for any.
        prometheus: the URL at which Argo Rollouts reaches Prometheus; empty for none.
        namespaces: the namespaces that are served, and their pod-security levels.
        in_flight: holds back events of a child until its apply is answered.
        now: the time.
        clock: a steady clock in seconds.
    """

    def __init__(  # noqa: PLR0913  the object graph is built in one place
        self,
        api: Api,
        store: Store,
        writer: StatusWriter,
        observer: WriteObserver,
        *,
        config_digests: ConfigDigests,
        served: Callable[[], AbstractSet[str]],
        namespaces: Namespaces,
        common: CommonMetadata = NOTHING,
        queue_endpoints: Sequence[str] | None = None,
        prometheus: str = "",
        in_flight: InFlight | None = None,
        now: Callable[[], datetime] = now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._writer = writer
        self._config_digests = config_digests
        self._namespaces = namespaces
        self._memories = ChildMemories()
        self._refusals = Refusals(clock)
        self._reporting_flaw = asyncio.Lock()
        self._neighbors = Neighbors(api, store, now)
        self._unlabeled = Unlabeled(api, served)
        self._observation = Observation(
            store,
            self._neighbors,
            config_digests=config_digests,
            namespaces=namespaces,
            served=served,
            common=common,
            queue_endpoints=queue_endpoints,
            prometheus=prometheus,
            now=now,
        )
        handover = ReplicaHandover(api, store)
        self._children = Children(
            api,
            store,
            writer,
            observer,
            memories=self._memories,
            handover=handover,
            in_flight=in_flight or InFlight(),
            clock=clock,
        )
        self._policies = NetworkPolicies(store, self._neighbors, self._children)
        self._prune = Prune(
            api,
            store,
            observer,
            memories=self._memories,
            neighbors=self._neighbors,
            handover=handover,
            served=served,
            now=now,
        )

    async def reconcile(self, key: Key) -> float | None:
        """Bring the cluster in line with one ShopService.

        Returns:
            seconds until the next pass; None if an event causes it.

        Raises:
            TemporaryError: a later pass may succeed.
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
            return await self._report_flaw(key, cached, shop, InvalidSpec(cached.flaw))
        try:
            outcome, delays = await self._pass_and_report(key, cached, shop)
        except OperatorError:
            raise
        except Exception as error:
            raise await self._bug(key, cached, shop, error) from error
        if any(isinstance(each, Refused) for each in outcome.problems):
            delays.append(self._refusals.next(key, shop.generation))
        else:
            self._refusals.forget(key)
        delays.append(next_look(outcome.problems))
        return min((each for each in delays if each is not None), default=None)

    async def _report_flaw(
        self, key: Key, cached: Shop, shop: ShopService, flaw: InvalidSpec
    ) -> float | None:
        """Report that the spec of a ShopService cannot be cached; returns the seconds until the next attempt, None once it is reported.

        The API server needs seconds to write the status of a large ShopService. Several such writes at once would exceed the
        timeout of the operator, and would be repeated.
        """
        if self._reporting_flaw.locked():
            return _NEXT_TURN
        async with self._reporting_flaw:
            await self._writer.flawed(key, cached, shop, flaw)
        return None

    async def _pass_and_report(
        self, key: Key, cached: Shop, shop: ShopService
    ) -> tuple[Outcome, list[float | None]]:
        """Make one pass and report it; returns its outcome and the delays until the next one."""
        in_status = listed_children(shop.status)
        memory = self._memories.of(key)
        memory.unlisted = known = in_status | memory.unlisted
        this = Pass(key, cached, shop, known)
        try:
            outcome, delays = await self._pass(this)
        except InvalidSpec as error:
            outcome, delays = Outcome([error]), []
        finally:
            self._remember(this, in_status)
        return outcome, [*delays, await self._writer.report(key, cached, shop, outcome)]

    async def _bug(self, key: Key, cached: Shop, shop: ShopService, error: Exception) -> InternalError:
        """Report a bug and return its error. Otherwise, the status would still describe an earlier pass."""
        _log.error("pass failed", extra={"key": str(key)}, exc_info=error)
        internal = InternalError(
            f"The operator failed with {type(error).__name__}, which is a bug; report it with the traceback from its log."
            " It retries."
        )
        await self._writer.flawed(key, self._store.shop(key) or cached, shop, internal)
        return internal

    def clear(self) -> None:
        """Forget every ShopService, because another process reconciles them. `Leadership` clears the other parts."""
        self._refusals.clear()
        self._memories.clear()
        self._unlabeled.clear()

    def _forget(self, key: Key) -> None:
        self._refusals.forget(key)
        self._memories.forget(key)
        self._unlabeled.forget(key)
        self._config_digests.forget(key)
        self._writer.forget(key)

    def _remember(self, this: Pass, in_status: frozenset[ChildId]) -> None:
        """End the pass: remember the children that the current status does not list."""
        now = self._store.shop(this.key)
        if now is None:
            self._memories.end(this.key, frozenset(), frozenset())
            return
        if now is not this.cached:
            in_status = listed_children(mapping(now.object.get("status")))
        children = self._store.children(this.key).items()
        present = {child for child, live in children if live.controller == this.owner}
        self._memories.end(this.key, present, in_status)

    async def _pass(self, this: Pass) -> tuple[Outcome, list[float | None]]:
        """Bring the children in line with the spec; returns the outcome and the delays until the next pass."""
        self._namespaces.check(this.key)
        this = replace(this, depends=self._observation.dependencies(this.key))
        if this.shop.spec.suspend:
            return Outcome(dependencies=this.depends, pods=in_place(this.shop)), []
        memory = self._memories.of(this.key)

        async def look() -> None:
            memory.unlisted |= await self._unlabeled.children(this)

        unlisted = await attempt(look())
        read, unreadable = await self._observation.read(this)
        this = replace(this, known=this.known | memory.unlisted, read=read)
        outcome, delay = await self._converge(this)
        if any(isinstance(problem, Exists) for problem in outcome.problems):
            # The store now has an object that no watch shows, and the desired state depends on the observed state.
            outcome, delay = await self._converge(this)
        if not outcome.problems:
            memory.unlisted = frozenset()
        return replace(outcome, problems=[*unlisted, *unreadable, *outcome.problems]), [delay]

    async def _converge(self, this: Pass) -> tuple[Outcome, float | None]:
        """Render, apply, prune; returns the outcome and the delay until the next pass.

        The first write follows the rendering without an await, so the rendered state matches the store.
        """
        facts = self._observation.facts(this)
        existing = frozenset(this.depends.ports if this.depends else ())
        made = chosen(this.shop, facts, existing, partial(self._observation.restored, this, facts))
        around = made.prepared.around
        desired, narrowing = self._policies.widened(this, made.prepared.desired, around.old_ports)
        failed, applied = await self._apply(this, facts, made, desired)
        problems: list[OperatorError] = [*made.prepared.problems, *failed]
        waits = [facts.wait] if around.hold else []
        if this.read.drain_wait and self._neighbors.awaits_drain(this):
            waits.append(this.read.drain_wait)
        kept = made.kept(self._store.children(this.key).keys())
        failed, needed = await self._prune.clear_up(this, kept)
        problems += failed
        waits += needed.values()
        problems += await attempt(self._policies.narrow(this, desired, narrowing, waits), problems)
        self._store.forget_former(this.key, kept)
        outcome = Outcome(
            problems,
            pods=around.pods,
            unrestored=made.unrestored,
            release=None if made.release is None else replace(made.release, applied=applied),
            dependencies=this.depends,
            held=around.hold,
            notes=made.prepared.notes,
            overruled=tuple(self._children.overruled(this.key, desired)),
            retained=(
                *kept_ports(this.key.name, around.old_ports),
                *kept_gateways(around.old_parents),
                *map(str, needed),
                *self._policies.kept(this.key, narrowing),
            ),
        )
        return outcome, min(waits, default=None)

    async def _apply(
        self, this: Pass, facts: Facts, made: Chosen, desired: Sequence[Mapping[str, Any]]
    ) -> tuple[list[OperatorError], bool]:
        """Apply the children; returns the errors, and whether the pods of the release of the spec are applied.

        Deployments stay as they are while their configuration cannot be read, and pods without a NetworkPolicy stay without
        one while their calls are unknown.
        """
        read, children = this.read, self._store.children(this.key)
        lost = facts.scale.lost.keys() if facts.scale else set[str]()
        deleted = existed(
            this.shop.status, this.known - children.keys(), self._store.lost(this.key).keys() | lost
        )
        seen = {child: live.version for child, live in children.items()}
        problems: list[OperatorError] = []
        applied = made.prepared.around.pods is None
        # Pods must not run as a ServiceAccount that belongs to another owner: its permissions are not the ShopService's.
        foreign_account = False
        for configuration in desired:
            child = ChildId(configuration["kind"], configuration["metadata"]["name"])
            if (
                child.kind == "Deployment" and (read.config is None or foreign_account or made.unrestored)
            ) or (child.kind == "NetworkPolicy" and read.calls is None):
                continue
            problems += await self._prune.delete_other_autoscaler(this, child)
            wanted = Wanted(
                this.key,
                this.shop,
                configuration,
                seen.get(child),
                known_before=child in this.known,
                certainly_existed=child in deleted,
            )
            failed = await attempt(self._children.ensure(wanted), problems)
            problems += failed
            applied &= not (failed and child.kind in _RELEASED)
            if failed and child.kind == "ServiceAccount":
                foreign_account = not self._prune.owns(this, child)
        return problems, applied
