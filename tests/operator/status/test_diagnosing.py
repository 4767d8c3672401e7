"""How a status comes to its cause: which pods are asked, how long anything is given, and what costs no write."""

from typing import Any

import pytest

from shop_operator.kubernetes.client import LIST_PAGE
from tests.operator.world import World, other, rolling

CPU = {"requests": {"cpu": "100m"}}


@pytest.fixture
def world() -> World:
    made = World()
    made.diagnose_logs = False
    made.restart()
    return made


def pod(world: World, name: str, template: str, **state: Any) -> None:
    world.api.put(
        {
            "kind": "Pod",
            "metadata": {
                "namespace": "ns",
                "name": name,
                "labels": {
                    "shopservice.dev/name": "web",
                    "app.kubernetes.io/component": "web",
                    "pod-template-hash": template,
                },
            },
            "status": {"containerStatuses": [{"name": "app", **state}]},
        }
    )


def replicaset(world: World, template: str, revision: int) -> None:
    world.api.put(
        {
            "kind": "ReplicaSet",
            "metadata": {
                "namespace": "ns",
                "name": f"web-{template}",
                "labels": {
                    "shopservice.dev/name": "web",
                    "app.kubernetes.io/component": "web",
                    "pod-template-hash": template,
                },
                "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            },
        }
    )


def state(world: World, conditions: list[dict[str, Any]] | None = None, **counts: int) -> None:
    """What the Deployment's controller says."""
    live = world.edit("Deployment")
    live["status"] = {
        "observedGeneration": live["metadata"]["generation"],
        "conditions": conditions or [],
        **counts,
    }
    world.see(live)


CRASHED: dict[str, Any] = {
    "restartCount": 3,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1}},
}
UNREADY: dict[str, Any] = {"ready": False, "state": {"running": {}}}


async def diagnosed(world: World) -> dict[str, Any]:
    await world.pass_()
    world.clock.now += 5
    await world.pass_()
    return world.condition("Ready")


async def test_only_pods_of_the_newest_template_are_judged(world: World) -> None:
    """A rollback makes the older ReplicaSet the newest again: the age of pods tells nothing."""
    world.shop()
    await world.pass_()
    state(world, replicas=2, updatedReplicas=1)
    pod(world, "web-1", "old", **UNREADY)
    pod(world, "web-2", "rejected", state={"waiting": {"reason": "ImagePullBackOff"}})
    replicaset(world, "rejected", 2)
    replicaset(world, "old", 3)

    ready = await diagnosed(world)

    assert ready["reason"] == "NotReady"


