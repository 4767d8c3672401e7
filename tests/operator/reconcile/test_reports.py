"""The status that a pass reports: causes of pods that are not ready, and the rate of its writes."""

import pytest

from tests.operator.world import (
    World,
    container,
    crash,
    rolling,
)


async def test_given_pods_that_stay_unready_when_five_seconds_pass_then_ready_reports_their_cause(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    rolling(world)
    assert await world.pass_() == pytest.approx(5)
    assert world.api.reads == 0
    crash(world)

    world.clock.now += 3
    assert await world.pass_() == pytest.approx(15)

    ready = world.condition("Ready")
    assert ready["reason"] == "CrashLoopBackOff"
    assert ready["message"] == (
        "Deployment web: container app exited with code 1 and was restarted; last log line: no such table: orders."
    )
    assert world.api.reads == 2

    rolling(world, available=1)
    assert await world.pass_() is None
    assert world.condition("Ready")["status"] == "True"


async def test_given_a_container_that_has_exited_once_then_ready_quotes_its_last_log_line(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    rolling(world)
    container(world, restartCount=0, state={"terminated": {"exitCode": 2}})
    world.api.logs["web-1", "app", False] = "no such queue: orders"
    await world.pass_()

    world.clock.now += 5
    await world.pass_()

    assert "last log line: no such queue: orders" in world.condition("Ready")["message"]


async def test_given_a_fast_changing_status_then_it_is_written_at_most_once_a_second_and_the_last_state_is_kept(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    statuses = 0
    for number in range(20):
        rolling(world, available=number % 2)
        world.clock.now -= 1.9
        await world.pass_()
        statuses += len(world.writes)
        assert world.writes <= {"status ShopService web"}
    assert 1 <= statuses <= 3

    world.clock.now += 1
    await world.pass_()
    assert world.condition("Ready")["status"] == "True"
    world.shop(args=["x"])
    world.clock.now -= 2
    await world.pass_()
    assert "status ShopService web" in world.writes
