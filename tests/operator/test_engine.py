"""Events in, passes out: only with synced caches, only while leading, and nothing lost in between."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from shop_operator.engine import Engine
from shop_operator.errors import ApiUnavailable, NotInstalled, NotLeader, OperatorError
from shop_operator.queue import Backoff, WorkQueue
from shop_operator.store import Key, Store

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
    """Records passes and does with a key what the test says."""

    seen: list[Key] = field(default_factory=list)
    outcome: Callable[[Key], float | None] = lambda _: None

    async def reconcile(self, key: Key) -> float | None:
        self.seen.append(key)
        return self.outcome(key)


@dataclass(frozen=True)
class Page:
    items: list[dict[str, Any]]
    version: int


@dataclass
class Lists:
    objects: list[dict[str, Any]] = field(default_factory=list)
    version: int = 100
    failing: OperatorError | None = None
    asked: int = 0

    async def pages(self, kind: str, namespace: str | None) -> AsyncIterator[Page]:
        assert namespace is None
        self.asked += 1
        if self.failing is not None:
            raise self.failing
        yield Page([o for o in self.objects if o["kind"] == kind], self.version)


class Observer:
    def __init__(self) -> None:
        self.results: list[str] = []
        self.known = 0

    def reconciled(self, result: str, took: float) -> None:
        assert took >= 0
        self.results.append(result)

    def shops(self, number: int) -> None:
        self.known = number

    def added(self, depth: int) -> None: ...

    def started(self, depth: int, waited: float) -> None: ...

    def finished(self, took: float) -> None: ...

    def retried(self) -> None: ...


@dataclass
class World:
    passes: Passes = field(default_factory=Passes)
    lists: Lists = field(default_factory=Lists)
    observer: Observer = field(default_factory=Observer)
    store: Store = field(default_factory=Store)

    @asynccontextmanager
    async def running(self, *, resync: float = 3600) -> AsyncIterator[Engine]:
        queue: WorkQueue[Key] = WorkQueue(self.observer, Backoff(first=0.001, limit=0.002))
        engine = Engine(
            self.store,
            queue,
            self.passes,
            self.lists,
            self.observer,
            kinds=["ShopService", "HTTPRoute"],
            namespaces=[None],
            resync=resync,
        )
        tasks = [asyncio.create_task(start()) for start in engine.tasks(2)]
        try:
            yield engine
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # the deadline above bounds it
            await asyncio.sleep(0.001)


@pytest.fixture
def world() -> World:
    return World()


async def test_nothing_is_reconciled_before_the_caches_are_synced(world: World) -> None:
    world.lists.failing = ApiUnavailable("starting")
    async with world.running() as engine:
        engine.lead(leads=True)
        engine.seen("ADDED", shop(1))
        await until(lambda: world.lists.asked >= 2)

        assert not engine.synced
        assert world.passes.seen == []


async def test_a_standby_keeps_its_cache_warm_and_starts_with_everything(world: World) -> None:
    world.lists.objects = [shop(1), shop(1, "order")]
    async with world.running() as engine:
        await until(lambda: engine.synced)
        engine.seen("MODIFIED", shop(2))
        assert world.passes.seen == []

        engine.lead(leads=True)

        await until(lambda: set(world.passes.seen) == {KEY, Key("ns", "order")})
        assert world.observer.known == 2


async def test_an_event_is_reconciled_and_one_without_news_is_not(world: World) -> None:
    async with world.running() as engine:
        engine.lead(leads=True)
        await until(lambda: engine.synced)

        engine.seen("ADDED", shop(1))
        await until(lambda: world.passes.seen == [KEY])
        engine.seen("MODIFIED", shop(1))
        engine.seen("ADDED", shop(1, "order"))
        await until(lambda: len(world.passes.seen) == 2)

        assert world.passes.seen == [KEY, Key("ns", "order")]


async def test_losing_the_lease_stops_new_passes(world: World) -> None:
    async with world.running() as engine:
        engine.lead(leads=True)
        await until(lambda: engine.synced)
        engine.lead(leads=False)

        engine.seen("ADDED", shop(1))
        await asyncio.sleep(0)

        assert world.passes.seen == []
        engine.lead(leads=True)
        await until(lambda: world.passes.seen == [KEY])


@pytest.mark.parametrize("failure", [ApiUnavailable("busy"), RuntimeError("a bug")])
async def test_a_failing_pass_is_repeated_until_it_works(world: World, failure: Exception) -> None:
    def fails_twice(_: Key) -> None:
        if len(world.passes.seen) < 3:
            raise failure

    world.passes.outcome = fails_twice
    world.lists.objects = [shop(1)]
    async with world.running() as engine:
        engine.lead(leads=True)

        await until(lambda: world.observer.results == ["error", "error", "success"])


async def test_a_pass_that_lost_the_lease_is_left_to_the_next_leader(world: World) -> None:
    def lost(_: Key) -> None:
        raise NotLeader("lost")

    world.passes.outcome = lost
    world.lists.objects = [shop(1)]
    async with world.running() as engine:
        engine.lead(leads=True)
        await until(lambda: world.observer.results == ["error"])

        assert engine._queue.idle()


async def test_a_pass_that_wants_to_look_again_does(world: World) -> None:
    world.passes.outcome = lambda _: 0.001 if len(world.passes.seen) < 3 else None
    world.lists.objects = [shop(1)]
    async with world.running() as engine:
        engine.lead(leads=True)

        await until(lambda: world.observer.results == ["requeue_after", "requeue_after", "success"])


async def test_what_vanished_while_a_watch_was_away_is_found_by_a_list(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop_operator.engine._RELIST_SETTLE", 0.001)
    world.lists.objects = [shop(1)]
    async with world.running() as engine:
        await until(lambda: engine.synced)
        world.lists.objects = []

        engine.relisted("ShopService")

        await until(lambda: world.store.shop(KEY) is None)


async def test_everything_is_listed_again_now_and_then(world: World) -> None:
    async with world.running(resync=0.01):
        await until(lambda: world.lists.asked >= 6)


async def test_a_kind_that_is_not_installed_does_not_hold_the_rest_up(world: World) -> None:
    world.lists.failing = NotInstalled("no CRD")
    async with world.running() as engine:
        await until(lambda: engine.synced)


async def test_a_kind_that_gets_installed_brings_everything_another_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop_operator.engine._RELIST_SETTLE", 0.001)
    world.lists.failing = NotInstalled("no CRD")
    async with world.running() as engine:
        engine.lead(leads=True)
        await until(lambda: engine.synced)
        engine.seen("ADDED", shop(1))
        await until(lambda: len(world.passes.seen) == 1)
        world.lists.failing = None
        world.lists.objects = [shop(1)]

        engine.relisted("HTTPRoute")

        await until(lambda: len(world.passes.seen) == 2)
