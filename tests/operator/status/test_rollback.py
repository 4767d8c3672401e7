"""An automatic rollback takes the whole release back, says what runs, and can be retried."""

from collections.abc import Callable
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.config_hashes import Configs
from shop_operator.errors import Forbidden, Refused
from shop_operator.names import PART_OF_LABEL, RETRY_ANNOTATION
from shop_operator.render import render
from shop_operator.render.configuration import MOST_OBJECTS, Configuration, Digests, Use
from shop_operator.render.surroundings import Surroundings
from shop_operator.status.rollback import last_good, records, same_pods
from shop_operator.status.rollback import release as release_of
from tests.operator.fake_api import FixedKey
from tests.operator.world import World, given_up, rolling

CAREFUL: dict[str, Any] = {"rollout": {"autoRollback": True}}
PROBE: dict[str, Any] = {"readiness": {"httpGet": {"path": "/only-in-version-two"}}}


@pytest.fixture
async def world() -> World:
    """The first release of a ShopService is available."""
    world = World()
    await release(world, image="shop:1", env=[{"name": "VERSION", "value": "one"}])
    rolling(world, available=1)
    await world.pass_()
    return world


async def release(world: World, **spec: Any) -> None:
    world.shop(**CAREFUL, **spec)
    await world.pass_()


async def fail(world: World) -> None:
    await given_up(world)
    await world.pass_()


def pod(world: World) -> str:
    return str(world.api.objects["Deployment", "ns", "web"]["spec"]["template"])


def rollout(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.api.objects["ShopService", "ns", "web"]["status"]["rollout"]
    return found


async def test_image_and_probes_and_variables_go_back_together(world: World) -> None:
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


async def test_what_null_takes_away_does_not_come_back_and_costs_no_write(world: World) -> None:
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


async def test_a_release_that_changes_no_image_goes_back_too(world: World) -> None:
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
async def test_a_release_goes_back_as_a_whole_whatever_else_cannot_be_applied(
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


async def test_a_release_whose_pods_lack_their_account_is_not_tried(world: World) -> None:
    good = rollout(world)["lastAvailableRelease"]
    world.lose("ServiceAccount")
    world.api.refusing["ServiceAccount"] = Refused("denied.")

    await release(world, image="shop:1", env=[{"name": "VERSION", "value": "two"}])
    await fail(world)

    assert rollout(world)["lastAvailableRelease"] == good
    assert "rejectedRelease" not in rollout(world)


async def test_what_makes_no_pods_follows_the_spec_all_the_time(world: World) -> None:
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


async def test_the_dependencies_of_the_release_that_runs_stay_reachable_where_they_answer() -> None:
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


def test_the_application_that_pods_are_part_of_makes_no_release() -> None:
    def identity(value: str, part_of: dict[str, str]) -> str:
        labels = {PART_OF_LABEL: value}
        shop = ShopService("web", "ns", "u", 1, labels, {"image": "shop:1"})
        desired = render(shop, live=None)
        return release_of(shop, desired, Configuration(), Surroundings(), frozenset(), part_of).identity

    live = {"web": "shop"}
    assert identity("checkout", live) == identity("shop", live) == identity("shop", {})
    assert identity("checkout", {}) != identity("shop", {})


async def test_workers_go_back_as_they_were(world: World) -> None:
    await release(world, image="shop:2", workers=[{"name": "relay", "command": ["relay"]}])
    await fail(world)
    await world.pass_()

    assert ("Deployment", "ns", "web-relay") not in world.api.objects
    children = world.api.objects["ShopService", "ns", "web"]["status"]["children"]
    assert "web-relay" not in str(children)


def seen(world: World, name: str, *, available: int) -> None:
    """What the Deployment controller says of a Deployment that has as many pods as wanted."""
    live = world.edit("Deployment", name)
    there = live["spec"].get("replicas", 1)
    counts = dict.fromkeys(("replicas", "updatedReplicas"), there)
    counts |= dict.fromkeys(("readyReplicas", "availableReplicas"), available)
    live["status"] = {"observedGeneration": live["metadata"]["generation"], "conditions": [], **counts}
    world.see(live)


async def test_a_removed_worker_goes_back_with_its_scale_and_says_what_keeps_it() -> None:
    world = World()
    relay = {"name": "relay", "command": ["relay"], "replicas": 5}
    queue = {"name": "mail", "command": ["mail"], "autoscaling": {"minReplicas": 3, "maxReplicas": 9}}
    await release(world, image="shop:1", workers=[relay, queue])
    for name, count in (("web", 1), ("web-relay", 5), ("web-mail", 3)):
        seen(world, name, available=count)
    await world.pass_()
    renamed = {**relay, "name": "sender"}

    await release(world, image="shop:2", workers=[renamed])
    assert ("HorizontalPodAutoscaler", "ns", "web-mail") not in world.api.objects
    await fail(world)

    replicas = {
        name: found["spec"].get("replicas")
        for (kind, _, name), found in world.api.objects.items()
        if kind == "Deployment"
    }
    assert replicas == {"web": 1, "web-relay": 5, "web-mail": 3}
    assert ("HorizontalPodAutoscaler", "ns", "web-mail") in world.api.objects

    labels = {"shopservice.dev/name": "web", "app.kubernetes.io/component": "worker-relay"}
    crash = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "gone"}}}
    world.api.put(
        {
            "kind": "Pod",
            "metadata": {"namespace": "ns", "name": "relay-1", "labels": labels},
            "status": {"containerStatuses": [{"name": "relay", **crash}]},
        }
    )
    seen(world, "web-relay", available=0)
    await world.pass_()
    world.clock.now += 5
    await world.pass_()
    children = world.api.objects["ShopService", "ns", "web"]["status"]["children"]
    (said,) = (each["message"] for each in children if each["name"] == "web-relay" and not each["ready"])
    assert "gone" in said


