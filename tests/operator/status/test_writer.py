"""The status writer: what it writes and what it counts."""

from tests.operator.status.deployments import DONE, FULL, state
from tests.operator.world import World


async def test_a_child_that_the_cluster_does_not_support_is_reported_without_preventing_readiness(
    world: World,
) -> None:
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


async def test_a_suspended_shopservice_counts_neither_as_ready_nor_as_not_ready(world: World) -> None:
    world.shop(suspend=True)

    await world.pass_()

    assert world.condition("Ready")["reason"] == "Suspended"
    assert world.states == {("ns", "web"): (None, None)}
