"""A Service keeps an earlier port until pods, dependants and routes have moved to the new one."""

from typing import Any

import pytest

from shop_operator.errors import (
    Forbidden,
    Refused,
)
from shop_operator.kubernetes.client import LIST_PAGE
from shop_operator.names import Key
from shop_operator.reconcile.retention import (
    DELETION_MARGIN,
)
from tests.operator.world import (
    ENDS,
    KEPT,
    POLICY,
    World,
    accept,
    neighbor,
    new_process,
    pod,
    policy,
    service_ports,
    settle,
)


async def test_given_a_changed_port_then_the_service_keeps_the_former_one_until_pods_and_dependants_have_moved(
    world: World,
) -> None:
    policy = {"networkPolicy": {"enabled": True}}
    world.shop(**policy)
    await world.pass_()
    settle(world)
    caller = Key("ns", "shop")
    world.see(
        {
            "apiVersion": "shopservice.dev/v1alpha1",
            "kind": "ShopService",
            "metadata": {
                "namespace": "ns",
                "name": "shop",
                "generation": 1,
                "creationTimestamp": world.clock.date().isoformat(),
            },
            "spec": {"image": "shop:1", "dependsOn": ["web"], **policy},
        }
    )
    world.clock.now += 200
    await world.reconciler.reconcile(caller)
    settle(world, "shop")

    world.shop(port=9090, **policy)
    await world.pass_()
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}
    assert "8080" in str(world.api.objects["NetworkPolicy", "ns", "web"]["spec"]["ingress"])

    await world.reconciler.reconcile(caller)
    assert "http://web.ns.svc:9090" in str(world.api.objects["Deployment", "ns", "shop"])
    egress = str(world.api.objects["NetworkPolicy", "ns", "shop"]["spec"]["egress"])
    assert "9090" in egress
    assert "8080" in egress

    settle(world)
    world.restart()
    await world.pass_()
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}

    settle(world, "shop")
    await world.pass_()
    assert service_ports(world) == {"http": 9090}
    assert "8080" not in str(world.api.objects["NetworkPolicy", "ns", "web"]["spec"]["ingress"])
    await world.reconciler.reconcile(caller)
    assert "8080" not in str(world.api.objects["NetworkPolicy", "ns", "shop"]["spec"]["egress"])


async def test_given_a_sidecar_port_with_the_same_name_when_the_port_changes_then_the_former_app_port_is_kept(
    world: World,
) -> None:
    sidecar = {
        "name": "proxy",
        "image": "proxy:1",
        "ports": [{"name": "http", "containerPort": 80}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    world.shop(podTemplate={"spec": {"containers": [sidecar]}})
    await world.pass_()
    settle(world)
    world.shop(port=9090, podTemplate={"spec": {"containers": [sidecar]}})
    await world.pass_()
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}

    settle(world)
    await world.pass_()

    assert service_ports(world) == {"http": 9090}


@pytest.mark.parametrize("whose", ["web", "shop"])
async def test_given_terminating_pods_when_the_port_changes_then_the_former_port_stays_until_they_have_ended(
    world: World, whose: str
) -> None:
    world.shop()
    await world.pass_()
    settle(world)
    caller = neighbor(world, "shop", dependsOn=["web"])
    await world.reconciler.reconcile(caller)
    settle(world, "shop")
    world.shop(port=9090)
    await world.pass_()
    await world.reconciler.reconcile(caller)
    ending = pod(world, whose, deletionTimestamp=ENDS)
    settle(world)
    settle(world, "shop")

    world.api.reads = 0
    assert await world.pass_() == 5
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}
    assert world.condition("Ready")["message"].endswith(f"{KEPT}port 8080 of Service web.")
    world.restart()
    assert await world.pass_() == 5
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}

    world.api.forget(ending)
    await world.pass_()
    assert service_ports(world) == {"http": 9090}
    world.api.reads = 0
    assert await world.pass_() is None
    assert world.api.reads == 0


