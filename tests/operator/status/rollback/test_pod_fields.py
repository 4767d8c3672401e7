"""Fields that make pods are rolled back; all other fields follow the spec."""

from collections.abc import Callable
from typing import Any

import pytest

from shop_operator.errors import Refused
from shop_operator.status.rollback import same_pods
from tests.operator.status.rollback.releases import CAREFUL, PROBE, fail, pod, release, rollout, seen
from tests.operator.world import World, rolling


async def test_given_a_failed_release_then_image_probes_and_variables_are_rolled_back_together(
    world: World,
) -> None:
    good = pod(world)

    await release(world, image="shop:2", probes=PROBE)
    assert pod(world) != good
    await fail(world)

    assert pod(world) == good
    assert rollout(world)["rejectedImage"] == "shop:2"
    assert rollout(world)["lastAvailableImage"] == "shop:1"


NULLS: dict[str, Any] = {
    "podTemplate": {
        "spec": {
            "topologySpreadConstraints": None,
            "containers": [{"name": "app", "livenessProbe": None, "startupProbe": None}],
        }
    }
}


async def test_given_fields_removed_by_null_when_a_release_is_rolled_back_then_they_stay_removed(
    world: World,
) -> None:
    await release(world, image="shop:1", **NULLS)
    rolling(world, available=1)
    await world.pass_()
    good = pod(world)
    assert "topologySpreadConstraints" not in good
    assert "livenessProbe" not in good

    asked: list[Any] = []
    patch_status = world.api.patch_status

    async def noted(*args: Any, **given: Any) -> dict[str, Any]:
        asked.append(given["patch"])
        return await patch_status(*args, **given)

    world.api.patch_status = noted  # type: ignore[method-assign]
    await world.pass_()
    assert asked == []

    await release(world, image="shop:2", **NULLS)
    await fail(world)
    assert pod(world) == good


async def test_given_a_failed_release_with_the_same_image_then_it_is_rolled_back(world: World) -> None:
    good = pod(world)

    await release(world, image="shop:1", env=[{"name": "VERSION", "value": "two"}])
    await fail(world)

    assert pod(world) == good


ROUTES: dict[str, Any] = {"routes": [{"path": "/", "hostnames": ["a.example.com"]}], "gateway": {"name": "g"}}


QUEUE: dict[str, Any] = {
    "autoscaling": {"maxReplicas": 3, "queue": {"url": "https://sqs.eu-central-1.amazonaws.com/1/q"}}
}


def refusing(kind: str) -> Callable[[World], None]:
    """A policy denies every object of a kind."""

    def change(world: World) -> None:
        world.api.refusing[kind] = Refused("denied.")

    return change


def without(kind: str) -> Callable[[World], None]:
    """The API server does not serve a kind."""

    def change(world: World) -> None:
        world.served -= {kind}

    return change


@pytest.mark.parametrize(
    ("spec", "trouble"),
    [
        (ROUTES, refusing("HTTPRoute")),
        (ROUTES, without("HTTPRoute")),
        ({"autoscaling": {"maxReplicas": 3}}, refusing("PodDisruptionBudget")),
        (QUEUE, without("ScaledObject")),
    ],
)
async def test_given_another_child_that_cannot_be_applied_when_a_release_fails_then_all_of_it_is_rolled_back(
    spec: dict[str, Any], trouble: Callable[[World], None]
) -> None:
    world = World()
    trouble(world)
    await release(world, image="shop:1", **spec)
    rolling(world, available=1)
    await world.pass_()
    good = pod(world)

    await release(world, image="shop:1", env=[{"name": "VERSION", "value": "two"}], **spec)
    assert pod(world) != good
    await fail(world)

    assert pod(world) == good


