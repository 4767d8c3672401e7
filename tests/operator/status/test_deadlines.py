"""Facts that count only once they have lasted, also over a restart of the operator."""

from typing import Any

import pytest

from tests.operator.status.deployments import DONE, FULL, state
from tests.operator.world import World, other

CPU = {"requests": {"cpu": "100m"}}


async def test_given_a_changed_replica_count_then_ready_reports_scaling_until_it_is_reached(
    world: World,
) -> None:
    world.shop(replicas=1)
    await world.pass_()
    state(world, DONE, **FULL)
    await world.pass_()
    world.shop(replicas=2)
    await world.pass_()
    state(world, DONE, replicas=2, updatedReplicas=2, readyReplicas=1, availableReplicas=1)

    await world.pass_()
    assert world.condition("Ready")["reason"] == "Scaling"
    world.restart()
    await world.pass_()
    assert world.condition("Ready")["reason"] == "Scaling"

    state(world, DONE, replicas=2, updatedReplicas=2, readyReplicas=2, availableReplicas=2)
    await world.pass_()
    assert world.condition("Ready")["status"] == "True"
    state(world, DONE, replicas=2, updatedReplicas=2, readyReplicas=1, availableReplicas=1)
    await world.pass_()
    assert world.condition("Ready")["reason"] == "PodsUnavailable"


async def test_given_argo_rollouts_without_a_controller_when_the_deadline_passes_then_the_shopservice_is_stalled(
    world: World,
) -> None:
    available = [*DONE, {"type": "Available", "status": "True"}]
    world.shop()
    await world.pass_()
    state(world, available, **FULL)
    world.shop(rollout={"canary": {"steps": [{"weight": 10}]}, "progressDeadlineSeconds": 60})
    await world.pass_()
    state(world, available, **FULL)

    left = await world.pass_()
    assert left is not None
    assert 0 < left <= 60
    assert world.condition("Stalled")["status"] == "False"
    world.clock.now += left
    await world.pass_()
    world.restart()
    await world.pass_()

    ready = world.condition("Ready")
    assert ready["reason"] == "RolloutDegraded"
    assert (
        "has not been observed by Argo Rollouts for 60 s; check that its controller runs" in ready["message"]
    )
    assert world.condition("Stalled")["status"] == "True"
    assert world.condition("Available")["status"] == "True"

    live = world.edit("Rollout")
    seen = {"observedGeneration": "9", "workloadObservedGeneration": "9", "phase": "Progressing"}
    world.see({**live, "status": seen})
    await world.pass_()
    assert world.condition("Stalled")["status"] == "False"


def reported(world: World, **status: Any) -> None:
    """Argo Rollouts has observed the release at its first step, and reports this about it."""
    seen = {"observedGeneration": "9", "workloadObservedGeneration": "9", "stableRS": "a", **FULL}
    world.see({**world.edit("Rollout"), "status": {**seen, "currentStepIndex": 1, **status}})


async def releasing(world: World, **rollout: Any) -> None:
    """A ShopService with available pods, and a canary release that waits for two minutes at its first step."""
    steps = [{"weight": 10, "pause": "2m"}, {"weight": 50}]
    world.shop(rollout={"canary": {"steps": steps}, **rollout})
    await world.pass_()
    state(world, [*DONE, {"type": "Available", "status": "True"}], **FULL)


async def test_given_a_release_that_its_controller_does_not_continue_when_the_pause_and_the_deadline_pass_then_it_is_stalled(
    world: World,
) -> None:
    await releasing(world, progressDeadlineSeconds=60)
    reported(world, phase="Paused", message="CanaryPauseStep")

    left = await world.pass_()
    assert left is not None
    assert left == pytest.approx(120 + 60)
    assert world.condition("Stalled")["status"] == "False"
    world.clock.now += left
    await world.pass_()
    world.restart()
    await world.pass_()

    ready = world.condition("Ready")
    assert ready["reason"] == "RolloutDegraded"
    assert (
        "this step lasts 2m, but nothing has changed for 180 s; check that its controller" in ready["message"]
    )
    assert world.condition("Stalled")["status"] == "True"

    reported(world, phase="Progressing", message="CanaryPauseStep", currentStepIndex=2)
    await world.pass_()
    assert world.condition("Stalled")["status"] == "False"


