"""A restart of the operator changes no status: no report of an earlier process is repeated or made earlier."""

from typing import Any

import pytest

from shop_operator.errors import (
    ApiUnavailable,
    Contested,
)
from tests.operator.status.rollback.releases import new_pod, rollout, waiting
from tests.operator.world import (
    CAREFUL,
    World,
    container,
    crash,
    given_up,
    rolled_out,
    rolling,
)

UNANSWERED = "dial tcp 10.0.0.1:443: connect: connection refused"
BACK_OFF = 'Back-off pulling image "shop:2"'


def told(world: World) -> str:
    """The message of the Deployment in the status."""
    children = world.api.objects["ShopService", "ns", "web"]["status"]["children"]
    return next(str(each["message"]) for each in children if each["kind"] == "Deployment")


def unschedulable(world: World) -> None:
    """Let the only pod be unschedulable."""
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    new_pod(world, conditions=[{**scheduled, "message": "0/3 nodes are available"}])


def made(count: int) -> dict[str, Any]:
    """Complete the rollout of the template, with this number of pods."""
    done = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    return {"replicas": count, "updatedReplicas": count, "conditions": [done]}


async def writes_nothing(world: World, passes: int = 1) -> None:
    """Restart the operator, which writes nothing and emits no event."""
    world.told.clear()
    world.restart()
    for _ in range(passes):
        await world.pass_()
        assert (world.writes, world.told) == (set(), [])


async def test_given_a_deployment_that_scales_when_the_operator_restarts_then_its_pods_are_not_inspected_earlier(
    world: World,
) -> None:
    # Given a Deployment that is being scaled, with a pod that has no node.
    world.shop(replicas=1)
    await world.pass_()
    rolling(world, available=1, **made(1))
    await world.pass_()
    world.shop(replicas=2)
    await world.pass_()
    rolling(world, available=1, **made(2))
    unschedulable(world)
    await world.pass_()
    assert told(world) == "is scaling to 2 pods: 1 available"

    await writes_nothing(world)


async def test_given_a_custom_progress_deadline_when_the_operator_restarts_then_pods_are_not_inspected_earlier(
    world: World,
) -> None:
    # Given a Deployment that has been over its own deadline for a moment, with a pod that has no node.
    world.shop(rollout={"progressDeadlineSeconds": 60})
    await world.pass_()
    rolling(world, "ProgressDeadlineExceeded")
    unschedulable(world)
    await world.pass_()
    assert told(world) == "rollout exceeded its progress deadline (60 s): 0 of 1 pod available"

    await writes_nothing(world)


@pytest.mark.parametrize("cause", [UNANSWERED, f"{BACK_OFF}: ErrImagePull: shop:2: not found"])
async def test_given_the_cause_of_a_failed_pull_when_the_kubelet_omits_it_after_a_restart_then_it_stays_reported(
    world: World, cause: str
) -> None:
    # Given an image that could not be pulled, for which the kubelet no longer reports a cause.
    world.shop(image="shop:2")
    await world.pass_()
    waiting(world, cause)
    rolling(world)
    await world.pass_()
    world.clock.now += 5
    await world.pass_()
    assert " cannot be pulled: " in told(world)
    waiting(world, BACK_OFF)

    await writes_nothing(world, passes=12)
    assert "no details reported" not in told(world)


async def failed_without_an_answer(world: World) -> None:
    """Let a release fail that is not rolled back, because its image may be pulled later."""
    await rolled_out(world)
    world.shop(**CAREFUL, image="shop:2")
    await world.pass_()
    waiting(world, UNANSWERED)
    rolling(world, replicas=2)
    await world.pass_()
    world.clock.now += 10
    await world.pass_()
    await given_up(world, replicas=2)


async def test_given_a_release_that_is_not_rolled_back_when_the_operator_restarts_then_the_stated_reason_stays(
    world: World,
) -> None:
    await failed_without_an_answer(world)
    await world.pass_()
    assert "not rolled back" in rollout(world)["message"]

    await writes_nothing(world, passes=8)