def test_a_worker_of_both_releases_has_only_the_scale_of_the_spec() -> None:
    shop = ShopService("web", "ns", "u", 1, document={"image": "shop:2", "workers": [{"name": "relay"}]})
    kept = {"image": "shop:1", "workers": [{"name": "relay", "replicas": 5}]}

    good = last_good(shop, {"lastAvailableImage": "shop:1", "lastAvailable": kept})

    assert good is not None
    assert good.document["workers"] == [{"name": "relay"}]


def test_another_scale_makes_no_other_pods() -> None:
    worker = {"name": "relay", "command": ["relay"], "replicas": 1}

    assert same_pods({"workers": [worker]}, {"workers": [{**worker, "replicas": 2}]})
    assert not same_pods({"workers": [worker]}, {"workers": [{**worker, "command": ["x"]}]})


async def test_the_status_says_exactly_what_runs(world: World) -> None:
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


async def test_a_rollback_holds_over_a_restart_of_the_operator(world: World) -> None:
    await release(world, image="shop:2")
    await fail(world)
    good = pod(world)

    world.restart()
    await world.pass_()

    assert pod(world) == good


async def test_the_same_release_is_tried_again_when_the_annotation_changes(world: World) -> None:
    await release(world, image="shop:2")
    await fail(world)

    async def retry(value: str) -> None:
        found = world.edit("ShopService")
        found["metadata"]["annotations"] = {RETRY_ANNOTATION: value}
        world.see(found)
        await world.pass_()

    await retry("1")
    assert "shop:2" in pod(world)
    await world.pass_()
    assert "rejectedImage" not in rollout(world)

    await fail(world)
    assert "shop:1" in pod(world)
    assert rollout(world)["retry"] == "1"
    assert world.rollbacks == 2
    await retry("1")
    assert "shop:1" in pod(world)

    await retry("2")
    assert "shop:2" in pod(world)
    rolling(world, available=1)
    await world.pass_()
    assert rollout(world)["lastAvailableImage"] == "shop:2"
    assert world.condition("Ready")["status"] == "True"


@pytest.mark.parametrize("change", [{"probes": PROBE}, {"env": []}, {"image": "shop:3"}, {"command": ["x"]}])
async def test_any_change_of_the_pods_is_another_attempt(world: World, change: dict[str, Any]) -> None:
    bad = {"image": "shop:2", "env": [{"name": "VERSION", "value": "two"}]}
    await release(world, **bad)
    await fail(world)
    assert "shop:1" in pod(world)

    await release(world, **{**bad, **change})

    assert "shop:1" not in pod(world)


@pytest.mark.parametrize("change", [{"replicas": 2}, {"networkPolicy": {"enabled": True}}])
async def test_what_makes_no_pods_is_no_other_attempt(world: World, change: dict[str, Any]) -> None:
    await release(world, image="shop:2")
    await fail(world)

    await release(world, image="shop:2", **change)

    assert "shop:1" in pod(world)


