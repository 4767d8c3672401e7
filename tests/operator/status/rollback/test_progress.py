"""The status shows the progress of a rollback."""

from typing import Any

from shop_operator.names import RETRY_ANNOTATION
from tests.operator.status.rollback.releases import fail, pod, release, rollout, seen
from tests.operator.world import World, given_up, rolling


async def test_given_a_rollback_then_ready_says_whether_the_running_release_is_available(
    world: World,
) -> None:
    await release(world, image="shop:2")
    await fail(world)
    ready = world.condition("Ready")
    assert ready["reason"] == "RolledBack"
    assert ready["message"].startswith("Rolling back to the release with shop:1: ")

    rolling(world, available=1)
    await world.pass_()
    said = world.condition("Ready")["message"]
    assert said.startswith(
        "Rolled back to the release with shop:1, which is available: the rollout of shop:2"
    )
    assert RETRY_ANNOTATION in said

    await given_up(world)
    said = world.condition("Ready")["message"]
    assert said.startswith("Rolled back to the release with shop:1, which is not available either")


ROOT: dict[str, Any] = {
    "podTemplate": {
        "spec": {"containers": [{"name": "app", "securityContext": {"capabilities": {"add": ["CHOWN"]}}}]}
    }
}


async def test_given_a_last_available_release_that_cannot_be_rendered_when_a_rollout_fails_then_ready_says_why() -> (
    None
):
    world = World()
    world.level = "privileged"
    world.restart()
    await release(world, image="shop:1", **ROOT)
    rolling(world, available=1)
    await world.pass_()
    world.level = "restricted"
    world.restart()
    worker = {"name": "relay", "command": ["relay"]}
    await release(world, image="shop:2", workers=[worker])

    await fail(world)

    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "RollbackFailed")
    assert ready["message"].startswith("Cannot be rolled back to the release with shop:1: The pods of web ")
    assert "The rollout of shop:2 failed. Deployment web: " in ready["message"]
    assert world.condition("Stalled")["reason"] == "RollbackFailed"
    assert rollout(world)["rejectedImage"] == "shop:2"
    assert rollout(world)["lastAvailableImage"] == "shop:1"
    failed = pod(world)
    assert "shop:2" in failed

    # What makes no pods is applied, and a new release is tried.
    await release(world, image="shop:2", workers=[worker], port=9090)
    await release(world, image="shop:2", workers=[worker], networkPolicy={"enabled": True})
    assert ("NetworkPolicy", "ns", "web") in world.api.objects
    assert "shop:3" not in pod(world)
    await release(world, image="shop:3")
    assert "shop:3" in pod(world)
    await world.pass_()
    assert "rejectedImage" not in rollout(world)


async def test_given_a_rollback_when_its_release_can_no_longer_be_rendered_then_its_pods_stay() -> None:
    world = World()
    world.level = "privileged"
    world.restart()
    await release(world, image="shop:1", **ROOT, workers=[{"name": "relay", "command": ["relay"]}])
    seen(world, "web", available=1)
    seen(world, "web-relay", available=1)
    await world.pass_()
    good = pod(world)
    await release(world, image="shop:2")
    await fail(world)
    assert pod(world) == good

    world.level = "restricted"
    world.restart()
    await world.pass_()

    assert pod(world) == good
    assert ("Deployment", "ns", "web-relay") in world.api.objects
    assert world.condition("Ready")["reason"] == "RollbackFailed"
    world.level = "privileged"
    world.restart()
    await world.pass_()
    assert world.condition("Ready")["reason"] == "RolledBack"
    assert world.rollbacks == 1
