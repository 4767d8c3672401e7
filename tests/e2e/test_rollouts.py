"""Rollouts on real pods: the reason of a stalled rollout, and the automatic rollback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.actors import Cluster
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("shop")

NAMESPACE: Final = "rollouts"
ROOT: Final = Path(__file__).parents[2]
PROBE: Final = {"httpGet": {"path": "/"}}
SERVER: Final = ["python", "-m", "http.server", "8080", "--directory", "/tmp"]  # noqa: S108  the pod's own


@pytest.fixture(scope="module", autouse=True)
def namespace(cluster: Cluster) -> Iterator[None]:
    cluster.kubectl("create", "namespace", NAMESPACE)
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", NAMESPACE, label)
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    """One that is on the node and has Python."""
    found: str = cluster.get("shopservice", "product", "-n", "shop")["spec"]["image"]
    return found


def create(cluster: Cluster, name: str, image: str, **spec: Any) -> None:
    probes = {"startup": PROBE, "readiness": PROBE, "liveness": PROBE}
    document = {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"image": image, "command": SERVER, "probes": probes, **spec},
    }
    cluster.apply(document)


def condition(cluster: Cluster, name: str, kind: str = "Ready") -> dict[str, Any]:
    status = cluster.get("shopservice", name, "-n", NAMESPACE).get("status", {})
    return next((each for each in status.get("conditions", []) if each["type"] == kind), {"reason": ""})


def explained(cluster: Cluster, name: str) -> dict[str, Any]:
    """Answer of `kubectl shop explain`."""
    program = "from shop_operator.cli.commands import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "-n", NAMESPACE, "-o", "json", "explain", name],
        env={**cluster.env, "PYTHONPATH": str(ROOT / "operator"), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode in {0, 1}, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_given_an_image_that_cannot_be_pulled_then_the_release_is_rolled_back_and_the_service_stays_available(
    cluster: Cluster, image: str
) -> None:
    create(cluster, "careful", image, rollout={"autoRollback": True, "progressDeadlineSeconds": 15})
    wait_for(lambda: condition(cluster, "careful").get("status") == "True", 90, what="the first roll-out")
    # Never pulled: that no registry answers would be no fault of the image.
    release = {"image": "localhost/there-is-no-such-image:1", "imagePullPolicy": "Never", "args": ["--new"]}
    patch = json.dumps({"spec": release})

    cluster.kubectl("patch", "shopservice", "careful", "-n", NAMESPACE, "--type=merge", "-p", patch)

    pulls = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"}
    wait_for(lambda: condition(cluster, "careful")["reason"] in pulls, 60, what="the kubelet's own reason")
    assert condition(cluster, "careful", "Available")["status"] == "True"
    wait_for(lambda: condition(cluster, "careful")["reason"] == "RolledBack", 60, what="the way back")

    def runs_as_before() -> bool:
        deployment = cluster.get("deployment", "careful", "-n", NAMESPACE)
        status = deployment["status"]
        pod = deployment["spec"]["template"]["spec"]
        (app,) = pod["containers"]
        assert "args" not in app
        return bool(app["image"] == image and status.get("unavailableReplicas", 0) == 0)

    wait_for(runs_as_before, 60, what="the last good image")
    assert condition(cluster, "careful", "Available")["status"] == "True"
    assert "the rollout of" in condition(cluster, "careful")["message"]
    events = cluster.get("events", "-n", NAMESPACE)["items"]
    assert "RollingBack" in {each["reason"] for each in events}
    answer = explained(cluster, "careful")
    assert (answer["reason"], answer["ready"]) == ("RolledBack", False)


def test_given_a_crashing_container_when_explain_runs_then_it_prints_the_last_log_line(
    cluster: Cluster, image: str
) -> None:
    create(cluster, "crashing", image, command=["python", "-c", "raise SystemExit('no such table: orders')"])

    def told() -> bool:
        found = condition(cluster, "crashing")
        return found["reason"] == "CrashLoopBackOff" and "no such table" not in found["message"]

    wait_for(told, 90, what="the cause in the condition, and not the log")
    answer = explained(cluster, "crashing")
    assert answer["reason"] == "CrashLoopBackOff"
    assert "no such table: orders" in answer["sentence"]
    assert answer["next"].startswith("kubectl logs crashing-")


def test_given_pods_that_fit_on_no_node_then_ready_reports_them_as_unschedulable(
    cluster: Cluster, image: str
) -> None:
    create(cluster, "huge", image, resources={"requests": {"cpu": "1000"}})

    wait_for(
        lambda: condition(cluster, "huge")["reason"] == "Unschedulable", 60, what="the scheduler's reason"
    )
    assert explained(cluster, "huge")["next"] == "kubectl describe nodes"


def test_given_a_dependency_then_the_pods_start_after_it_is_available(cluster: Cluster, image: str) -> None:
    create(cluster, "front", image, dependsOn=["back"])
    wait_for(lambda: condition(cluster, "front")["reason"] == "WaitingForDependencies", 30, what="the wait")
    create(cluster, "back", image)

    wait_for(lambda: condition(cluster, "front").get("status") == "True", 90, what="both ready")

    made = cluster.get("deployment", "front", "-n", NAMESPACE)["metadata"]["creationTimestamp"]
    assert condition(cluster, "back", "Available")["status"] == "True"
    back = cluster.get("deployment", "back", "-n", NAMESPACE)["status"]["conditions"]
    available = next(each for each in back if each["type"] == "Available")
    assert made >= available["lastTransitionTime"]
