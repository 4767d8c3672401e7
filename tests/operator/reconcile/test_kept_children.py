"""ServiceAccounts, HTTPRoutes and Gateways stay until running pods and clients no longer need them."""

from typing import Any

import pytest

from shop_operator.errors import (
    Forbidden,
    Refused,
)
from tests.operator.world import (
    ENDS,
    KEPT,
    POLICY,
    World,
    accept,
    pod,
    settle,
)

ROUTED: dict[str, Any] = {"gateway": {"name": "one"}, "routes": [{"path": "/"}]}


def routes(world: World) -> set[str]:
    return {name for kind, _, name in world.api.objects if kind == "HTTPRoute"}


async def test_given_an_old_pod_when_another_service_account_is_set_then_the_former_stays_until_the_pod_has_ended(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    settle(world)

    world.shop(serviceAccount={"name": "mine"})
    await world.pass_()
    assert ("ServiceAccount", "ns", "web") in world.api.objects

    settle(world, old=1)
    world.restart()
    await world.pass_()
    assert ("ServiceAccount", "ns", "web") in world.api.objects

    settle(world)
    await world.pass_()
    assert ("ServiceAccount", "ns", "web") not in world.api.objects


async def test_given_a_terminating_pod_then_its_service_account_stays_until_the_pod_has_ended(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    settle(world)
    world.shop(serviceAccount={"name": "mine"})
    await world.pass_()
    settle(world)
    ending = pod(world, "web", deletionTimestamp=ENDS)

    assert await world.pass_() == 5
    assert ("ServiceAccount", "ns", "web") in world.api.objects
    assert world.condition("Ready")["message"].endswith(f"{KEPT}ServiceAccount web.")

    world.api.forget(ending)
    await world.pass_()
    assert ("ServiceAccount", "ns", "web") not in world.api.objects


async def test_given_pods_of_a_removed_worker_then_their_service_account_stays_until_they_have_ended(
    world: World,
) -> None:
    world.shop(workers=[{"name": "relay", "command": ["relay"]}])
    await world.pass_()
    for name in ("web", "web-relay"):
        settle(world, name)
    ending = pod(world, "web", "worker-relay")

    world.shop(serviceAccount={"name": "mine"})
    await world.pass_()
    settle(world)
    assert await world.pass_() == 5
    assert ("ServiceAccount", "ns", "web") in world.api.objects

    world.api.forget(ending)
    await world.pass_()
    assert ("ServiceAccount", "ns", "web") not in world.api.objects


async def test_given_pods_that_cannot_be_listed_then_the_former_service_account_stays(world: World) -> None:
    world.shop()
    await world.pass_()
    world.shop(serviceAccount={"name": "mine"})
    await world.pass_()
    settle(world)
    world.api.refusing["Pod"] = Forbidden("no")

    with pytest.raises(Forbidden):
        await world.pass_()

    assert ("ServiceAccount", "ns", "web") in world.api.objects


async def test_given_a_deployment_that_cannot_be_applied_then_the_former_service_account_stays(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    settle(world)
    world.api.refusing["Deployment"] = Refused("no")

    world.shop(serviceAccount={"name": "mine"})
    await world.pass_()

    assert ("ServiceAccount", "ns", "web") in world.api.objects


async def test_given_a_removed_httproute_then_it_stays_until_its_successor_is_accepted(world: World) -> None:
    gateway = {"name": "shop"}
    world.shop(
        gateway=gateway,
        routes=[{"path": "/a", "hostnames": ["a.example"]}, {"path": "/b", "hostnames": ["b.example"]}],
    )
    await world.pass_()
    before = routes(world)
    for name in before:
        accept(world, name)

    world.shop(
        gateway=gateway,
        routes=[{"path": "/a", "hostnames": ["a.example"]}, {"path": "/b", "hostnames": ["a.example"]}],
    )
    look = await world.pass_()
    assert routes(world) == before
    assert look is not None

    (kept,) = (name for name in before if "a.example" in str(world.api.objects["HTTPRoute", "ns", name]))
    accept(world, kept)
    await world.pass_()
    assert routes(world) == {kept}


async def test_given_a_removed_httproute_without_a_successor_then_it_is_deleted_at_once(world: World) -> None:
    world.shop(gateway={"name": "shop"}, routes=[{"path": "/"}])
    await world.pass_()
    accept(world, "web")

    world.shop()
    await world.pass_()

    assert routes(world) == set()


async def test_given_a_changed_gateway_then_the_httproute_names_both_until_the_new_one_accepts_it(
    world: World,
) -> None:
    spec: dict[str, Any] = {"routes": [{"path": "/"}], "networkPolicy": {"enabled": True}}
    world.shop(gateway={"name": "shop", "namespace": "one"}, **spec)
    await world.pass_()
    accept(world, "web")

    world.shop(gateway={"name": "shop", "namespace": "two"}, **spec)
    await world.pass_()

    def gateways() -> list[str]:
        return [
            each["namespace"] for each in world.api.objects["HTTPRoute", "ns", "web"]["spec"]["parentRefs"]
        ]

    assert gateways() == ["two", "one"]
    assert "'one'" in str(world.api.objects["NetworkPolicy", "ns", "web"])
    assert "Gateway two/shop has not accepted" in str(
        world.api.objects["ShopService", "ns", "web"]["status"]["children"]
    )

    found = world.edit("HTTPRoute")
    said = [{"type": "Accepted", "status": "True"}]
    parents = [{"parentRef": each, "conditions": said} for each in found["spec"]["parentRefs"]]
    world.see(found | {"status": {"parents": parents}})
    await world.pass_()

    assert gateways() == ["two"]
    assert "'one'" not in str(world.api.objects["NetworkPolicy", "ns", "web"])


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({}, {"serviceAccount": {"name": "mine"}}, "ServiceAccount web"),
        ({}, {"port": 9090}, "port 8080 of Service web"),
        (ROUTED, {**ROUTED, "gateway": {"name": "two"}}, "Gateway one of HTTPRoute web"),
        (
            {"networkPolicy": {"egress": [{"ports": [{"port": 443}]}]}},
            {"args": ["--other"], **POLICY},
            "earlier rules of NetworkPolicy web",
        ),
        (
            {**POLICY, "port": 8080},
            {**POLICY, "port": 9090, "serviceAccount": {"name": "mine"}},
            "port 8080 of Service web and ServiceAccount web",
        ),
    ],
)
async def test_given_a_stuck_rollout_then_ready_names_the_objects_that_it_keeps(
    world: World, before: dict[str, Any], after: dict[str, Any], kept: str
) -> None:
    world.shop(**before)
    await world.pass_()
    settle(world)
    if "routes" in before:
        accept(world, "web")
    await world.pass_()
    assert KEPT not in world.condition("Ready")["message"]

    world.shop(**after)
    await world.pass_()
    assert world.condition("Ready")["message"].endswith(f"{KEPT}{kept}.")
    assert not any(
        KEPT in world.condition(each)["message"] for each in ("Available", "Progressing", "Stalled")
    )
    await world.pass_()
    assert world.writes == set()

    settle(world)
    if "routes" in after:
        accept(world, "web")
    await world.pass_()
    await world.pass_()
    assert KEPT not in world.condition("Ready")["message"]