async def test_given_a_failed_release_when_a_restart_brings_a_new_one_then_it_is_tried(world: World) -> None:
    await failed_without_an_answer(world)

    # When another release follows a restart, for which the Deployment controller reports the same at first.
    world.shop(**CAREFUL, image="shop:3")
    world.restart()
    waiting(world, "shop:3: not found")
    await world.pass_()
    rolling(world, "ProgressDeadlineExceeded", replicas=2)
    await world.pass_()

    # Then it is not rejected before the report is confirmed.
    assert "rejectedImage" not in rollout(world)
    assert world.rollbacks == 0


async def test_given_a_reported_cause_when_the_pods_cannot_be_listed_then_it_stays_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a Deployment with a pod that has no node.
    world.shop()
    await world.pass_()
    rolling(world)
    unschedulable(world)
    await world.pass_()
    world.clock.now += 5
    await world.pass_()
    cause = told(world)
    assert "nodes are available" in cause

    # When the pods cannot be listed at the next inspection.
    async def fail(*_: str) -> list[dict[str, Any]]:
        raise ApiUnavailable("no.")

    monkeypatch.setattr(world.api, "pods", fail)
    world.clock.now += 20
    await world.pass_()

    assert (told(world), world.writes) == (cause, set())


async def test_given_a_contested_field_when_the_operator_restarts_then_it_is_not_reverted_more_often(
    world: World,
) -> None:
    async def fight() -> None:
        edited = world.edit("Service")
        edited["spec"] = {**edited["spec"], "selector": {"evil": "yes"}}
        world.see(edited)
        world.clock.now -= 2  # all at once
        await world.pass_()

    # Given a field that another manager keeps overwriting.
    world.shop()
    await world.pass_()
    for _ in range(9):
        await fight()
    with pytest.raises(Contested):
        await fight()
    with pytest.raises(Contested):
        await fight()
    with pytest.raises(Contested):
        await world.pass_()
    assert world.condition("Reconciling")["reason"] == "Contested"

    # When that manager overwrites it after a restart, then it is not reverted at once, and the status stays.
    world.restart()
    with pytest.raises(Contested):
        await fight()
    assert world.writes == set()
    with pytest.raises(Contested):
        await world.pass_()
    assert "apply Service web" in world.writes
    await world.pass_()
    assert world.condition("Reconciling")["reason"] != "Contested"


async def test_given_an_hpa_without_a_request_when_a_restart_adds_the_request_then_it_gets_a_full_grace_period(
    world: World,
) -> None:
    # Given an autoscaler whose status reports that it has no metrics.
    def scaler(**conditions: tuple[str, str]) -> None:
        live = world.edit("HorizontalPodAutoscaler")
        live["status"] = {
            "conditions": [
                {"type": kind, "status": status, "reason": reason}
                for kind, (status, reason) in conditions.items()
            ]
        }
        world.see(live)

    autoscaling = {"maxReplicas": 3, "cpu": 70}
    world.shop(autoscaling=autoscaling)
    await world.pass_()
    rolling(world, available=1, **made(1))
    scaler(AbleToScale=("True", "SucceededGetScale"))
    await world.pass_()
    assert "cannot measure" in str(world.api.objects["ShopService", "ns", "web"]["status"]["children"])

    # When it has metrics after a change, and then fails.
    world.shop(autoscaling=autoscaling, resources={"requests": {"cpu": "100m"}})
    scaler(ScalingActive=("False", "FailedGetResourceMetric"))
    world.restart()
    await world.pass_()
    rolling(world, available=1, **made(1))
    await world.pass_()

    # Then it is not reported as failed at once.
    assert "is not scaling yet" in str(world.api.objects["ShopService", "ns", "web"]["status"]["children"])


async def test_given_failing_pods_when_the_operator_restarts_then_no_status_is_written_and_no_event_is_emitted(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    rolling(world, "ProgressDeadlineExceeded")
    crash(world)
    await world.pass_()
    world.clock.now += 5
    await world.pass_()
    assert world.condition("Stalled")["reason"] == "CrashLoopBackOff"
    world.told.clear()

    world.restart()
    for _ in range(5):
        await world.pass_()
        assert world.writes == set()

    assert world.told == []


async def test_given_a_rollout_when_the_operator_restarts_then_pods_are_not_inspected_earlier(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    rolling(world)
    await world.pass_()
    container(world, ready=False, state={"running": {}})

    world.restart()
    assert await world.pass_() == pytest.approx(5)

    assert (world.writes, world.api.reads) == (set(), 0)
