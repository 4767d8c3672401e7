"""The first pods of a ShopService wait for its dependencies."""

import pytest

from shop_operator.names import Key
from tests.operator.world import (
    World,
    other,
)


async def test_given_an_unavailable_dependency_when_a_shopservice_is_new_then_its_deployment_waits_for_it(
    world: World,
) -> None:
    other(world, "product", port=80)
    world.shop(dependsOn=["product"])

    again = await world.pass_()

    assert again == pytest.approx(118)
    assert world.writes == {"create Service web", "create ServiceAccount web", "status ShopService web"}
    assert world.condition("Ready")["reason"] == "WaitingForDependencies"
    assert world.condition("DependenciesReady")["reason"] == "Unavailable"
    assert [reason for reason, *_ in world.told] == ["WaitingForDependencies"]

    other(world, "product", port=80, available=True)
    await world.pass_()

    assert "create Deployment web" in world.writes
    assert world.condition("DependenciesReady")["status"] == "True"
    env = world.api.objects["Deployment", "ns", "web"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == [{"name": "PRODUCT_URL", "value": "http://product.ns.svc:80"}]


async def test_given_a_waiting_dependant_when_the_status_of_its_dependency_is_written_then_it_is_queued(
    world: World,
) -> None:
    """The store already has this status when the watch shows its event, which therefore changes nothing."""
    other(world, "order", dependsOn=["web"])
    world.shop()
    await world.pass_()
    world.woken.clear()
    live = world.edit("Deployment")
    live["status"] = {"availableReplicas": 1, "conditions": [{"type": "Available", "status": "True"}]}
    world.see(live)

    await world.pass_()

    assert world.woken == [Key("ns", "order")]


async def test_given_a_missing_dependency_when_the_grace_period_ends_then_the_deployment_is_created(
    world: World,
) -> None:
    world.shop(dependsOn=["product"])
    await world.pass_()
    assert world.condition("DependenciesReady")["reason"] == "Missing"

    world.clock.now += 120
    await world.pass_()

    assert "create Deployment web" in world.writes
    assert world.condition("DependenciesReady")["reason"] == "Missing"


async def test_given_running_pods_when_a_dependency_fails_then_they_are_kept(world: World) -> None:
    other(world, "product", available=True)
    world.shop(dependsOn=["product"])
    await world.pass_()

    other(world, "product", available=False)
    await world.pass_()
    assert world.writes == {"status ShopService web"}
    world.lose("Deployment")
    status = world.edit("ShopService")
    status["status"] = {**status["status"], "image": "shop:1"}
    world.see(status)
    await world.pass_()

    assert "create Deployment web" in world.writes


async def test_given_a_circular_dependency_then_it_is_reported_and_the_deployment_is_created(
    world: World,
) -> None:
    other(world, "product", dependsOn=["web"])
    world.shop(dependsOn=["product"])

    await world.pass_()

    assert "create Deployment web" in world.writes
    assert world.condition("DependenciesReady")["reason"] == "Cycle"
    assert "web → product → web" in world.condition("DependenciesReady")["message"]