async def test_given_a_missing_service_account_when_a_release_fails_then_it_is_not_rejected(
    world: World,
) -> None:
    good = rollout(world)["lastAvailableRelease"]
    world.lose("ServiceAccount")
    world.api.refusing["ServiceAccount"] = Refused("denied.")

    await release(world, image="shop:1", env=[{"name": "VERSION", "value": "two"}])
    await fail(world)

    assert rollout(world)["lastAvailableRelease"] == good
    assert "rejectedRelease" not in rollout(world)


async def test_given_a_rolled_back_release_then_replicas_and_service_ports_follow_the_spec(
    world: World,
) -> None:
    await release(world, image="shop:2", port=9090, env=[{"name": "VERSION", "value": "two"}])
    await fail(world)

    world.shop(**CAREFUL, image="shop:2", port=9090, replicas=3, env=[{"name": "VERSION", "value": "two"}])
    await world.pass_()

    assert world.api.objects["Deployment", "ns", "web"]["spec"]["replicas"] == 3
    assert "shop:1" in pod(world)
    # Old pods listen on the old port, and the Service leads to it by its name from both.
    assert "'containerPort': 8080" in pod(world)
    ports = world.api.objects["Service", "ns", "web"]["spec"]["ports"]
    assert {(each["name"], each["port"]) for each in ports} == {("http", 9090), ("http-8080", 8080)}


async def test_given_a_rolled_back_release_then_egress_admits_the_dependencies_of_the_running_release() -> (
    None
):
    world = World()
    world.see(
        {
            "apiVersion": "shopservice.dev/v1alpha1",
            "kind": "ShopService",
            "metadata": {"namespace": "ns", "name": "db", "generation": 1},
            "spec": {"image": "db:1", "port": 5432},
        }
    )
    policy: dict[str, Any] = {"networkPolicy": {"enabled": True}}
    world.shop(**CAREFUL, **policy, image="shop:1", dependsOn=["db"])
    world.clock.now += 200
    await world.pass_()
    rolling(world, available=1)
    await world.pass_()
    good = pod(world)
    assert "http://db.ns.svc:5432" in good

    await release(world, image="shop:2", **policy)
    await fail(world)
    rolling(world, available=1)
    await world.pass_()

    assert pod(world) == good
    egress = str(world.api.objects["NetworkPolicy", "ns", "web"]["spec"]["egress"])
    assert "'shopservice.dev/name': 'db'" in egress
    assert "5432" in egress


def test_given_two_specs_that_differ_in_replicas_only_then_their_pods_are_the_same() -> None:
    worker = {"name": "relay", "command": ["relay"], "replicas": 1}

    assert same_pods({"workers": [worker]}, {"workers": [{**worker, "replicas": 2}]})
    assert not same_pods({"workers": [worker]}, {"workers": [{**worker, "command": ["x"]}]})


async def test_given_a_rolled_back_release_then_the_networkpolicy_and_podmonitor_cover_its_workers(
    world: World,
) -> None:
    watched: dict[str, Any] = {
        "networkPolicy": {"enabled": True},
        "monitoring": {"enabled": True, "namespace": "monitoring"},
    }

    def workers(**ports: int) -> dict[str, Any]:
        return {"workers": [{"name": name, "command": [name], "port": ports[name]} for name in ports]}

    await release(world, image="shop:1", **watched, **workers(relay=9100, mail=9300))
    for name in ("web", "web-relay", "web-mail"):
        seen(world, name, available=1)
    await world.pass_()

    await release(world, image="shop:2", **watched, **workers(relay=9200))
    await fail(world)

    assert "'containerPort': 9100" in str(world.api.objects["Deployment", "ns", "web-relay"]["spec"])
    (rule,) = world.api.objects["NetworkPolicy", "ns", "web"]["spec"]["ingress"]
    assert {each["port"] for each in rule["ports"]} >= {8080, 9100, 9300}
    selector = world.api.objects["PodMonitor", "ns", "web"]["spec"]["selector"]
    assert selector["matchExpressions"][0]["values"] == ["worker-mail", "worker-relay"]
