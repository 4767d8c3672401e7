"""The last good release: what is kept of it, and what is restored."""

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shop_operator.render.configuration import MOST_OBJECTS, Configuration, Digests, Use
from shop_operator.render.surroundings import Surroundings
from shop_operator.status.rollback import last_good, records
from shop_operator.status.rollback import release as release_of
from tests.operator.status.rollback.releases import fail, pod, release, rollout, seen
from tests.operator.world import World, rolling


async def test_given_a_release_that_adds_a_worker_when_it_is_rolled_back_then_the_worker_is_removed(
    world: World,
) -> None:
    await release(world, image="shop:2", workers=[{"name": "relay", "command": ["relay"]}])
    await fail(world)
    await world.pass_()

    assert ("Deployment", "ns", "web-relay") not in world.api.objects
    children = world.api.objects["ShopService", "ns", "web"]["status"]["children"]
    assert "web-relay" not in str(children)


async def test_given_a_release_without_a_former_worker_when_it_is_rolled_back_then_the_worker_keeps_its_scale() -> (
    None
):
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


def test_given_a_worker_without_replicas_in_the_spec_when_it_is_rolled_back_then_no_count_is_restored() -> (
    None
):
    shop = ShopService("web", "ns", "u", 1, document={"image": "shop:2", "workers": [{"name": "relay"}]})
    kept = {"image": "shop:1", "workers": [{"name": "relay", "replicas": 5}]}

    good = last_good(shop, {"lastAvailableImage": "shop:1", "lastAvailable": kept})

    assert good is not None
    assert good.document["workers"] == [{"name": "relay"}]


async def test_given_a_release_too_large_for_the_status_when_the_next_one_fails_then_only_its_image_returns(
    world: World,
) -> None:
    large = [{"name": f"V{number}", "value": "x" * 30_000} for number in range(6)]
    await release(world, image="shop:2", env=large)
    rolling(world, available=1)
    await world.pass_()
    assert "lastAvailable" not in rollout(world)

    await release(world, image="shop:3", env=large)
    await fail(world)

    assert "shop:2" in pod(world)


def test_given_a_rolled_back_release_then_its_configuration_record_is_restored() -> None:
    known = {"lastAvailableRelease": "a", "lastAvailableConfiguration": {"web": "one"}}

    assert records(known, {})["web"].pods == "one"


def test_given_a_rolled_back_worker_then_its_replicas_are_those_of_the_spec() -> None:
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


def test_given_the_most_objects_that_pods_may_use_then_the_release_identity_stays_under_10_kb() -> None:
    uses = {Use("Secret", f"{number:0>253}") for number in range(MOST_OBJECTS)}
    config = Configuration({"web": uses}, Digests("0badcafe", dict.fromkeys(uses, "0123456789abcdef")))
    shop = ShopService("web", "ns", "u", 1, {}, {"image": "shop:1"})

    found = release_of(shop, render(shop, live=None), config, Surroundings(), frozenset(), {})

    assert found.is_that(found.identity)
    assert len(found.identity) < 10_000