@pytest.mark.parametrize(
    "held",
    [
        {"phase": "Paused", "message": "manually paused"},
        {"phase": "Paused", "message": "InconclusiveAnalysisRun"},
        {"phase": "Healthy"},
    ],
)
async def test_given_a_release_that_waits_for_a_user_when_it_lasts_then_no_time_ends_it(
    world: World, held: dict[str, str]
) -> None:
    await releasing(world)
    reported(world, **held)

    await world.pass_()
    world.clock.now += 10_000
    await world.pass_()

    assert world.condition("Stalled")["status"] == "False"


async def test_given_a_release_that_a_user_aborts_when_argo_rollouts_has_not_processed_it_then_no_cause_is_reported_yet(
    world: World,
) -> None:
    await releasing(world, autoRollback=True)
    reported(world, phase="Paused", message="CanaryPauseStep", abort=True)

    await world.pass_()
    ready = world.condition("Ready")
    assert (ready["reason"], ready["message"].partition(": ")[2]) == (
        "Canary",
        "the new version is being withdrawn.",
    )

    message = "RolloutAborted: Rollout aborted update to revision 2"
    reported(world, phase="Degraded", message=message, abort=True)
    await world.pass_()
    assert world.condition("Ready")["reason"] == "CanaryAborted"
    assert "Rollout aborted update to revision 2" in world.condition("Ready")["message"]


UNCREATED = {
    "type": "Progressing",
    "status": "False",
    "reason": "ReplicaSetCreateError",
    "message": 'Failed to create new replica set "web-5d4": denied by policy',
}


async def test_given_a_release_without_a_replicaset_when_its_progress_deadline_passes_then_it_is_rolled_back(
    world: World,
) -> None:
    careful = {"rollout": {"autoRollback": True, "progressDeadlineSeconds": 60}}
    world.shop(image="shop:1", **careful)
    await world.pass_()
    state(world, DONE, **FULL)
    await world.pass_()
    world.shop(image="shop:2", **careful)
    await world.pass_()
    live = world.edit("Deployment")
    live["status"] = {**live["status"], "conditions": [UNCREATED]}
    world.see(live)

    left = await world.pass_()
    ready = world.condition("Ready")
    assert left == pytest.approx(60)
    assert ready["reason"] == "ReplicaSetCreateError"
    assert "ReplicaSets cannot be created: denied by policy" in ready["message"]
    assert world.condition("Stalled")["status"] == "False"
    assert world.rollbacks == 0

    world.clock.now += 60
    await world.pass_()
    assert world.rollbacks == 1
    await world.pass_()
    assert world.condition("Ready")["reason"] == "RolledBack"


async def test_given_a_stalled_release_without_a_replicaset_when_the_operator_restarts_then_it_stays_stalled(
    world: World,
) -> None:
    world.shop(image="shop:1")
    await world.pass_()
    live = world.edit("Deployment")
    live["status"] = {"conditions": [UNCREATED]}
    world.see(live)
    await world.pass_()
    world.clock.now += 300
    await world.pass_()
    assert world.condition("Stalled")["status"] == "True"

    world.restart()
    await world.pass_()

    assert world.condition("Stalled")["status"] == "True"
    world.shop(image="shop:2")
    await world.pass_()
    assert world.condition("Ready")["reason"] == "ReplicaSetCreateError"
    assert world.condition("Stalled")["status"] == "False", "another release"