async def test_given_pods_of_a_former_dependant_that_call_a_port_then_it_stays_until_they_have_ended(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    settle(world)
    caller = neighbor(world, "shop", dependsOn=["web"])
    await world.reconciler.reconcile(caller)
    settle(world, "shop")
    template = world.api.objects["Deployment", "ns", "shop"]["spec"]["template"]
    old = pod(world, "shop")
    world.see({**world.api.objects[old], "spec": template["spec"]})

    # When the dependency leaves the caller's spec as its port changes.
    neighbor(world, "shop")
    world.shop(port=9090)
    await world.reconciler.reconcile(caller)
    await world.pass_()
    settle(world)
    settle(world, "shop", old=1)

    # Then the old pod keeps the port, also while it is being deleted.
    assert await world.pass_() == 30
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}
    assert world.condition("Ready")["message"].endswith(f"{KEPT}port 8080 of Service web.")
    world.restart()
    settle(world, "shop")
    pod(world, "shop", deletionTimestamp=ENDS)
    world.see({**world.api.objects[old], "spec": template["spec"]})
    assert await world.pass_() == 5
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}

    world.api.forget(old)
    await world.pass_()
    assert service_ports(world) == {"http": 9090}


async def test_given_pods_of_a_deleted_dependant_then_the_port_that_they_call_stays_until_they_have_ended(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    caller = neighbor(world, "shop", dependsOn=["web"])
    await world.reconciler.reconcile(caller)
    template = world.api.objects["Deployment", "ns", "shop"]["spec"]["template"]
    ending = pod(world, "shop", deletionTimestamp=ENDS)
    world.see({**world.api.objects[ending], "spec": template["spec"]})
    world.lose("ShopService", "shop")
    world.lose("Deployment", "shop")

    world.shop(port=9090)
    await world.pass_()
    settle(world)
    assert await world.pass_() == 5
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}

    world.api.forget(ending)
    await world.pass_()
    assert service_ports(world) == {"http": 9090}


@pytest.mark.parametrize("suspend", [False, True])
async def test_given_pods_of_a_former_dependant_that_are_not_replaced_yet_then_the_port_stays(
    world: World, suspend: bool
) -> None:
    world.shop()
    await world.pass_()
    caller = neighbor(world, "shop", dependsOn=["web"])
    await world.reconciler.reconcile(caller)
    settle(world, "shop")
    old = pod(world, "shop")
    template = world.api.objects["Deployment", "ns", "shop"]["spec"]["template"]
    world.see({**world.api.objects[old], "spec": template["spec"]})
    neighbor(world, "shop", suspend=suspend)
    if suspend:
        await world.reconciler.reconcile(caller)

    world.shop(port=9090)
    await world.pass_()
    settle(world)

    assert await world.pass_() == 30
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}


@pytest.mark.parametrize(
    "url",
    [
        "http://web.ns.svc:9090",
        "http://db.ns.svc:8080",
        "http://web:8080",
        # No release changes a port that a spec sets itself.
        "http://web.ns.svc:8080",
    ],
)
async def test_given_a_client_that_is_no_dependant_when_the_port_changes_then_the_former_port_is_removed(
    world: World, url: str
) -> None:
    world.shop()
    await world.pass_()
    client = neighbor(world, "client", env=[{"name": "WEB", "value": url}])
    await world.reconciler.reconcile(client)
    settle(world, "client")
    # Its status describes its current spec.
    await world.reconciler.reconcile(client)
    template = world.api.objects["Deployment", "ns", "client"]["spec"]["template"]
    world.see({**world.api.objects[pod(world, "client")], "spec": template["spec"]})

    world.shop(port=9090)
    await world.pass_()
    settle(world)
    await world.pass_()

    assert service_ports(world) == {"http": 9090}


async def test_given_more_pods_than_one_page_then_the_last_pod_keeps_its_port_and_service_account(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    world.shop(port=9090, serviceAccount={"name": "mine"})
    await world.pass_()
    settle(world)
    for number in range(LIST_PAGE):
        running = world.api.objects[pod(world, "web")]
        world.api.put({**running, "metadata": {**running["metadata"], "name": f"a-{number}"}})
    ending = pod(world, "web", deletionTimestamp=ENDS)

    assert await world.pass_() == 5
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}
    assert ("ServiceAccount", "ns", "web") in world.api.objects

    world.api.forget(ending)
    await world.pass_()
    assert service_ports(world) == {"http": 9090}
    assert ("ServiceAccount", "ns", "web") not in world.api.objects