def new_pod(world: World, **status: Any) -> None:
    """The one new pod is like that."""
    labels = {"shopservice.dev/name": "web", "app.kubernetes.io/component": "web"}
    metadata = {"namespace": "ns", "name": "web-2", "labels": labels}
    world.api.put({"kind": "Pod", "metadata": metadata, "status": status})


def waiting(world: World, message: str) -> None:
    """The one new pod waits for its image."""
    state = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
    new_pod(world, containerStatuses=[{"name": "app", "state": state}])


@pytest.mark.parametrize(
    ("message", "rejected"),
    [
        ('Back-off pulling image "shop:2": ErrImagePull: failed to resolve: shop:2: not found', True),
        ("failed to authorize: 401 Unauthorized", True),
        ("dial tcp 10.0.0.1:443: connect: connection refused", False),
        ("lookup registry.test on 10.0.0.10:53: no such host", False),
        ("dial tcp 10.0.0.1:443: i/o timeout", False),
        ("received unexpected HTTP status: 503 Service Unavailable", False),
    ],
)
async def test_a_registry_that_does_not_answer_is_no_fault_of_the_release(
    world: World, message: str, rejected: bool
) -> None:
    await release(world, image="shop:2")
    waiting(world, message)
    rolling(world, replicas=2)
    await world.pass_()
    world.clock.now += 10
    await world.pass_()

    await given_up(world, replicas=2)
    await world.pass_()

    assert ("shop:1" in pod(world)) is rejected
    assert ("rejectedImage" in rollout(world)) is rejected
    if not rejected:
        assert "not rolled back, since the registry may recover" in rollout(world)["message"]


async def test_a_rollback_that_an_earlier_version_has_decided_stays(world: World) -> None:
    world.shop(**CAREFUL, image="shop:2", env=[{"name": "VERSION", "value": "one"}])
    found = world.edit("ShopService")
    before = {"lastAvailableImage": "shop:1", "rejectedImage": "shop:2", "message": "late"}
    world.see(found | {"status": {"image": "shop:1", "rollout": before}})

    await world.pass_()

    assert world.writes <= {"status ShopService web"}
    assert "shop:1" in pod(world)
    assert "only the image of that release is known" in world.condition("Ready")["message"]


async def test_a_release_too_large_to_be_kept_goes_back_by_its_image(world: World) -> None:
    large = [{"name": f"V{number}", "value": "x" * 30_000} for number in range(6)]
    await release(world, image="shop:2", env=large)
    rolling(world, available=1)
    await world.pass_()
    assert "lastAvailable" not in rollout(world)

    await release(world, image="shop:3", env=large)
    await fail(world)

    assert "shop:2" in pod(world)


def test_the_configuration_of_the_last_good_release_comes_back_with_it() -> None:
    known = {"lastAvailableRelease": "a", "lastAvailableConfiguration": {"web": "one"}}

    assert records(known, {})["web"].pods == "one"


def test_scale_is_the_specs_also_of_workers_that_go_back() -> None:
    worker = {"name": "relay", "command": ["two"], "replicas": 4}
    shop = ShopService("web", "ns", "u", 1, document={"image": "shop:2", "workers": [worker]})

    good = last_good(
        shop,
        {
            "lastAvailableImage": "shop:1",
            "lastAvailable": {"image": "shop:1", "workers": [{"name": "relay", "command": ["one"]}]},
        },
    )

    assert good is not None
    assert good.document["workers"] == [{"name": "relay", "command": ["one"], "replicas": 4}]


SECRET: dict[str, Any] = {"envFrom": [{"secretRef": {"name": "db"}}]}


def secret(world: World, version: int, **data: str) -> None:
    obj = {
        "kind": "Secret",
        "metadata": {
            "namespace": "ns",
            "name": "db",
            "uid": f"uid-db-{version}",
            "resourceVersion": str(version),
        },
        "data": data,
    }
    world.api.objects["Secret", "ns", "db"] = obj
    world.configs.seen("MODIFIED", obj)


def away(world: World, version: int) -> None:
    obj = world.api.objects.pop(("Secret", "ns", "db"))
    world.configs.seen("DELETED", {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}})


