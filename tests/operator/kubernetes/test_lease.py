"""At most one leader, and another one soon after its death; judged on a clock that the test turns."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import pytest

from shop_operator.errors import Stale, Unreachable
from shop_operator.kubernetes.lease import Alone, Elector, Fence, Timing
from tests.operator.clock import Clock

DEADLINE = 5
# Retries are quick in real time; what counts is the test's own clock.
TIMING = Timing(lease_duration=15, renew_deadline=10, retry_period=0.005)


class FakeLeases:
    """Leases with the API server's optimistic locking, and a cable that can be cut."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.versions = itertools.count(1)
        self.cut_off = False
        self.asked = 0

    async def get_lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        assert (namespace, name) == ("ns", "shop-operator")
        self._reach()
        return deepcopy(self.lease)

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        self._reach()
        if self.lease is not None:
            raise Stale("exists")
        assert namespace == "ns"
        return self._store(lease)

    async def update_lease(self, namespace: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        self._reach()
        assert namespace == "ns"
        assert self.lease is not None
        if lease["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Stale("moved")
        return self._store(lease)

    def _reach(self) -> None:
        self.asked += 1
        if self.cut_off:
            raise Unreachable("cut")

    def _store(self, lease: Mapping[str, Any]) -> dict[str, Any]:
        self.lease = deepcopy(dict(lease))
        self.lease["metadata"] = {**lease["metadata"], "resourceVersion": str(next(self.versions))}
        return deepcopy(self.lease)

    @property
    def holder(self) -> str:
        assert self.lease is not None
        holder: str = self.lease["spec"]["holderIdentity"]
        return holder


class Candidate:
    """An elector with its history."""

    def __init__(self, leases: FakeLeases, name: str, clock: "Clock") -> None:
        self.leases = leases
        self.history: list[bool] = []
        self.fence = Fence(clock)
        self.elector = Elector(leases, "ns", "shop-operator", name, self._changed, self.fence, TIMING, clock)

    def _changed(self, *, leads: bool) -> None:
        self.history.append(leads)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.elector.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # the deadline above bounds it
            await asyncio.sleep(0.001)


async def some_attempts(leases: FakeLeases) -> None:
    seen = leases.asked
    await until(lambda: leases.asked >= seen + 6)


@pytest.fixture
def leases() -> FakeLeases:
    return FakeLeases()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_given_no_lease_when_a_candidate_runs_then_it_leads_and_holds_the_lease(
    leases: FakeLeases, clock: Clock
) -> None:
    one = Candidate(leases, "one", clock)
    async with one.running():
        await until(lambda: one.elector.leading)

        assert leases.holder == "one"
        assert leases.lease is not None
        assert leases.lease["spec"]["leaseDurationSeconds"] == 15
        assert one.fence.remaining() == pytest.approx(10)


async def test_given_a_leader_that_renews_then_a_second_candidate_stands_by(
    leases: FakeLeases, clock: Clock
) -> None:
    one, two = Candidate(leases, "one", clock), Candidate(leases, "two", clock)
    async with one.running():
        await until(lambda: one.elector.leading)
        async with two.running():
            for _ in range(10):
                clock.now += 5
                await some_attempts(leases)

            assert one.elector.leading
            assert two.history == []


async def test_when_a_leader_stops_then_it_releases_the_lease_at_once(
    leases: FakeLeases, clock: Clock
) -> None:
    one, two = Candidate(leases, "one", clock), Candidate(leases, "two", clock)
    async with two.running():
        await until(lambda: two.elector.leading)
    assert leases.holder == ""
    assert two.history == [True, False]

    async with one.running():
        await until(lambda: one.elector.leading)  # the clock did not move


async def test_given_a_dead_leader_then_another_candidate_leads_only_after_the_lease_has_expired(
    leases: FakeLeases, clock: Clock
) -> None:
    one, two = Candidate(leases, "one", clock), Candidate(leases, "two", clock)
    dead = asyncio.create_task(one.elector.run())
    await until(lambda: one.elector.leading)
    leases.cut_off = True  # it dies without releasing
    dead.cancel()
    await asyncio.gather(dead, return_exceptions=True)
    leases.cut_off = False

    async with two.running():
        await some_attempts(leases)
        clock.now += 14.9
        await some_attempts(leases)
        assert two.history == []

        clock.now += 0.2
        await until(lambda: two.elector.leading)
    assert leases.lease is not None
    assert leases.lease["spec"]["leaseTransitions"] == 1


async def test_given_a_leader_without_network_then_it_stops_before_the_lease_expires(
    leases: FakeLeases, clock: Clock
) -> None:
    one = Candidate(leases, "one", clock)
    async with one.running():
        await until(lambda: one.elector.leading)
        leases.cut_off = True

        clock.now += 10

        assert not one.elector.leading  # at once, whether or not its task had a turn
        await until(lambda: one.history == [True, False])

        leases.cut_off = False
        await until(lambda: one.elector.leading)  # and it stands for election again
        assert one.history == [True, False, True]


async def test_given_a_leader_when_another_identity_takes_its_lease_then_it_stops(
    leases: FakeLeases, clock: Clock
) -> None:
    one = Candidate(leases, "one", clock)
    async with one.running():
        await until(lambda: one.elector.leading)
        assert leases.lease is not None
        stolen = deepcopy(leases.lease)
        stolen["spec"]["holderIdentity"] = "thief"
        leases._store(stolen)

        await until(lambda: one.history == [True, False])


async def test_given_a_lease_with_a_skewed_wall_clock_then_a_candidate_still_waits_one_lease_duration(
    leases: FakeLeases, clock: Clock
) -> None:
    leases.lease = {
        "metadata": {"name": "shop-operator", "resourceVersion": "0"},
        "spec": {
            "holderIdentity": "gone",
            "leaseDurationSeconds": 15,
            "renewTime": "2099-01-01T00:00:00.000000Z",
        },
    }
    two = Candidate(leases, "two", clock)
    async with two.running():
        await some_attempts(leases)
        assert two.history == []

        clock.now += 15.1
        await until(lambda: two.elector.leading)


async def test_given_no_leader_election_then_the_process_leads_until_it_ends() -> None:
    history: list[bool] = []

    def changed(*, leads: bool) -> None:
        history.append(leads)

    fence = Fence()
    alone = Alone(changed, fence)
    assert fence.remaining() == 0
    task = asyncio.create_task(alone.run())
    await until(lambda: history == [True])
    assert fence.remaining() == float("inf")

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert history == [True, False]
    assert fence.remaining() == 0
