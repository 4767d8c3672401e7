"""Nothing goes while running pods or their clients still need it: accounts, ports, routes and Gateways."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shop_operator.cache.store import Store
from shop_operator.errors import Forbidden, Refused
from shop_operator.kubernetes.client import LIST_PAGE
from shop_operator.names import ChildId, Key
from shop_operator.objects.rollouts import rolled_out
from shop_operator.reconcile.retention import (
    DELETION_MARGIN,
    ROUTE_GRACE,
    Ports,
    ended,
    old_parents,
    ports,
    route_wait,
    uses_account,
)
from tests.operator.reconcile.test_reconciler import KEY, World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DONE: dict[str, Any] = {
    "metadata": {"generation": 2},
    "spec": {"replicas": 2},
    "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    "account": "mine",
    "port": 9090,
}


def but(**status: int) -> dict[str, Any]:
    return {**DONE, "status": DONE["status"] | status}


@pytest.mark.parametrize(
    "state",
    [
        but(observedGeneration=1),
        but(replicas=3),
        but(updatedReplicas=1),
        # The old pods went with their node, and their ReplicaSet is about to make new ones.
        but(availableReplicas=0),
        but(replicas=1, updatedReplicas=1),
    ],
)
def test_a_roll_out_is_over_only_when_no_old_pod_is_left_or_can_come_back(state: dict[str, Any]) -> None:
    assert rolled_out(DONE)
    assert not rolled_out(state)
    assert uses_account("web", [DONE, state])


def test_an_account_is_used_by_pods_of_the_newest_template_too() -> None:
    assert uses_account("mine", [DONE])
    assert not uses_account("web", [DONE])
    assert not uses_account("web", [])


def route(*said: tuple[str, str], ref: str = "shop", age: float = 0.0, **spec: Any) -> dict[str, Any]:
    """An HTTPRoute with what a Gateway says about it, as (condition, status)."""
    conditions = [{"type": kind, "status": status} for kind, status in said]
    return {
        "metadata": {"generation": 1, "creationTimestamp": (NOW - timedelta(seconds=age)).isoformat()},
        "spec": {"parentRefs": [{"name": "shop"}], "ports": [8080], **spec},
        "status": {"parents": [{"ref": {"name": ref}, "conditions": conditions}] if said else []},
    }


ACCEPTED = ("Accepted", "True")
GRACE = ROUTE_GRACE.total_seconds()


@pytest.mark.parametrize(
    ("old", "successors", "seconds"),
    [
        (route(ACCEPTED), [], 0),
        (route(ACCEPTED), [route(ACCEPTED)], 0),
        (route(ACCEPTED), [route(ACCEPTED), route(age=60)], GRACE - 60),
        (route(ACCEPTED), [None], GRACE),
        # No Gateway controller says anything, so that nothing is gained by waiting.
        (route(ACCEPTED), [route(age=GRACE)], 0),
        (route(), [route()], 0),
        # A refusal is an answer: the old one serves until it is repaired.
        (route(ACCEPTED), [route(("Accepted", "False"), age=10 * GRACE)], GRACE),
    ],
)
def test_a_route_goes_once_its_successors_are_accepted(
    old: dict[str, Any], successors: list[dict[str, Any] | None], seconds: float
) -> None:
    assert route_wait(old, successors, NOW) == seconds


def test_a_route_leaves_a_gateway_once_the_next_one_has_accepted_it() -> None:
    new = {"name": "public"}

    assert old_parents(route(ACCEPTED), [new]) == [{"name": "shop"}]
    both = route(ACCEPTED, parentRefs=[new, {"name": "shop"}])
    assert old_parents(both, [new]) == [{"name": "shop"}]
    both["status"]["parents"].append({"ref": new, "conditions": [{"type": "Accepted", "status": "True"}]})
    assert old_parents(both, [new]) == []
    # One that has never accepted it serves nothing.
    assert old_parents(route(), [new]) == []


OLD = {"ports": [8080]}
BOTH = {"ports": [9090, 8080]}


@pytest.mark.parametrize(
    ("service", "web", "callers", "routes", "kept"),
    [
        (None, None, [], [], Ports()),
        ({"ports": [9090]}, DONE, [], [], Ports()),
        # Old pods are there, or the new template is not.
        (OLD, {**DONE, "port": 8080}, [], [], Ports((8080,), 8080)),
        (BOTH, but(availableReplicas=1), [], [], Ports((8080,), 8080)),
        (BOTH, None, [], [], Ports((8080,), 8080)),
        # Pods that call it are there which were told the old port, or may be.
        (BOTH, DONE, [8080], [], Ports((8080,))),
        (BOTH, DONE, [9090, 0], [], Ports((8080,))),
        (BOTH, DONE, [9090, None], [], Ports()),
        # A route leads there, or a Gateway has not seen that it does not.
        (BOTH, DONE, [], [route(ACCEPTED)], Ports((8080,))),
        (BOTH, DONE, [], [route(ACCEPTED, ports=[9090])], Ports()),
        # Many changes in a row: routes stay where they are, and the oldest ports go.
        ({"ports": [5, 4, 3, 2, 1]}, None, [], [route(ports=[4])], Ports((5, 4, 3), 4)),
    ],
)
def test_a_port_stays_until_pods_callers_and_routes_have_moved(
    service: dict[str, Any] | None,
    web: dict[str, Any] | None,
    callers: list[int | None],
    routes: list[dict[str, Any]],
    kept: Ports,
) -> None:
    assert ports(9090, service, web, callers, routes, drained=True) == kept


def test_a_port_stays_until_pods_that_are_being_deleted_have_gone() -> None:
    assert ports(9090, BOTH, DONE, [9090], [], drained=False) == Ports((8080,))
    assert ports(9090, {"ports": [9090]}, DONE, [9090], [], drained=False) == Ports()


@pytest.mark.parametrize(
    ("deleted", "phase", "over"),
    [
        (None, "Running", False),
        (NOW + timedelta(seconds=30), "Running", False),
        (NOW - DELETION_MARGIN + timedelta(seconds=1), "Running", False),
        # Its node tells nothing any more.
        (NOW - DELETION_MARGIN, "Running", True),
        # A finalizer keeps it, or an eviction has left it.
        (NOW + timedelta(seconds=30), "Succeeded", True),
        (None, "Failed", True),
    ],
)
def test_a_pod_has_ended_when_its_containers_have_or_its_grace_period_is_long_over(
    deleted: datetime | None, phase: str, over: bool
) -> None:
    metadata = {} if deleted is None else {"deletionTimestamp": deleted.isoformat()}

    assert ended({"metadata": metadata, "status": {"phase": phase}}, NOW) == over


@pytest.fixture
def world() -> World:
    return World()


def settle(world: World, name: str = "web", *, old: int = 0) -> None:
    """The Deployment controller has rolled it out; so many old pods are left."""
    found = world.edit("Deployment", name)
    wanted = found["spec"]["replicas"]
    world.see(
        found
        | {
            "status": {
                "observedGeneration": found["metadata"]["generation"],
                "replicas": wanted + old,
                "updatedReplicas": wanted,
                "availableReplicas": wanted,
                "readyReplicas": wanted,
            }
        }
    )


def accept(world: World, name: str) -> None:
    found = world.edit("HTTPRoute", name)
    said = [{"type": "Accepted", "status": "True", "observedGeneration": found["metadata"]["generation"]}]
    world.see(
        found | {"status": {"parents": [{"parentRef": found["spec"]["parentRefs"][0], "conditions": said}]}}
    )


def routes(world: World) -> set[str]:
    return {name for kind, _, name in world.api.objects if kind == "HTTPRoute"}


def service_ports(world: World) -> dict[str, int]:
    return {p["name"]: p["port"] for p in world.api.objects["Service", "ns", "web"]["spec"]["ports"]}


async def test_an_account_stays_until_the_last_old_pod_has_gone(world: World) -> None:
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


async def test_an_account_stays_until_pods_that_are_being_deleted_have_gone(world: World) -> None:
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


async def test_an_account_stays_until_the_pods_of_a_worker_that_is_removed_have_gone(world: World) -> None:
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


async def test_an_account_stays_while_it_cannot_be_read_whether_pods_are_left(world: World) -> None:
    world.shop()
    await world.pass_()
    world.shop(serviceAccount={"name": "mine"})
    await world.pass_()
    settle(world)
    world.api.refusing["Pod"] = Forbidden("no")

    with pytest.raises(Forbidden):
        await world.pass_()

    assert ("ServiceAccount", "ns", "web") in world.api.objects


async def test_an_account_stays_when_the_new_pods_cannot_be_applied(world: World) -> None:
    world.shop()
    await world.pass_()
    settle(world)
    world.api.refusing["Deployment"] = Refused("no")

    world.shop(serviceAccount={"name": "mine"})
    await world.pass_()

    assert ("ServiceAccount", "ns", "web") in world.api.objects


async def test_a_route_that_goes_waits_until_the_others_are_accepted(world: World) -> None:
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


async def test_a_route_that_nothing_replaces_goes_at_once(world: World) -> None:
    world.shop(gateway={"name": "shop"}, routes=[{"path": "/"}])
    await world.pass_()
    accept(world, "web")

    world.shop()
    await world.pass_()

    assert routes(world) == set()


async def test_another_gateway_takes_over_before_the_old_one_is_left(world: World) -> None:
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


async def test_a_port_stays_until_pods_and_dependants_have_the_new_one(world: World) -> None:
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


async def test_a_port_of_a_sidecar_that_has_the_same_name_is_not_the_ports_of_the_pods(world: World) -> None:
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
async def test_a_port_stays_until_pods_that_are_being_deleted_have_gone_in_a_cluster(
    world: World, whose: str
) -> None:
    world.shop()
    await world.pass_()
    settle(world)
    caller = other(world, "shop", dependsOn=["web"])
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


async def test_a_port_stays_until_the_pods_of_a_former_dependant_that_call_it_have_gone(world: World) -> None:
    world.shop()
    await world.pass_()
    settle(world)
    caller = other(world, "shop", dependsOn=["web"])
    await world.reconciler.reconcile(caller)
    settle(world, "shop")
    template = world.api.objects["Deployment", "ns", "shop"]["spec"]["template"]
    old = pod(world, "shop")
    world.see({**world.api.objects[old], "spec": template["spec"]})

    # When the dependency leaves the caller's spec as its port changes.
    other(world, "shop")
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


async def test_a_port_stays_until_the_pods_of_a_dependant_that_is_deleted_have_gone(world: World) -> None:
    world.shop()
    await world.pass_()
    caller = other(world, "shop", dependsOn=["web"])
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
async def test_a_port_stays_for_the_pods_of_a_former_dependant_that_is_not_replaced_yet(
    world: World, suspend: bool
) -> None:
    world.shop()
    await world.pass_()
    caller = other(world, "shop", dependsOn=["web"])
    await world.reconciler.reconcile(caller)
    settle(world, "shop")
    old = pod(world, "shop")
    template = world.api.objects["Deployment", "ns", "shop"]["spec"]["template"]
    world.see({**world.api.objects[old], "spec": template["spec"]})
    other(world, "shop", suspend=suspend)
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
        # What a spec tells its pods itself, no release moves.
        "http://web.ns.svc:8080",
    ],
)
async def test_a_port_does_not_stay_for_a_client_that_no_release_has_moved(world: World, url: str) -> None:
    world.shop()
    await world.pass_()
    client = other(world, "client", env=[{"name": "WEB", "value": url}])
    await world.reconciler.reconcile(client)
    settle(world, "client")
    # Its status is about its spec.
    await world.reconciler.reconcile(client)
    template = world.api.objects["Deployment", "ns", "client"]["spec"]["template"]
    world.see({**world.api.objects[pod(world, "client")], "spec": template["spec"]})

    world.shop(port=9090)
    await world.pass_()
    settle(world)
    await world.pass_()

    assert service_ports(world) == {"http": 9090}


async def test_of_more_pods_than_a_page_holds_the_last_one_holds_what_it_uses(world: World) -> None:
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


async def test_a_port_goes_although_a_pod_outlasts_its_grace_period(world: World) -> None:
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


async def test_a_port_stays_while_it_cannot_be_read_whether_pods_are_left(world: World) -> None:
    world.shop()
    await world.pass_()
    world.shop(port=9090)
    await world.pass_()
    settle(world)
    world.api.refusing["Pod"] = Forbidden("no")

    with pytest.raises(Forbidden):
        await world.pass_()

    assert service_ports(world) == {"http": 9090, "http-8080": 8080}


async def test_a_dependency_that_is_created_again_has_no_dependant_rolled_out(world: World) -> None:
    world.shop(port=9090)
    await world.pass_()
    monitor = {"name": "MONITORED", "value": "http://web.ns.svc:9100"}
    caller = other(world, "shop", dependsOn=["web"], env=[monitor], **POLICY)
    await world.reconciler.reconcile(caller)
    before = world.api.objects["Deployment", "ns", "shop"]["spec"], policy(world, "egress", "shop")
    assert "http://web.ns.svc:9090" in str(before[0])
    assert "9090" in before[1]

    def now() -> tuple[Any, str]:
        return world.api.objects["Deployment", "ns", "shop"]["spec"], policy(world, "egress", "shop")

    # Its roll-out is not over yet, which makes no difference.
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


async def test_a_port_that_another_manager_put_there_is_no_earlier_port(world: World) -> None:
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


async def test_a_dependant_is_given_a_port_only_once_the_service_has_it(world: World) -> None:
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


async def test_routes_lead_to_a_port_that_serves(world: World) -> None:
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


def other(world: World, name: str, **spec: Any) -> Key:
    """Create or change another ShopService."""
    found = world.api.objects.get(("ShopService", "ns", name), {})
    metadata = {
        "namespace": "ns",
        "name": name,
        "generation": 0,
        "creationTimestamp": world.clock.date().isoformat(),
        **found.get("metadata", {}),
    }
    world.see(
        {
            "apiVersion": "shopservice.dev/v1alpha1",
            "kind": "ShopService",
            "metadata": {**metadata, "generation": metadata["generation"] + 1},
            "spec": {"image": "shop:1", **spec},
            "status": found.get("status", {}),
        }
    )
    world.clock.now += 200
    return Key("ns", name)


def policy(world: World, direction: str, name: str = "web") -> str:
    return str(world.api.objects["NetworkPolicy", "ns", name]["spec"][direction])


def pod(world: World, name: str, component: str = "web", **metadata: Any) -> tuple[str, str, str]:
    labels = {"shopservice.dev/name": name, "app.kubernetes.io/component": component}
    world.see(
        {
            "kind": "Pod",
            "metadata": {"namespace": "ns", "name": f"{name}-pod", "labels": labels, **metadata},
            "spec": {},
        }
    )
    return ("Pod", "ns", f"{name}-pod")


POLICY: dict[str, Any] = {"networkPolicy": {"enabled": True}}
# Of pods that are being deleted; the clock of a world begins in 1970.
ENDS = "2026-01-01T00:00:00Z"


async def test_a_dependency_that_is_removed_stays_reachable_until_the_old_pods_have_gone(
    world: World,
) -> None:
    world.shop(**POLICY)
    await world.pass_()
    caller = other(world, "shop", dependsOn=["web"], **POLICY)
    await world.reconciler.reconcile(caller)
    settle(world, "shop")
    await world.pass_()
    assert "'shop'" in policy(world, "ingress")

    other(world, "shop", **POLICY)
    # The dependency may look first.
    await world.pass_()
    assert "'shop'" in policy(world, "ingress")
    await world.reconciler.reconcile(caller)
    assert "'web'" in policy(world, "egress", "shop")
    settle(world, "shop", old=1)
    world.restart()
    await world.pass_()
    await world.reconciler.reconcile(caller)
    assert "'web'" in policy(world, "egress", "shop")
    assert "'shop'" in policy(world, "ingress")

    settle(world, "shop")
    ending = pod(world, "shop", deletionTimestamp=ENDS)
    assert await world.pass_() == 5
    assert await world.reconciler.reconcile(caller) == 5
    assert "'web'" in policy(world, "egress", "shop")
    assert "'shop'" in policy(world, "ingress")

    world.api.forget(ending)
    await world.pass_()
    await world.reconciler.reconcile(caller)
    assert "'web'" not in policy(world, "egress", "shop")
    assert "'shop'" not in policy(world, "ingress")
    await world.pass_()
    assert world.writes == set()


async def test_a_dependant_that_is_deleted_is_admitted_until_its_pods_have_gone(world: World) -> None:
    world.shop(**POLICY)
    await world.pass_()
    caller = other(world, "shop", dependsOn=["web"])
    await world.reconciler.reconcile(caller)
    await world.pass_()

    world.lose("ShopService", "shop")
    await world.pass_()
    assert "'shop'" in policy(world, "ingress")

    ending = pod(world, "shop")
    world.lose("Deployment", "shop")
    await world.pass_()
    assert "'shop'" in policy(world, "ingress")

    world.api.forget(ending)
    await world.pass_()
    assert "'shop'" not in policy(world, "ingress")


async def test_the_connections_of_a_worker_that_is_removed_stay_until_its_pods_have_gone(
    world: World,
) -> None:
    everywhere = [{"ports": [{"port": 443}]}]
    worker = {"name": "relay", "command": ["relay"], "port": 9000}
    monitored: dict[str, Any] = {"monitoring": {"enabled": True}}
    world.shop(workers=[worker], networkPolicy={"egress": everywhere}, **monitored)
    await world.pass_()
    for name in ("web", "web-relay"):
        settle(world, name)
    ending = pod(world, "web", "worker-relay")

    world.shop(**POLICY, **monitored)
    look = await world.pass_()

    assert look == 5
    assert "443" in policy(world, "egress")
    assert "9000" in policy(world, "ingress")
    world.api.forget(ending)
    await world.pass_()
    assert "443" not in policy(world, "egress")
    assert "9000" not in policy(world, "ingress")


async def test_rules_of_the_user_stay_until_the_pods_that_they_were_for_are_replaced(world: World) -> None:
    worker: dict[str, Any] = {"name": "relay", "command": ["relay"], "port": 9000}
    world.shop(
        workers=[worker],
        monitoring={"enabled": True},
        networkPolicy={"egress": [{"ports": [{"port": 443}]}], "ingress": [{"ports": [{"port": 9000}]}]},
    )
    await world.pass_()
    for name in ("web", "web-relay"):
        settle(world, name)

    world.shop(
        workers=[worker | {"port": 9100}],
        monitoring={"enabled": True},
        networkPolicy={"egress": [{"ports": [{"port": 8443}]}], "ingress": [{"ports": [{"port": 9100}]}]},
    )
    await world.pass_()
    for direction, both in (("egress", ("443", "8443")), ("ingress", ("9000", "9100"))):
        assert all(f"'port': {each}" in policy(world, direction) for each in both)

    settle(world, "web-relay")
    await world.pass_()
    assert "'port': 443}" not in policy(world, "egress")
    assert "9000" not in policy(world, "ingress")


async def test_rules_go_at_once_where_no_pod_is_replaced(world: World) -> None:
    world.shop(networkPolicy={"egress": [{"ports": [{"port": 443}]}]})
    await world.pass_()
    settle(world)

    world.shop(**POLICY)
    await world.pass_()

    assert "443" not in policy(world, "egress")


async def test_rules_stay_when_the_new_pods_cannot_be_applied(world: World) -> None:
    world.shop(networkPolicy={"egress": [{"ports": [{"port": 443}]}]})
    await world.pass_()
    settle(world)
    world.api.refusing["Deployment"] = Refused("no")

    world.shop(args=["--other"], **POLICY)
    await world.pass_()

    assert "443" in policy(world, "egress")


async def test_a_rule_that_another_manager_has_added_is_reverted_while_pods_are_replaced(
    world: World,
) -> None:
    world.shop(**POLICY)
    await world.pass_()
    settle(world)
    world.shop(args=["--other"], **POLICY)
    await world.pass_()
    live = world.edit("NetworkPolicy")
    live["spec"]["ingress"] = [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]
    live["metadata"]["managedFields"] = [
        {"manager": "shop-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:egress": {}}}}
    ]
    world.see(live)

    await world.pass_()

    assert "10.0.0.0" not in policy(world, "ingress")


async def test_the_gateways_proxies_are_let_in_as_long_as_the_route_has_the_old_gateway(
    world: World,
) -> None:
    routes = [{"path": "/"}]
    world.shop(gateway={"name": "one"}, routes=routes, networkPolicy={"gatewayNamespaces": ["proxies-one"]})
    await world.pass_()
    settle(world)
    accept(world, "web")

    world.shop(gateway={"name": "two"}, routes=routes, networkPolicy={"gatewayNamespaces": ["proxies-two"]})
    await world.pass_()
    assert "proxies-one" in policy(world, "ingress")
    assert "proxies-two" in policy(world, "ingress")

    world.restart()
    await world.pass_()
    assert "proxies-one" in policy(world, "ingress")

    accept(world, "web")
    await world.pass_()
    assert "proxies-one" not in policy(world, "ingress")
    assert "proxies-two" in policy(world, "ingress")


async def new_process(world: World) -> None:
    """The operator starts again and lists what there is."""
    world.store = Store()
    for obj in world.api.objects.values():
        world.store.put(obj)
    world.restart()


KEPT = "Kept for pods and clients of an earlier release: "
ROUTED: dict[str, Any] = {"gateway": {"name": "one"}, "routes": [{"path": "/"}]}


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
async def test_the_status_tells_what_a_roll_out_that_is_stuck_keeps(
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


async def test_a_policy_that_is_deleted_during_a_roll_out_returns_with_what_running_pods_need(
    world: World,
) -> None:
    world.shop(
        networkPolicy={"egress": [{"ports": [{"port": 443}]}], "ingress": [{"ports": [{"port": 9000}]}]}
    )
    await world.pass_()
    settle(world)
    world.shop(args=["--other"], **POLICY)
    await world.pass_()

    world.lose("NetworkPolicy")
    await world.pass_()
    assert "443" in policy(world, "egress")
    assert "9000" in policy(world, "ingress")

    settle(world)
    await world.pass_()
    assert "443" not in policy(world, "egress")
    assert "9000" not in policy(world, "ingress")


async def test_a_policy_that_the_spec_did_without_for_a_while_returns_without_earlier_rules(
    world: World,
) -> None:
    world.shop(networkPolicy={"egress": [{"ports": [{"port": 443}]}]})
    await world.pass_()
    settle(world)
    world.shop(args=["--other"])
    await world.pass_()
    assert "delete NetworkPolicy web" in world.writes

    world.shop(args=["--other"], **POLICY)
    await world.pass_()

    assert "443" not in policy(world, "egress")


async def test_a_service_that_is_deleted_while_its_port_changes_returns_with_both(world: World) -> None:
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


async def test_a_first_policy_admits_what_pods_of_the_earlier_template_call(world: World) -> None:
    database = other(world, "db", port=5432)
    await world.reconciler.reconcile(database)
    settle(world, "db")
    world.shop(dependsOn=["db"])
    world.clock.now += 200
    await world.pass_()
    settle(world)

    world.shop(**POLICY)
    await world.pass_()
    assert "DB_URL" not in str(world.api.objects["Deployment", "ns", "web"])
    assert "'db'" in policy(world, "egress")
    assert "'port': 5432" in policy(world, "egress")
    assert KEPT in world.condition("Ready")["message"]
    # The dependency gets its own in the same release.
    other(world, "db", port=5432, **POLICY)
    await world.reconciler.reconcile(database)
    assert "'web'" in policy(world, "ingress", "db")

    settle(world)
    await world.pass_()
    await world.reconciler.reconcile(database)
    assert "'db'" not in policy(world, "egress")
    assert "'web'" not in policy(world, "ingress", "db")


async def test_a_first_policy_of_a_dependency_admits_those_whose_new_template_is_not_applied_yet(
    world: World,
) -> None:
    caller = other(world, "shop", dependsOn=["web"])
    world.shop()
    await world.pass_()
    settle(world)
    await world.reconciler.reconcile(caller)
    settle(world, "shop")

    other(world, "shop")
    world.shop(**POLICY)
    await world.pass_()

    assert "'shop'" in policy(world, "ingress")


async def test_a_first_policy_after_the_dependency_was_dropped_asks_the_pods_that_are_left(
    world: World,
) -> None:
    database = other(world, "db", port=5432)
    await world.reconciler.reconcile(database)
    world.shop(dependsOn=["db"])
    world.clock.now += 200
    await world.pass_()
    settle(world)
    template = world.api.objects["Deployment", "ns", "web"]["spec"]["template"]
    world.shop()
    await world.pass_()
    pod(world, "web")
    (left,) = (each for each in world.api.objects.values() if each["kind"] == "Pod")
    world.see({**left, "spec": template["spec"]})
    await new_process(world)

    world.shop(**POLICY)
    await world.pass_()

    assert "'db'" in policy(world, "egress")


async def test_a_first_policy_asks_pods_that_are_being_deleted_what_they_call(world: World) -> None:
    database = other(world, "db", port=5432)
    await world.reconciler.reconcile(database)
    world.shop(dependsOn=["db"])
    world.clock.now += 200
    await world.pass_()
    template = world.api.objects["Deployment", "ns", "web"]["spec"]["template"]
    world.shop()
    await world.pass_()
    settle(world)
    ending = pod(world, "web", deletionTimestamp=ENDS)
    world.see({**world.api.objects[ending], "spec": template["spec"]})

    world.shop(**POLICY)
    assert await world.pass_() == 5
    assert "'db'" in policy(world, "egress")

    world.api.forget(ending)
    await world.pass_()
    assert "'db'" not in policy(world, "egress")


async def test_pods_stay_without_a_policy_while_it_cannot_be_read_what_they_call(world: World) -> None:
    world.shop()
    await world.pass_()
    settle(world)
    world.shop(args=["--other"])
    await world.pass_()
    world.api.refusing["Pod"] = Forbidden("no")

    world.shop(args=["--other"], **POLICY)
    with pytest.raises(Forbidden):
        await world.pass_()
    assert ("NetworkPolicy", "ns", "web") not in world.api.objects

    del world.api.refusing["Pod"]
    await world.pass_()
    assert ("NetworkPolicy", "ns", "web") in world.api.objects


async def test_a_first_policy_of_pods_that_begin_with_it_admits_no_more_than_the_spec(world: World) -> None:
    caller = other(world, "shop")
    await world.reconciler.reconcile(caller)
    settle(world, "shop")
    other(world, "shop", args=["--other"])
    await world.reconciler.reconcile(caller)

    world.shop(**POLICY)
    await world.pass_()

    assert "'shop'" not in policy(world, "ingress")
    assert world.api.reads == 0


def test_the_pods_of_a_former_dependant_are_news_to_whom_still_admits_it() -> None:
    store = Store()

    def see(kind: str, name: str, version: int, **more: Any) -> set[Key]:
        metadata = {
            "namespace": "ns",
            "name": name,
            "uid": f"{kind}{name}",
            "resourceVersion": str(version),
            "labels": {"shopservice.dev/name": name},
            "managedFields": [
                {"manager": "shop-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:ingress": {}}}}
            ],
        }
        return store.put({"kind": kind, "metadata": metadata, **more})

    peer = {"podSelector": {"matchLabels": {"shopservice.dev/name": "caller"}}}
    see("ShopService", "web", 1, spec={})
    see("ShopService", "caller", 2, spec={"dependsOn": ["web"]})
    see("NetworkPolicy", "web", 3, spec={"ingress": [{"from": [peer]}]})
    caller = Key("ns", "caller")
    assert see("Deployment", "caller", 4, spec={"replicas": 1}) == {caller}

    assert see("ShopService", "caller", 5, spec={}) == {KEY, caller}
    assert see("Deployment", "caller", 6, spec={"replicas": 2}) == {KEY, caller}
    assert see("ShopService", "caller", 7, spec={}, status={"observedGeneration": 2}) == {KEY, caller}
    gone = {
        "namespace": "ns",
        "name": "caller",
        "uid": "Deploymentcaller",
        "resourceVersion": "8",
    }
    assert store.remove({"kind": "Deployment", "metadata": gone}) == {KEY, caller}

    see("NetworkPolicy", "web", 9, spec={"ingress": []})
    assert see("ShopService", "caller", 10, spec={}, status={}) == {caller}


def test_ports_and_pods_are_news_to_those_who_wait_for_them() -> None:
    store = Store()

    def shop(name: str, version: int, **spec: Any) -> None:
        store.put(
            {
                "kind": "ShopService",
                "metadata": {"namespace": "ns", "name": name, "uid": name, "resourceVersion": str(version)},
                "spec": spec,
            }
        )

    def child(kind: str, of: str, version: int, spec: dict[str, Any]) -> set[Key]:
        return store.put(
            {
                "kind": kind,
                "metadata": {
                    "namespace": "ns",
                    "name": of,
                    "uid": f"{kind}{of}",
                    "resourceVersion": str(version),
                    "labels": {"shopservice.dev/name": of},
                },
                "spec": spec,
            }
        )

    def entry(name: str, number: int) -> dict[str, Any]:
        return {"name": name, "port": number, "targetPort": "http"}

    shop("web", 1)
    shop("caller", 2, dependsOn=["web"])
    child("Service", "web", 3, {"ports": [entry("http", 8080)]})
    child("Deployment", "caller", 4, {"replicas": 1})

    moved = child("Service", "web", 5, {"ports": [entry("http-8080", 8080), entry("http", 9090)]})
    assert moved == {KEY, Key("ns", "caller")}
    assert store.children(KEY)[ChildId("Service", "web")].state["ports"] == [9090, 8080]
    assert child("Deployment", "caller", 6, {"replicas": 2}) == {KEY, Key("ns", "caller")}

    child("Service", "web", 7, {"ports": [entry("http", 9090)]})
    assert child("Deployment", "caller", 8, {"replicas": 3}) == {Key("ns", "caller")}
