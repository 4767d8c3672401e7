"""A release that fails is rejected until the spec or the retry annotation changes."""

from dataclasses import replace
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import ApiUnavailable, OperatorError
from shop_operator.names import RETRY_ANNOTATION
from shop_operator.status.compute import status
from tests.operator.status.observing import NOW, SHOP, rolled_out, seen
from tests.operator.status.rollback.releases import (
    CAREFUL,
    PROBE,
    fail,
    pod,
    release,
    rollout,
    waiting,
)
from tests.operator.world import World, given_up, rolling


def of_image(image: str, name: str = "web", container: str = "app", **state: Any) -> dict[str, Any]:
    """The Deployment of one workload, as its controller reports it."""
    found = rolled_out(**state)
    found["metadata"]["name"] = name
    found["spec"]["template"]["spec"]["containers"] = [{"name": container, "image": image}]
    return found


def careful(image: str = "web:2", **spec: Any) -> ShopService:
    return replace(SHOP, document={"image": image, "rollout": {"autoRollback": True}, **spec})


WORKER = {"name": "relay", "command": ["x"]}


@pytest.mark.parametrize("more", [{}, {"suspend": True}], ids=["applied in part", "suspended"])
def test_given_web_and_worker_pods_then_an_image_is_last_available_only_when_both_run_it(
    more: dict[str, Any],
) -> None:
    shop = careful(workers=[WORKER], **more)
    before = {"image": "web:1", "rollout": {"lastAvailableImage": "web:1"}}
    mixed = seen(
        of_image("web:2"),
        of_image("web:1", "web-relay", "relay"),
        error=None if more else ApiUnavailable("It answered 503."),
    )

    found = status(shop, mixed, before, now=lambda: NOW)

    assert (found["image"], found["rollout"]) == ("web:1", {"lastAvailableImage": "web:1"})
    both = seen(of_image("web:2"), of_image("web:2", "web-relay", "relay"))
    found = status(shop, both, before, now=lambda: NOW)
    assert (found["image"], found["rollout"]) == ("web:2", {"lastAvailableImage": "web:2"})


def test_given_an_aborted_rollout_without_its_deployment_then_the_release_is_not_rejected() -> None:
    aborted = of_image("web:2", abort=True, phase="Degraded", observedGeneration="9") | {"kind": "Rollout"}
    before = {"image": "web:1", "rollout": {"lastAvailableImage": "web:1"}}

    found = status(
        careful(), seen(aborted, error=ApiUnavailable("It answered 503.")), before, now=lambda: NOW
    )

    assert found["rollout"] == {"lastAvailableImage": "web:1"}


def test_given_zero_replicas_then_the_image_does_not_become_the_last_available_one() -> None:
    none = rolled_out(replicas=0, updatedReplicas=0, readyReplicas=0, availableReplicas=0)
    none["spec"]["replicas"] = 0
    before = {"rollout": {"lastAvailableImage": "web:1"}}

    found = status(careful(replicas=0), seen(none), before, now=lambda: NOW)

    assert (found["image"], found["rollout"]) == ("web:2", {"lastAvailableImage": "web:1"})


LATE_STATE: dict[str, Any] = {
    "availableReplicas": 0,
    "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
}


@pytest.mark.parametrize(
    ("given_up", "image", "error", "more", "rejected"),
    [
        (True, "web:2", None, {}, True),
        (False, "web:2", None, {}, False),
        (True, "web:2", None, {"suspend": True}, False),
        # The spec has not been applied.
        (True, "web:0", ApiUnavailable("It answered 503."), {}, False),
        # The image is not the cause.
        (True, "web:1", None, {}, False),
        # A webhook has rewritten it.
        (True, "mirror.test/web:2", None, {}, True),
    ],
    ids=["late", "in doubt", "suspended", "not applied", "the good one", "rewritten"],
)
def test_given_a_missed_deadline_then_the_image_is_rejected_only_if_it_was_applied_and_is_overdue(
    given_up: bool, image: str, error: OperatorError | None, more: dict[str, Any], rejected: bool
) -> None:
    observed = replace(
        seen(of_image(image, **LATE_STATE), error=error), overdue=frozenset({"web"} if given_up else ())
    )
    before = {"image": "web:1", "rollout": {"lastAvailableImage": "web:1"}}

    found = status(careful(**more), observed, before, now=lambda: NOW)["rollout"]

    assert found["lastAvailableImage"] == "web:1"
    assert found.get("rejectedImage") == ("web:2" if rejected else None)


def test_given_a_rejected_image_when_its_pods_become_available_then_the_rejection_is_removed() -> None:
    before = {"rollout": {"lastAvailableImage": "web:1", "rejectedImage": "web:2", "message": "late"}}

    found = status(careful(), seen(of_image("web:2")), before, now=lambda: NOW)

    assert found["rollout"] == {"lastAvailableImage": "web:2"}


async def test_given_a_rollback_when_the_operator_restarts_then_the_rollback_stays(world: World) -> None:
    await release(world, image="shop:2")
    await fail(world)
    good = pod(world)

    world.restart()
    await world.pass_()

    assert pod(world) == good


async def test_given_a_rejected_release_when_the_retry_annotation_changes_then_the_release_is_tried_again(
    world: World,
) -> None:
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
async def test_given_a_rejected_release_when_the_pod_template_changes_then_the_new_release_is_tried(
    world: World, change: dict[str, Any]
) -> None:
    bad = {"image": "shop:2", "env": [{"name": "VERSION", "value": "two"}]}
    await release(world, **bad)
    await fail(world)
    assert "shop:1" in pod(world)

    await release(world, **{**bad, **change})

    assert "shop:1" not in pod(world)


@pytest.mark.parametrize("change", [{"replicas": 2}, {"networkPolicy": {"enabled": True}}])
async def test_given_a_rejected_release_when_only_fields_outside_the_pods_change_then_it_stays_rejected(
    world: World, change: dict[str, Any]
) -> None:
    await release(world, image="shop:2")
    await fail(world)

    await release(world, image="shop:2", **change)

    assert "shop:1" in pod(world)


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
async def test_given_a_failed_pull_then_the_release_is_rolled_back_only_if_the_registry_refuses_the_image(
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


async def test_given_a_rollback_of_which_only_the_images_are_known_then_it_stays_in_effect(
    world: World,
) -> None:
    world.shop(**CAREFUL, image="shop:2", env=[{"name": "VERSION", "value": "one"}])
    found = world.edit("ShopService")
    before = {"lastAvailableImage": "shop:1", "rejectedImage": "shop:2", "message": "late"}
    world.see(found | {"status": {"image": "shop:1", "rollout": before}})

    await world.pass_()

    assert world.writes <= {"status ShopService web"}
    assert "shop:1" in pod(world)
    assert "only the image of that release is known" in world.condition("Ready")["message"]


@pytest.mark.parametrize("image", ["shop:1", "shop:2"])
async def test_given_a_rejected_release_when_the_shopservice_is_suspended_then_ready_still_reports_the_rollback(
    world: World, image: str
) -> None:
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


async def test_given_a_rejected_image_when_another_one_is_set_while_suspended_then_it_is_tried_after_resuming(
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