@pytest.mark.parametrize(
    ("kind", "autoscaling", "condition"),
    [
        ("ScaledObject", {"queue": {"urlFrom": "QUEUE", "region": "eu-west-1"}}, "Ready"),
        ("HorizontalPodAutoscaler", {}, "AbleToScale"),
    ],
)
async def test_given_an_autoscaler_that_no_controller_processes_then_ready_turns_false_after_three_minutes(
    world: World, kind: str, autoscaling: dict[str, Any], condition: str
) -> None:
    world.shop(autoscaling={"maxReplicas": 3, **autoscaling}, resources=CPU)
    await world.pass_()
    state(world, DONE, **FULL)

    left = await world.pass_()
    assert left is not None
    assert left <= 180
    assert world.condition("Ready")["status"] == "True"
    world.clock.now += 180
    await world.pass_()

    assert world.condition("Ready")["reason"] == "AutoscalerNotWorking"
    world.restart()
    await world.pass_()
    assert world.writes == set(), "another process does not begin to count anew"
    scaler = world.edit(kind)
    scaler["status"] = {"conditions": [{"type": condition, "status": "True", "reason": "Fine"}]}
    world.see(scaler)
    await world.pass_()
    assert world.condition("Ready")["status"] == "True"


async def test_given_a_failing_autoscaler_when_three_minutes_pass_then_ready_is_false_and_a_warning_is_emitted(
    world: World,
) -> None:
    world.shop(autoscaling={"maxReplicas": 3}, resources=CPU)
    await world.pass_()
    state(world, DONE, **FULL)
    scaler = world.edit("HorizontalPodAutoscaler")
    scaler["status"] = {"conditions": [{"type": "ScalingActive", "status": "True", "reason": "x"}]}
    world.see(scaler)
    await world.pass_()
    assert world.condition("Ready")["status"] == "True"
    scaler["status"] = {
        "conditions": [{"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}]
    }
    world.see(scaler)
    world.told.clear()

    left = await world.pass_()
    assert left == pytest.approx(180)
    assert world.condition("Ready")["status"] == "True"
    world.clock.now += 180
    await world.pass_()

    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "AutoscalerNotWorking")
    assert "metrics-server" in ready["message"]
    assert [(reason, warning) for reason, _, warning in world.told] == [("AutoscalerNotWorking", True)]

    world.restart()
    await world.pass_()
    assert world.writes == set(), "another process does not begin to count anew"


async def test_given_an_hpa_and_no_cpu_request_then_a_warning_event_is_emitted_at_once(world: World) -> None:
    world.shop(autoscaling={"maxReplicas": 3})
    await world.pass_()

    assert world.condition("Ready")["reason"] == "AutoscalerNotWorking"
    assert "set resources.requests.cpu" in world.condition("Ready")["message"]
    assert ("AutoscalerNotWorking", True) in [(reason, warning) for reason, _, warning in world.told]


async def test_given_a_misspelled_dependency_when_its_grace_period_ends_then_ready_suggests_the_similar_name(
    world: World,
) -> None:
    other(world, "database", available=True)
    world.shop(dependsOn=["databse"])
    await world.pass_()
    assert world.condition("Ready")["reason"] == "WaitingForDependencies"
    assert "did you mean database?" in world.condition("Ready")["message"]
    world.clock.now += 120
    await world.pass_()
    state(world, DONE, **FULL)
    world.told.clear()

    await world.pass_()
    await world.pass_()

    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "DependencyMissing")
    assert "did you mean database?" in ready["message"]
    assert world.condition("Stalled")["reason"] == "DependencyMissing"
    world.restart()
    await world.pass_()
    assert world.writes == set()

    other(world, "databse", available=True)
    await world.pass_()
    assert world.condition("Ready")["status"] == "True"


async def test_given_a_running_shopservice_when_its_dependency_is_deleted_for_a_moment_then_stalled_stays_false(
    world: World,
) -> None:
    other(world, "product", available=True)
    world.shop(dependsOn=["product"])
    await world.pass_()
    state(world, DONE, **FULL)
    await world.pass_()
    world.lose("ShopService", "product")

    left = await world.pass_()

    assert world.condition("Ready")["reason"] == "DependencyMissing"
    assert left == pytest.approx(120)
    assert world.condition("Stalled")["status"] == "False"