async def test_without_any_pod_of_the_newest_template_none_is_judged_and_no_replicaset_asked_for(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    state(world, replicas=1, updatedReplicas=0)
    pod(world, "web-1", "old", **CRASHED)

    ready = await diagnosed(world)

    assert (ready["reason"], world.api.reads) == ("RollingOut", 1)


async def test_of_more_pods_than_a_page_holds_those_of_the_newest_template_are_judged(world: World) -> None:
    """They are listed by name, so those of one template may all come last."""
    world.shop(replicas=LIST_PAGE)
    await world.pass_()
    for number in range(LIST_PAGE):
        pod(world, f"web-a-{number}", "a", **CRASHED)
    pod(world, "web-b-1", "b", **UNREADY)
    replicaset(world, "a", 1)
    replicaset(world, "b", 2)
    state(world, replicas=LIST_PAGE + 1, updatedReplicas=1)

    assert (await diagnosed(world))["reason"] == "NotReady"


async def test_pods_of_one_template_cost_one_request(world: World) -> None:
    world.shop()
    await world.pass_()
    state(world, replicas=1, updatedReplicas=1)
    pod(world, "web-1", "new", **CRASHED)

    ready = await diagnosed(world)

    assert (ready["reason"], world.api.reads) == ("CrashLoopBackOff", 1)


async def test_no_log_is_read_unless_the_operator_is_told_to(world: World) -> None:
    world.shop()
    await world.pass_()
    rolling(world)
    pod(world, "web-1", "new", **CRASHED)
    world.api.logs["web-1", "app", True] = "password is hunter2\n"

    ready = await diagnosed(world)

    assert ready["message"] == "Deployment web: container app exited with code 1 and was restarted."
    assert "hunter2" not in str(world.api.objects["ShopService", "ns", "web"]) + str(world.told)


async def test_a_log_that_goes_on_costs_one_read_and_one_write(world: World) -> None:
    world.diagnose_logs = True
    world.restart()
    world.shop()
    await world.pass_()
    rolling(world)
    pod(world, "web-1", "new", **UNREADY)
    world.api.logs["web-1", "app", False] = "12:00:01 GET /healthz 404\n"
    ready = await diagnosed(world)
    assert ready["message"].endswith("last log line: 12:00:01 GET /healthz 404.")

    for second in range(2, 8):
        world.api.logs["web-1", "app", False] = f"12:00:0{second} GET /healthz 404\n"
        world.clock.now += 15
        await world.pass_()
        assert world.writes == set()
    world.restart()
    world.clock.now += 15
    await world.pass_()
    assert world.writes == set(), "nor does another process find news in it"

    pod(world, "web-1", "new", **CRASHED)
    world.api.logs["web-1", "app", True] = "no such table: orders\n"
    world.clock.now += 15
    await world.pass_()
    assert "no such table: orders" in world.condition("Ready")["message"]


async def test_a_container_that_crashes_again_and_again_costs_one_write(world: World) -> None:
    """It waits, runs and has ended by turns, under other names of pods and with a growing count."""
    world.shop()
    await world.pass_()
    rolling(world)
    pod(world, "web-1", "new", **CRASHED)
    await diagnosed(world)
    crash = {"terminated": {"exitCode": 1, "reason": "Error"}}

    for count, now in enumerate(
        [crash, {"running": {}}, {"waiting": {"reason": "CrashLoopBackOff"}}, {"running": {}}], start=4
    ):
        pod(world, "web-1", "new", restartCount=count, ready=False, state=now, lastState=crash)
        world.clock.now += 15
        await world.pass_()
        assert world.writes == set()


async def test_a_failed_pull_that_is_told_without_its_cause_in_between_costs_one_write(world: World) -> None:
    said = "failed to resolve reference: web:2: not found"
    world.shop()
    await world.pass_()
    rolling(world)
    pod(world, "web-1", "new", image="web:2", state={"waiting": {"reason": "ErrImagePull", "message": said}})
    ready = await diagnosed(world)
    assert (ready["reason"], "not found" in ready["message"]) == ("ImagePullBackOff", True)

    backing_off = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "web:2"'}
    pod(world, "web-1", "new", image="web:2", state={"waiting": backing_off})
    world.clock.now += 15
    await world.pass_()

    assert world.writes == set()


DONE = [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]
FULL = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}


async def test_a_count_that_changes_is_scaling_until_it_is_reached_also_for_the_next_process(
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


UNCREATED = {
    "type": "Progressing",
    "status": "False",
    "reason": "ReplicaSetCreateError",
    "message": 'Failed to create new replica set "web-5d4": denied by policy',
}


async def test_a_release_without_a_replicaset_is_given_its_deadline_and_then_goes_back(
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


async def test_a_release_that_has_had_no_replicaset_for_too_long_stays_stalled_after_a_restart(
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
async def test_an_autoscaler_that_no_controller_reads_is_given_three_minutes(
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


async def test_an_autoscaler_is_given_three_minutes_and_then_a_warning(world: World) -> None:
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


async def test_an_autoscaler_without_requests_warns_at_once(world: World) -> None:
    world.shop(autoscaling={"maxReplicas": 3})
    await world.pass_()

    assert world.condition("Ready")["reason"] == "AutoscalerNotWorking"
    assert "set resources.requests.cpu" in world.condition("Ready")["message"]
    assert ("AutoscalerNotWorking", True) in [(reason, warning) for reason, _, warning in world.told]


async def test_a_name_that_is_missing_is_waited_for_then_warned_of_with_the_name_that_was_meant(
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


async def test_a_dependency_that_is_deleted_for_a_moment_stalls_nothing(world: World) -> None:
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


async def test_what_the_cluster_cannot_have_and_nothing_waits_for_is_told_all_the_same(world: World) -> None:
    world.served -= {"ServiceMonitor", "PodMonitor"}
    world.shop(monitoring={})
    await world.pass_()
    state(world, DONE, **FULL)

    await world.pass_()

    ready = world.condition("Ready")
    assert ready["status"] == "True"
    assert (
        "no ServiceMonitor is created, because the Prometheus operator is not installed" in ready["message"]
    )


async def test_suspended_it_counts_as_neither_ready_nor_not_for_an_alert(world: World) -> None:
    world.shop(suspend=True)

    await world.pass_()

    assert world.condition("Ready")["reason"] == "Suspended"
    assert world.states == {("ns", "web"): (None, None)}
