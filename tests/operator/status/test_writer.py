"""The status writer: what it writes and what it counts."""

from tests.operator.status.deployments import DONE, FULL, state
from tests.operator.world import World


async def test_what_the_cluster_cannot_have_and_nothing_waits_for_is_told_all_the_same(world: World) -> None:
    world.served -= {"ServiceMonitor", "PodMonitor"}
    world.shop(monitoring={})
    await world.pass_()
    state(world, DONE, **FULL)

    await world.pass_()

    ready = world.condition("Ready")
    assert ready["status"] == "True"
    assert (
        "no ServiceMonitor is created, because the Prometheus operator is not installed" in ready["message"]
    )


async def test_suspended_it_counts_as_neither_ready_nor_not_for_an_alert(world: World) -> None:
    world.shop(suspend=True)

    await world.pass_()

    assert world.condition("Ready")["reason"] == "Suspended"
    assert world.states == {("ns", "web"): (None, None)}
