"""The effects of an acquired or lost Lease."""

import gc
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from shop_operator.cache.config_digests import ConfigDigests
from shop_operator.cache.namespaces import Namespaces
from shop_operator.cache.store import Store
from shop_operator.kubernetes.events import Events
from shop_operator.names import Key
from shop_operator.observability.metrics import Metrics
from shop_operator.reconcile.leadership import Leadership
from shop_operator.reconcile.queue import WorkQueue
from shop_operator.reconcile.reconciler import Reconciler
from shop_operator.status.writer import StatusWriter
from tests.operator.engine import Engine
from tests.operator.fake_api import FixedKey
from tests.operator.world import KEY, World


def engine(queue: WorkQueue[Key], metrics: Metrics, store: Store) -> Engine:
    return Engine(store, queue, NoPasses(), metrics, "ShopService")


class NoPasses:
    """Makes no passes."""

    async def reconcile(self, key: Key) -> float | None:
        raise AssertionError(key)


class NoEvents:
    """Writes no Events."""

    async def create_event(self, event: Mapping[str, Any]) -> None:
        raise AssertionError(event)

    async def patch_event(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        raise AssertionError(namespace, name, patch)


class Remembering:
    """Records whether the gate was open when it was cleared."""

    def __init__(self, queue: WorkQueue[Key]) -> None:
        self.waiting: list[int] = []
        self._queue = queue

    def clear(self) -> None:
        self.waiting.append(len(self._queue))


def remembers(part: object, key: Key, *, apart_from: Iterable[object]) -> bool:
    """Whether an object of the operator refers to a ShopService, directly or through other objects."""
    seen = {id(each) for each in apart_from}
    pending: list[Any] = [part]
    while pending:
        each = pending.pop()
        if isinstance(each, type | ModuleType) or callable(each) or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, str | Key) and each in {key, key.name}:
            return True
        pending += gc.get_referents(each)
    return False


async def test_given_a_leader_with_state_of_a_shopservice_when_it_loses_the_lease_then_no_part_refers_to_it() -> (
    None
):
    world, metrics = World(), Metrics(lease="shop-operator")
    queue: WorkQueue[Key] = WorkQueue(metrics)
    events = Events(NoEvents(), "me")
    config_digests = ConfigDigests(world.api, FixedKey(), lambda _: None)
    writer = StatusWriter(world.api, world.store, events, metrics, lambda _: None, world.clock)
    reconciler = Reconciler(
        world.api,
        world.store,
        writer,
        metrics,
        config_digests=config_digests,
        served=lambda: world.served,
        namespaces=Namespaces("restricted", frozenset(), lambda _: None, lambda: None),
        now=world.clock.date,
        clock=world.clock,
    )
    parts = (reconciler, writer, config_digests, queue, events)
    leadership = Leadership(engine(queue, metrics, Store()), parts, metrics)
    leadership(leads=True)
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}])
    await reconciler.reconcile(KEY)
    world.lose("Service")
    await reconciler.reconcile(KEY)
    queue.retry(KEY)
    queue.pause(KEY, 60)
    metrics.failed(*KEY)
    apart = (world, world.api, world.store, metrics)
    assert all(remembers(part, KEY, apart_from=apart) for part in parts)
    assert b'name="web"' in metrics.exposition()

    leadership(leads=False)

    assert not any(remembers(part, KEY, apart_from=apart) for part in parts)
    assert b'name="web"' not in metrics.exposition()


async def test_given_digests_that_another_part_uses_when_the_reconciler_is_cleared_then_they_are_kept() -> (
    None
):
    world = World()
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}])
    await world.reconciler.reconcile(KEY)
    assert remembers(world.config_digests, KEY, apart_from=(world, world.api))

    world.reconciler.clear()

    assert remembers(world.config_digests, KEY, apart_from=(world, world.api))


async def test_when_the_lease_changes_hands_then_a_leader_clears_its_state_before_it_starts_and_after_it_stops() -> (
    None
):
    metrics = Metrics(lease="shop-operator")
    queue: WorkQueue[Key] = WorkQueue(metrics)
    parts = Remembering(queue)
    found = engine(queue, metrics, Store())
    found.merge([shop()])
    found.end_list("ShopService", None, {"u"}, 5)
    leadership = Leadership(found, [parts], metrics)

    leadership(leads=True)
    assert (parts.waiting, len(queue)) == ([0], 1)

    leadership(leads=False)
    found.wake([Key("ns", "other")])
    assert (parts.waiting, len(queue)) == ([0, 1], 1)


def shop() -> dict[str, Any]:
    metadata = {"namespace": "ns", "name": "web", "uid": "u", "resourceVersion": "3"}
    return {"kind": "ShopService", "metadata": metadata, "spec": {}}
