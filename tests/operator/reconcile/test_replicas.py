"""The replica count of a Deployment passes between the spec, autoscalers and users."""

from typing import Any

import pytest

from shop_operator.errors import (
    Stale,
)
from shop_operator.names import ChildId
from tests.operator.world import (
    KEY,
    World,
)


async def test_when_an_autoscaler_takes_over_then_a_second_manager_owns_the_replicas_first(
    world: World,
) -> None:
    world.shop(replicas=4)
    await world.pass_()

    world.shop(autoscaling={"minReplicas": 2, "maxReplicas": 6})
    await world.pass_()

    assert world.api.writes.count("apply Deployment web") == 2  # by the second owner, then by the operator
    assert world.api.objects["Deployment", "ns", "web"]["spec"]["replicas"] == 4


async def scaled_unseen(world: World, count: int) -> None:
    """Let an autoscaler set the count before the watch shows it."""
    deployment = world.edit("Deployment")
    deployment["spec"] = {**deployment["spec"], "replicas": count}
    world.api.put(deployment)


async def test_given_a_replica_count_that_no_watch_has_shown_when_an_autoscaler_takes_over_then_it_stays(
    world: World,
) -> None:
    world.shop(replicas=4)
    await world.pass_()
    await scaled_unseen(world, 5)

    world.shop(autoscaling={"minReplicas": 2, "maxReplicas": 6})
    await world.pass_()

    assert world.api.writes.count("apply Deployment web") == 1


async def test_given_a_replica_count_just_set_by_an_autoscaler_then_it_is_not_overwritten(
    world: World,
) -> None:
    autoscaling = {"minReplicas": 2, "maxReplicas": 6}
    world.shop(autoscaling=autoscaling)
    await world.pass_()
    await scaled_unseen(world, 5)

    world.shop(autoscaling=autoscaling, args=["x"])
    with pytest.raises(Stale):
        await world.pass_()

    assert world.api.objects["Deployment", "ns", "web"]["spec"]["replicas"] == 5
    assert world.store.children(KEY)[ChildId("Deployment", "web")]  # it is still in the store


async def test_given_a_replica_count_that_a_watch_shows_during_a_pass_then_it_is_not_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass was rendered from the earlier count, so a later state of the store must not validate it."""
    autoscaling = {"minReplicas": 2, "maxReplicas": 6}
    world.shop(autoscaling=autoscaling)
    await world.pass_()
    apply = world.api.apply

    async def scaled_meanwhile(configuration: Any, **given: Any) -> dict[str, Any]:
        if configuration["kind"] == "ServiceAccount":
            deployment = world.edit("Deployment")
            deployment["spec"] = {**deployment["spec"], "replicas": 5}
            world.see(deployment)
        return await apply(configuration, **given)

    monkeypatch.setattr(world.api, "apply", scaled_meanwhile)
    world.lose("ServiceAccount")
    world.shop(autoscaling=autoscaling, args=["x"])
    with pytest.raises(Stale):
        await world.pass_()

    assert world.api.objects["Deployment", "ns", "web"]["spec"]["replicas"] == 5


async def test_given_a_replica_count_set_by_a_user_when_the_autoscaler_is_removed_then_it_stays(
    world: World,
) -> None:
    world.shop(autoscaling={"minReplicas": 2, "maxReplicas": 9})
    await world.pass_()
    scaled = world.edit("Deployment")
    scaled["spec"] = {**scaled["spec"], "replicas": 7}
    scaled["metadata"]["managedFields"] = [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    world.see(scaled)
    await world.pass_()

    world.shop()
    await world.pass_()
    await world.pass_()

    assert world.api.objects["Deployment", "ns", "web"]["spec"]["replicas"] == 7
