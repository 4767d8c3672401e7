"""The status of a ShopService and its presentation by kubectl."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator, run
from tests.integration.shopservices import AUTOSCALING, WORKER, shopservice
from tests.waiting import wait_for

Kubectl = Callable[..., str]


@pytest.fixture
def run_kubectl(kubectl: Path, cluster: Cluster, namespace: str) -> Kubectl:
    def answer(*arguments: str) -> str:
        return run([kubectl, "--kubeconfig", cluster.kubeconfig, "--namespace", namespace, *arguments])

    return answer


def start_pods(cluster: Cluster, namespace: str) -> None:
    """Play the kubelet: every pod runs and is ready."""
    for pod in cluster.http.get(f"/api/v1/namespaces/{namespace}/pods").json()["items"]:
        ready = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "PodScheduled")]
        answer = cluster.http.patch(
            f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status",
            json={"status": {"phase": "Running", "conditions": ready}},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        assert answer.status_code in {httpx.codes.OK, httpx.codes.NOT_FOUND}, answer.text


def test_given_pods_that_are_not_ready_then_the_status_counts_them_and_ready_is_false(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, replicas=2))

    def told() -> bool:
        found = cluster.get("ShopService", namespace, "web")
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        assert found["status"]["ready"] == "0/2"
        assert condition(found, "Ready")["status"] == "False"
        return True

    wait_for(told)


def test_given_running_pods_then_the_shopservice_is_ready_and_lists_its_children(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, replicas=2, workers=[WORKER]))

    def ready() -> bool:
        start_pods(cluster, namespace)
        found = cluster.get("ShopService", namespace, "web")
        assert condition(found, "Ready")["status"] == "True", found["status"]
        assert condition(found, "Available")["status"] == "True"
        assert condition(found, "Stalled")["status"] == "False"
        assert condition(found, "Reconciling")["status"] == "False"
        return True

    wait_for(ready, deadline=30)
    status = cluster.get("ShopService", namespace, "web")["status"]
    assert (status["replicas"], status["readyReplicas"], status["ready"]) == (2, 2, "2/2")
    assert status["image"] == "registry.test/shop-product:1"
    assert {(c["kind"], c["name"]) for c in status["children"]} >= {
        ("Deployment", "web"),
        ("Deployment", "web-relay"),
        ("Service", "web"),
        ("ServiceAccount", "web"),
    }


def test_given_a_shopservice_when_it_is_scaled_by_kubectl_then_its_deployment_follows(
    cluster: Cluster, operator: Operator, namespace: str, run_kubectl: Kubectl
) -> None:
    cluster.create(shopservice(namespace, replicas=1))
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["spec"]["replicas"] == 1)

    run_kubectl("scale", "shopservice", "web", "--replicas", "4")

    wait_for(lambda: cluster.get("Deployment", namespace, "web")["spec"]["replicas"] == 4)


def test_given_a_shopservice_then_its_scale_shows_replicas_and_a_selector_of_its_pods(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, replicas=2))

    def scale() -> dict[str, object]:
        found = cluster.http.get(cluster.path("ShopService", namespace, "web") + "/scale").json()
        assert found["status"]["replicas"] == 2, found
        status: dict[str, object] = found["status"]
        return status

    selector = wait_for(scale)["selector"]
    pods = cluster.http.get(f"/api/v1/namespaces/{namespace}/pods", params={"labelSelector": str(selector)})
    assert len(pods.json()["items"]) == 2


def test_given_a_shopservice_when_kubectl_get_runs_then_the_columns_show_its_state(
    cluster: Cluster, operator: Operator, namespace: str, run_kubectl: Kubectl
) -> None:
    cluster.create(shopservice(namespace, autoscaling=AUTOSCALING))
    wait_for(lambda: cluster.get("ShopService", namespace, "web")["status"].get("autoscaling"))

    header, row = run_kubectl("get", "shopsvc", "-o", "wide").splitlines()

    assert header.split()[:4] == ["NAME", "READY", "AVAILABLE", "REASON"]
    assert {"IMAGE", "HPA", "AGE"} <= set(header.split())
    assert "2-6" in row
    assert "registry.test/shop-product:1" in row


def test_given_the_crd_when_kubectl_explain_runs_then_every_field_has_a_description(
    operator: Operator, run_kubectl: Kubectl
) -> None:
    text = run_kubectl("explain", "shopservice.spec", "--recursive=false")

    for field in ("image", "port", "replicas", "autoscaling", "routes", "workers", "probes", "env"):
        assert f"\n  {field}\t" in text
    assert "<no description>" not in text