async def rejected(world: World) -> str:
    """A release that uses a Secret fails; the pods of the last good one."""
    secret(world, 101, password="one")
    await release(world, image="shop:1", **SECRET)
    rolling(world, available=1)
    await world.pass_()
    good = pod(world)
    await release(world, image="shop:2", **SECRET)
    await fail(world)
    assert pod(world) == good
    return good


async def test_a_secret_that_is_away_for_a_moment_makes_no_other_release(world: World) -> None:
    good = await rejected(world)

    away(world, 102)
    await world.pass_()
    assert pod(world) == good
    world.restart()
    await world.pass_()
    assert pod(world) == good
    secret(world, 103, password="one")
    await world.pass_()

    assert pod(world) == good
    assert rollout(world)["rejectedImage"] == "shop:2"
    assert world.rollbacks == 1


async def test_a_secret_that_is_away_while_its_release_is_rejected_makes_no_other_release_when_it_returns(
    world: World,
) -> None:
    secret(world, 101, password="one")
    await release(world, image="shop:2", **SECRET)
    away(world, 102)
    await fail(world)
    assert "shop:1" in pod(world)

    secret(world, 103, password="one")
    await world.pass_()
    assert "shop:1" in pod(world)

    secret(world, 104, password="two")
    await world.pass_()
    assert "shop:2" in pod(world)


async def test_a_secret_that_is_empty_for_a_moment_makes_no_other_release(world: World) -> None:
    good = await rejected(world)

    secret(world, 102)
    await world.pass_()
    secret(world, 103, password="one")
    await world.pass_()

    assert pod(world) == good
    assert world.rollbacks == 1


async def test_a_secret_that_changes_while_it_is_away_makes_another_release(world: World) -> None:
    await rejected(world)

    away(world, 102)
    await world.pass_()
    secret(world, 103, password="two")
    await world.pass_()

    assert "shop:2" in pod(world)


async def test_a_release_that_failed_without_its_secret_is_tried_once_that_is_there(world: World) -> None:
    await release(world, image="shop:2", **SECRET)
    await fail(world)
    assert "shop:1" in pod(world)

    secret(world, 101, password="one")
    await world.pass_()

    assert "shop:2" in pod(world)


async def test_another_key_of_the_digests_makes_no_other_release(world: World) -> None:
    good = await rejected(world)

    world.configs = Configs(world.api, FixedKey(b"another key"), world.woken.extend)
    world.restart()
    await world.pass_()
    assert pod(world) == good
    assert world.rollbacks == 1

    # From here on the content counts as before.
    size = len(rollout(world)["rejectedRelease"])
    await world.pass_()
    assert len(rollout(world)["rejectedRelease"]) == size
    secret(world, 103, password="two")
    await world.pass_()
    assert "shop:2" in pod(world)


@pytest.mark.parametrize("good", ["one", "http://db.ns.svc:9999"])
async def test_a_dependency_that_is_away_for_a_moment_makes_no_other_release(world: World, good: str) -> None:
    await release(world, image="shop:1", env=[{"name": "VERSION", "value": good}])
    rolling(world, available=1)
    await world.pass_()

    def database(port: int) -> None:
        metadata = {"namespace": "ns", "name": "db", "generation": 1}
        spec = {"image": "db:1", "port": port}
        world.see(
            {
                "apiVersion": "shopservice.dev/v1alpha1",
                "kind": "ShopService",
                "metadata": metadata,
                "spec": spec,
            }
        )

    database(5432)
    await release(world, image="shop:2", dependsOn=["db"])
    assert "http://db.ns.svc:5432" in pod(world)
    await fail(world)
    assert "shop:1" in pod(world)

    world.lose("ShopService", "db")
    await world.pass_()
    assert "shop:1" in pod(world)
    database(5432)
    await world.pass_()
    assert "shop:1" in pod(world)

    database(5433)
    await world.pass_()
    assert "shop:2" in pod(world)


async def test_a_release_that_an_earlier_version_rejected_stays_rejected_until_it_changes(
    world: World,
) -> None:
    good = await rejected(world)
    found = world.edit("ShopService")
    earlier = {**rollout(world), "rejectedRelease": "0123456789abcdef"}
    world.see(found | {"status": {**found["status"], "rollout": earlier}})

    away(world, 102)
    world.restart()
    await world.pass_()
    assert pod(world) == good
    secret(world, 103, password="one")
    await world.pass_()
    assert pod(world) == good
    assert world.rollbacks == 1

    secret(world, 104, password="two")
    await world.pass_()
    assert "shop:2" in pod(world)