async def test_given_a_pod_that_outlasts_its_grace_period_then_the_former_port_is_removed(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    world.shop(port=9090)
    await world.pass_()
    settle(world)
    pod(world, "web", deletionTimestamp=world.clock.date().isoformat())
    await world.pass_()
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}

    world.clock.now += DELETION_MARGIN.total_seconds()
    await world.pass_()

    assert service_ports(world) == {"http": 9090}


async def test_given_pods_that_cannot_be_listed_then_the_former_port_stays(world: World) -> None:
    world.shop()
    await world.pass_()
    world.shop(port=9090)
    await world.pass_()
    settle(world)
    world.api.refusing["Pod"] = Forbidden("no")

    with pytest.raises(Forbidden):
        await world.pass_()

    assert service_ports(world) == {"http": 9090, "http-8080": 8080}


async def test_given_a_dependency_that_is_deleted_and_created_again_then_its_dependants_are_not_rolled_out(
    world: World,
) -> None:
    world.shop(port=9090)
    await world.pass_()
    monitor = {"name": "MONITORED", "value": "http://web.ns.svc:9100"}
    caller = neighbor(world, "shop", dependsOn=["web"], env=[monitor], **POLICY)
    await world.reconciler.reconcile(caller)
    before = world.api.objects["Deployment", "ns", "shop"]["spec"], policy(world, "egress", "shop")
    assert "http://web.ns.svc:9090" in str(before[0])
    assert "9090" in before[1]

    def now() -> tuple[Any, str]:
        return world.api.objects["Deployment", "ns", "shop"]["spec"], policy(world, "egress", "shop")

    # Its rollout is not complete, which makes no difference.
    world.lose("ShopService")
    for kind in ("Service", "Deployment", "ServiceAccount"):
        world.lose(kind)
    await new_process(world)
    await world.reconciler.reconcile(caller)
    assert now() == before

    world.shop(port=9090)
    await world.reconciler.reconcile(caller)
    assert now() == before
    await world.pass_()
    await world.reconciler.reconcile(caller)
    assert now() == before


async def test_given_a_port_set_by_another_manager_then_it_is_not_kept_as_an_earlier_port(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    live = world.edit("Service")
    live["spec"]["ports"][0]["port"] = 9999
    live["metadata"]["managedFields"] = [
        {"manager": "shop-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:ports": {}}}}
    ]
    world.see(live)

    await world.pass_()

    assert service_ports(world) == {"http": 8080}


async def test_given_a_service_that_cannot_be_applied_when_its_port_changes_then_dependants_keep_the_former_port(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    world.api.refusing["Service"] = Refused("no")
    world.shop(port=9090)
    await world.pass_()
    world.api.refusing.clear()
    caller = {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"namespace": "ns", "name": "shop", "generation": 1},
        "spec": {"image": "shop:1", "dependsOn": ["web"]},
    }
    world.see(caller)

    await world.reconciler.reconcile(Key("ns", "shop"))

    assert "http://web.ns.svc:8080" in str(world.api.objects["Deployment", "ns", "shop"])


async def test_given_a_changed_port_then_the_httproute_keeps_the_former_one_until_new_pods_serve(
    world: World,
) -> None:
    gateway: dict[str, Any] = {"gateway": {"name": "shop"}, "routes": [{"path": "/"}]}
    world.shop(**gateway)
    await world.pass_()
    settle(world)
    accept(world, "web")

    def port() -> int:
        rule = world.api.objects["HTTPRoute", "ns", "web"]["spec"]["rules"][0]
        number: int = rule["backendRefs"][0]["port"]
        return number

    world.shop(port=9090, **gateway)
    await world.pass_()
    assert port() == 8080

    settle(world)
    await world.pass_()
    assert port() == 9090
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}

    accept(world, "web")
    await world.pass_()
    assert service_ports(world) == {"http": 9090}


async def test_given_a_port_change_in_progress_when_the_service_is_deleted_then_it_returns_with_both_ports(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    settle(world)
    world.shop(port=9090)
    await world.pass_()

    world.lose("Service")
    await world.pass_()
    assert service_ports(world) == {"http": 9090, "http-8080": 8080}

    settle(world)
    await world.pass_()
    assert service_ports(world) == {"http": 9090}
