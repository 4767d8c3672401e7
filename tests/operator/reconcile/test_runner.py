"""Events cause passes only with complete caches and while this process leads, and no event is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from shop_operator.cache.store import Store
from shop_operator.errors import ApiUnavailable, Contested, NotLeader
from shop_operator.names import Key
from shop_operator.reconcile.queue import Backoff, WorkQueue
from tests.operator.engine import Engine, idle

DEADLINE = 5
KEY = Key("ns", "web")


def shop(version: int, name: str = "web") -> dict[str, Any]:
    return {
        "kind": "ShopService",
        "metadata": {"namespace": "ns", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)},
        "spec": {"version": version},
    }


@dataclass
class Passes:
    """Records passes, and lets the test decide their results."""

    seen: list[Key] = field(default_factory=list)
    outcome: Callable[[Key], float | None] = lambda _: None

    async def reconcile(self, key: Key) -> float | None:
        self.seen.append(key)
        return self.outcome(key)


class Observer:
    def __init__(self) -> None:
        self.results: list[str] = []
        self.well: list[Key] = []
        self.ill: list[Key] = []
        self.known = 0

    def reconciled(self, result: str, took: float) -> None:
        assert took >= 0
        self.results.append(result)

    def shops(self, number: int) -> None:
        self.known = number

    def succeeded(self, namespace: str, name: str) -> None:
        self.well.append(Key(namespace, name))

    def failed(self, namespace: str, name: str) -> None:
        self.ill.append(Key(namespace, name))

    def added(self, depth: int) -> None: ...

    def depth(self, depth: int) -> None: ...

    def started(self, depth: int, waited: float) -> None: ...

    def finished(self, took: float) -> None: ...

    def retried(self) -> None: ...


@dataclass
class World:
    passes: Passes = field(default_factory=Passes)
    observer: Observer = field(default_factory=Observer)
    store: Store = field(default_factory=Store)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Engine]:
        queue: WorkQueue[Key] = WorkQueue(self.observer, Backoff(first=0.001, limit=0.002))
        engine = Engine(
            self.store,
            queue,
            self.passes,
            self.observer,
            "ShopService",
            "HTTPRoute",
            count=self.observer.shops,
        )
        tasks = [asyncio.create_task(start()) for start in engine.workers.tasks(2)]
        try:
            yield engine
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)


def listed(engine: Engine, *shops: dict[str, Any], routes: bool = True) -> None:
    """Both kinds have been listed, with these ShopServices and no route; routes may not be installed."""
    engine.begin_list()
    engine.merge(shops)
    engine.end_list("ShopService", None, {each["metadata"]["uid"] for each in shops}, 100)
    if not routes:
        engine.not_served("HTTPRoute", None)
        return
    engine.begin_list()
    engine.end_list("HTTPRoute", None, set(), 100)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # the deadline above bounds it
            await asyncio.sleep(0.001)


@pytest.fixture
def world() -> World:
    return World()


async def test_given_caches_that_are_not_synced_then_nothing_is_reconciled(world: World) -> None:
    async with world.running() as engine:
        engine.lead(leads=True)
        engine.seen("ADDED", shop(1))
        engine.begin_list()
        engine.end_list("ShopService", None, {"uid-web"}, 100)
        engine.begin_list()
        engine.abort_list()
        await asyncio.sleep(0)

        assert not engine.lists.complete()
        assert world.passes.seen == []
        listed(engine, shop(1))
        await until(lambda: world.passes.seen == [KEY])


async def test_given_a_standby_with_a_warm_cache_when_it_acquires_the_lease_then_it_reconciles_every_shopservice(
    world: World,
) -> None:
    async with world.running() as engine:
        listed(engine, shop(1), shop(1, "order"))
        assert engine.lists.complete()
        engine.seen("MODIFIED", shop(2))
        await asyncio.sleep(0)
        assert world.passes.seen == []

        engine.lead(leads=True)

        await until(lambda: set(world.passes.seen) == {KEY, Key("ns", "order")})
        assert world.observer.known == 2


async def test_given_a_leader_when_an_event_repeats_a_known_version_then_no_pass_runs(world: World) -> None:
    async with world.running() as engine:
        engine.lead(leads=True)
        listed(engine)

        engine.seen("ADDED", shop(1))
        await until(lambda: world.passes.seen == [KEY])
        engine.seen("MODIFIED", shop(1))
        engine.seen("ADDED", shop(1, "order"))
        await until(lambda: len(world.passes.seen) == 2)

        assert world.passes.seen == [KEY, Key("ns", "order")]


async def test_when_the_lease_is_lost_then_no_new_pass_starts(world: World) -> None:
    async with world.running() as engine:
        engine.lead(leads=True)
        listed(engine)
        engine.lead(leads=False)

        engine.seen("ADDED", shop(1))
        await asyncio.sleep(0)

        assert world.passes.seen == []
        engine.lead(leads=True)
        await until(lambda: world.passes.seen == [KEY])


async def test_given_workers_that_wait_for_a_key_when_the_lease_is_lost_then_a_late_key_causes_no_pass(
    world: World,
) -> None:
    async with world.running() as engine:
        engine.lead(leads=True)
        listed(engine, shop(1))
        await until(lambda: world.passes.seen == [KEY])
        engine.lead(leads=False)

        # A pass that ends after the loss requests the next one.
        engine.queue.add_after(KEY, 0.001)
        await until(lambda: idle(engine.queue))

        assert world.passes.seen == [KEY]
        engine.lead(leads=True)
        await until(lambda: world.passes.seen == [KEY, KEY])


@pytest.mark.parametrize("failure", [ApiUnavailable("busy"), RuntimeError("a bug")])
async def test_given_a_failing_pass_then_it_is_repeated_until_it_succeeds(
    world: World, failure: Exception
) -> None:
    def fails_twice(_: Key) -> None:
        if len(world.passes.seen) < 3:
            raise failure

    world.passes.outcome = fails_twice
    async with world.running() as engine:
        engine.lead(leads=True)
        listed(engine, shop(1))

        await until(lambda: world.observer.results == ["error", "error", "success"])
        assert (world.observer.ill, world.observer.well) == ([KEY, KEY], [KEY])


async def test_given_a_pass_that_lost_the_lease_then_it_is_not_retried_by_this_replica(world: World) -> None:
    def lost(_: Key) -> None:
        raise NotLeader("lost")

    world.passes.outcome = lost
    async with world.running() as engine:
        engine.lead(leads=True)
        listed(engine, shop(1))
        await until(lambda: world.observer.results == ["requeue"])
        assert world.observer.ill == []

        assert idle(engine.queue)


async def test_given_a_contested_child_then_the_pass_is_requeued_and_not_counted_as_an_error(
    world: World,
) -> None:
    def contested(_: Key) -> None:
        if len(world.passes.seen) < 5:
            raise Contested("mallory", retry_after=0.001)

    world.passes.outcome = contested
    async with world.running() as engine:
        engine.lead(leads=True)
        listed(engine, shop(1))

        await until(lambda: world.observer.results == ["requeue_after"] * 4 + ["success"])
        assert world.observer.ill == []


async def test_given_a_pass_that_returns_a_delay_then_another_pass_runs_after_it(world: World) -> None:
    world.passes.outcome = lambda _: 0.001 if len(world.passes.seen) < 3 else None
    async with world.running() as engine:
        engine.lead(leads=True)
        listed(engine, shop(1))

        await until(lambda: world.observer.results == ["requeue_after", "requeue_after", "success"])


async def test_given_passes_that_never_await_then_other_tasks_run_in_between(world: World) -> None:
    turn = 0
    turns_of_passes: set[int] = set()

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    world.passes.outcome = lambda _: turns_of_passes.add(turn)
    async with world.running() as engine:
        engine.lead(leads=True)
        counting = asyncio.create_task(count())
        listed(engine, *(shop(1, f"shop-{number}") for number in range(100)))
        await until(lambda: len(world.passes.seen) == 100)
        counting.cancel()

    # Two workers make at most two passes in each turn.
    assert len(turns_of_passes) >= 50


async def test_given_an_object_deleted_while_its_watch_was_down_when_the_kind_is_listed_then_the_store_drops_it(
    world: World,
) -> None:
    async with world.running() as engine:
        listed(engine, shop(1))

        listed(engine)

        assert world.store.shop(KEY) is None


async def test_given_a_kind_that_is_not_installed_then_the_lists_are_complete_without_it(
    world: World,
) -> None:
    async with world.running() as engine:
        listed(engine, routes=False)

        assert engine.lists.complete()
        assert engine.served() == {"ShopService"}


async def test_when_a_kind_is_installed_or_removed_then_every_shopservice_is_reconciled(world: World) -> None:
    async with world.running() as engine:
        engine.lead(leads=True)
        listed(engine, shop(1), routes=False)
        await until(lambda: len(world.passes.seen) == 1)

        listed(engine, shop(1))
        await until(lambda: len(world.passes.seen) == 2)
        assert engine.served() == {"ShopService", "HTTPRoute"}

        listed(engine, shop(1))
        listed(engine, shop(1), routes=False)
        await until(lambda: len(world.passes.seen) == 3)


async def test_given_a_write_in_flight_then_only_a_newer_write_of_another_client_causes_a_pass(
    world: World,
) -> None:
    async with world.running() as engine:
        listed(engine, shop(1))
        engine.lead(leads=True)
        await until(lambda: world.passes.seen == [KEY])

        with engine.in_flight.writing(KEY):
            # The event of the operator's own write precedes its response.
            engine.seen("MODIFIED", shop(2))
            world.store.put(shop(2))
        engine.seen("ADDED", shop(3, "other"))
        await until(lambda: world.passes.seen == [KEY, Key("ns", "other")])

        with engine.in_flight.writing(KEY):
            engine.seen("MODIFIED", shop(5))
            world.store.put(shop(4))
        await until(lambda: world.passes.seen == [KEY, Key("ns", "other"), KEY])