async def test_a_spec_that_changes_after_an_earlier_version_rejected_it_is_another_release(
    world: World,
) -> None:
    await rejected(world)
    found = world.edit("ShopService")
    earlier = {**rollout(world), "rejectedRelease": "0123456789abcdef"}
    world.see(found | {"status": {**found["status"], "rollout": earlier}})

    await release(world, image="shop:3", **SECRET)

    assert "shop:3" in pod(world)


def test_what_a_status_keeps_of_a_release_is_bounded_by_the_objects_that_pods_may_use() -> None:
    uses = {Use("Secret", f"{number:0>253}") for number in range(MOST_OBJECTS)}
    config = Configuration({"web": uses}, Digests("0badcafe", dict.fromkeys(uses, "0123456789abcdef")))
    shop = ShopService("web", "ns", "u", 1, {}, {"image": "shop:1"})

    found = release_of(shop, render(shop, live=None), config, Surroundings(), frozenset(), {})

    assert found.is_that(found.identity)
    assert len(found.identity) < 10_000


@pytest.mark.parametrize("image", ["shop:1", "shop:2"])
async def test_a_release_stays_rejected_over_a_suspension_and_ready_says_so(world: World, image: str) -> None:
    good = pod(world)
    bad: dict[str, Any] = {"image": image, "env": [{"name": "VERSION", "value": "two"}]}
    await release(world, **bad)
    await fail(world)
    rolling(world, available=1)
    await world.pass_()
    told = rollout(world)

    await release(world, **bad, suspend=True)
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Suspended")
    assert "Rolled back to the release with shop:1, which is available" in ready["message"]
    assert rollout(world) == told
    await world.pass_()
    assert world.writes == set()

    await release(world, **bad)
    assert pod(world) == good
    assert rollout(world)["rejectedRelease"] == told["rejectedRelease"]
    assert world.rollbacks == 1


async def test_what_is_suspended_with_another_image_than_the_rejected_one_is_ready_and_then_tried(
    world: World,
) -> None:
    await release(world, image="shop:2")
    await fail(world)
    rolling(world, available=1)
    await world.pass_()

    await release(world, image="shop:3", suspend=True)
    assert world.condition("Ready")["status"] == "True"
    await release(world, image="shop:3")

    assert "shop:3" in pod(world)
    await world.pass_()
    assert "rejectedRelease" not in rollout(world)


async def test_a_secret_that_cannot_be_read_for_a_moment_makes_no_other_release(world: World) -> None:
    worker = {"name": "relay", "command": ["relay"]}
    secret(world, 101, password="one")
    await release(world, image="shop:1", workers=[worker], **SECRET)
    seen(world, "web", available=1)
    seen(world, "web-relay", available=1)
    await world.pass_()
    good = pod(world)
    bad: dict[str, Any] = {**SECRET, "env": [{"name": "VERSION", "value": "two"}]}
    await release(world, image="shop:1", **bad)
    await fail(world)
    assert pod(world) == good
    told = rollout(world)

    world.restart()
    world.reconciler._observation._configs = Unreadable()  # type: ignore[assignment]
    with pytest.raises(Forbidden):
        await world.pass_()
    assert ("Deployment", "ns", "web-relay") in world.api.objects
    assert world.condition("Ready")["reason"] == "RolledBack"
    assert rollout(world) == told
    world.restart()
    await world.pass_()

    assert pod(world) == good
    assert world.rollbacks == 1


class Unreadable:
    """Configs whose Secrets the operator may not read."""

    async def digests(self, *_: object) -> None:
        raise Forbidden("secrets is forbidden")


ROOT: dict[str, Any] = {
    "podTemplate": {
        "spec": {"containers": [{"name": "app", "securityContext": {"capabilities": {"add": ["CHOWN"]}}}]}
    }
}


async def test_a_last_good_release_that_cannot_be_rendered_leaves_the_pods_and_says_why() -> None:
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


async def test_pods_of_a_last_good_release_that_cannot_be_rendered_any_more_stay() -> None:
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


async def test_prometheus_reaches_the_pods_that_run(world: World) -> None:
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
