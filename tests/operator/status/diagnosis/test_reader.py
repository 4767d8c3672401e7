"""The pods that are inspected, how often, and what requires no write."""

from typing import Any

from shop_operator.kubernetes.client import LIST_PAGE
from tests.operator.status.deployments import state
from tests.operator.world import World, rolling


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


async def test_given_pods_of_two_templates_then_only_pods_of_the_newest_replicaset_are_diagnosed(
    world: World,
) -> None:
    """A rollback makes the older ReplicaSet the newest again, so the age of pods is irrelevant."""
    world.shop()
    await world.pass_()
    state(world, replicas=2, updatedReplicas=1)
    pod(world, "web-1", "old", **UNREADY)
    pod(world, "web-2", "rejected", state={"waiting": {"reason": "ImagePullBackOff"}})
    replicaset(world, "rejected", 2)
    replicaset(world, "old", 3)

    ready = await diagnosed(world)

    assert ready["reason"] == "NotReady"


async def test_given_no_pod_of_the_newest_template_then_no_pod_is_diagnosed_and_no_replicaset_is_read(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    state(world, replicas=1, updatedReplicas=0)
    pod(world, "web-1", "old", **CRASHED)

    ready = await diagnosed(world)

    assert (ready["reason"], world.api.reads) == ("RollingOut", 1)


async def test_given_more_pods_than_a_list_page_then_pods_of_the_newest_template_are_diagnosed(
    world: World,
) -> None:
    """Pods are listed by name, so those of one template may all be on the last page."""
    world.shop(replicas=LIST_PAGE)
    await world.pass_()
    for number in range(LIST_PAGE):
        pod(world, f"web-a-{number}", "a", **CRASHED)
    pod(world, "web-b-1", "b", **UNREADY)
    replicaset(world, "a", 1)
    replicaset(world, "b", 2)
    state(world, replicas=LIST_PAGE + 1, updatedReplicas=1)

    assert (await diagnosed(world))["reason"] == "NotReady"


async def test_given_pods_of_one_template_then_a_diagnosis_costs_one_request(world: World) -> None:
    world.shop()
    await world.pass_()
    state(world, replicas=1, updatedReplicas=1)
    pod(world, "web-1", "new", **CRASHED)

    ready = await diagnosed(world)

    assert (ready["reason"], world.api.reads) == ("CrashLoopBackOff", 1)


async def test_given_log_diagnosis_disabled_when_a_container_crashes_then_no_log_is_read(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    rolling(world)
    pod(world, "web-1", "new", **CRASHED)
    world.api.logs["web-1", "app", True] = "password is hunter2\n"

    ready = await diagnosed(world)

    assert ready["message"] == "Deployment web: container app exited with code 1 and was restarted."
    assert "hunter2" not in str(world.api.objects["ShopService", "ns", "web"]) + str(world.told)


async def test_given_an_unready_pod_when_only_its_log_grows_then_no_status_is_written(world: World) -> None:
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


async def test_given_a_crash_looping_container_then_its_repeated_restarts_cost_one_status_write(
    world: World,
) -> None:
    """It alternates between waiting, running and terminated, with a growing count."""
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


async def test_given_a_failed_pull_when_the_kubelet_omits_its_cause_for_a_moment_then_no_status_is_written(
    world: World,
) -> None:
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
