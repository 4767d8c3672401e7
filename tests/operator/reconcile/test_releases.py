"""Automatic rollback, pass by pass."""

import contextlib
from typing import Any

import pytest

from shop_operator.errors import (
    ApiUnavailable,
    Forbidden,
    Refused,
    Stale,
)
from tests.operator.world import (
    CAREFUL,
    World,
    given_up,
    rolled_out,
    rolling,
    template_of,
)


def good_of(world: World) -> str:
    """The image of the last available release, while no release is rejected."""
    rollout = world.api.objects["ShopService", "ns", "web"]["status"]["rollout"]
    assert "rejectedImage" not in rollout
    image: str = rollout["lastAvailableImage"]
    return image


def image_of(world: World) -> str:
    image: str = template_of(world)["spec"]["containers"][0]["image"]
    return image


def status_of(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.api.objects["ShopService", "ns", "web"]["status"]
    return found


async def test_given_a_failed_image_then_the_last_available_one_runs_until_the_spec_names_another(
    world: World,
) -> None:
    rollout = {"rollout": {"autoRollback": True}}
    world.shop(image="shop:1", **rollout)
    await world.pass_()
    rolling(world, available=1)
    await world.pass_()

    world.shop(image="shop:2", **rollout)
    await world.pass_()
    assert image_of(world) == "shop:2"
    await given_up(world)
    assert (image_of(world), world.rollbacks) == ("shop:2", 1)
    reasons = [reason for reason, *_ in world.told]
    assert [each for each in reasons if each != "Ready"] == ["ProgressDeadlineExceeded", "RollingBack"]

    await world.pass_()
    assert image_of(world) == "shop:1"
    rolling(world, available=1)
    await world.pass_()
    await world.pass_()
    assert image_of(world) == "shop:1"
    assert world.writes == set()
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "RolledBack")
    assert ready["message"].startswith(
        "Rolled back to the release with shop:1, which is available: the rollout of shop:2 failed."
    )
    assert world.condition("Stalled")["status"] == "True"
    assert world.rollbacks == 1

    world.shop(image="shop:3", **rollout)
    await world.pass_()
    assert image_of(world) == "shop:3"
    rolling(world, available=1)
    await world.pass_()
    status = world.api.objects["ShopService", "ns", "web"]["status"]
    assert status["rollout"]["lastAvailable"] == {"image": "shop:3"}
    assert "rejectedImage" not in status["rollout"]
    assert world.condition("Ready")["status"] == "True"


async def test_given_no_available_release_or_no_autorollback_when_a_rollout_fails_then_its_image_stays(
    world: World,
) -> None:
    for spec in ({"rollout": {"autoRollback": True}}, {}):
        world.shop(image="shop:1", **spec)
        await world.pass_()
        await given_up(world)
        await world.pass_()

        assert image_of(world) == "shop:1"
    assert world.rollbacks == 0


async def test_given_a_rollback_when_the_shopservice_is_suspended_and_resumed_then_the_available_image_stays(
    world: World,
) -> None:
    await rolled_out(world)
    world.shop(image="shop:2", **CAREFUL)
    await world.pass_()
    await given_up(world)
    await world.pass_()
    rolling(world, available=1)

    world.shop(image="shop:2", suspend=True, **CAREFUL)
    await world.pass_()

    assert status_of(world)["image"] == "shop:1"
    assert status_of(world)["rollout"]["lastAvailableImage"] == "shop:1"
    world.shop(image="shop:2", **CAREFUL)
    await world.pass_()
    assert image_of(world) == "shop:1"


async def test_given_a_new_image_when_it_is_set_together_with_suspend_then_it_is_not_reported_as_running(
    world: World,
) -> None:
    await rolled_out(world)

    world.shop(image="shop:2", suspend=True, **CAREFUL)
    await world.pass_()

    assert status_of(world)["image"] == "shop:1"
    assert good_of(world) == "shop:1"


@pytest.mark.parametrize("error", [Stale("moved."), ApiUnavailable("no."), Forbidden("no."), Refused("no.")])
async def test_given_a_deployment_that_cannot_be_applied_then_its_image_is_not_an_available_release(
    world: World, error: Exception
) -> None:
    await rolled_out(world)
    world.api.refusing["Deployment"] = error  # type: ignore[assignment]  # each is an OperatorError

    world.shop(image="shop:2", **CAREFUL)
    with contextlib.suppress(type(error)):
        await world.pass_()

    assert status_of(world)["image"] == "shop:1"
    assert good_of(world) == "shop:1"


async def test_given_pods_that_cannot_be_created_when_the_deadline_passes_then_the_release_is_rolled_back_at_once(
    world: World,
) -> None:
    await rolled_out(world)
    world.shop(image="shop:2", **CAREFUL)
    await world.pass_()
    # None of its pods could be created, so no pod is waited for.
    failed = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}

    again = await given_up(world, available=1, updatedReplicas=0, conditions=[failed, late])

    assert (again, world.rollbacks) == (0, 1)
    await world.pass_()
    assert image_of(world) == "shop:1"


async def test_given_a_deadline_missed_by_the_previous_release_then_an_untried_image_is_not_rejected(
    world: World,
) -> None:
    """The Deployment controller reports it for the new version too, if its ReplicaSet exists, until that makes progress."""
    await rolled_out(world)
    world.shop(image="shop:2", **CAREFUL)
    await world.pass_()
    await given_up(world)
    world.shop(image="shop:0", **CAREFUL)
    await world.pass_()

    rolling(world, "ProgressDeadlineExceeded")
    assert await world.pass_() == pytest.approx(10)
    world.clock.now += 7
    assert await world.pass_() == pytest.approx(1)
    rolling(world)
    await world.pass_()
    rolling(world, available=1)
    world.clock.now += 10
    await world.pass_()

    assert good_of(world) == "shop:0"
    assert world.rollbacks == 1


async def test_given_a_missed_deadline_when_the_image_changes_then_its_confirmation_starts_again(
    world: World,
) -> None:
    await rolled_out(world)
    world.shop(image="shop:2", **CAREFUL)
    await world.pass_()
    rolling(world, "ProgressDeadlineExceeded")
    await world.pass_()
    world.clock.now += 6

    world.shop(image="shop:0", **CAREFUL)
    await world.pass_()
    rolling(world, "ProgressDeadlineExceeded")
    await world.pass_()

    assert world.rollbacks == 0
