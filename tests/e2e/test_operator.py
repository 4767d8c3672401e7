"""The operator as Helm installs it: two replicas, one leader, restricted pods."""

import json

import pytest

from shopdev.checkout import SHOPSERVICES
from tests.e2e.actors import Cluster
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("shop")


def test_given_the_demo_when_kubectl_get_runs_then_all_five_shopservices_are_ready(cluster: Cluster) -> None:
    table = cluster.kubectl("get", "shopservices", "-n", "shop").splitlines()

    assert table[0].split()[:3] == ["NAME", "READY", "AVAILABLE"]
    assert [line.split()[0] for line in table[1:]] == sorted(SHOPSERVICES)
    for service in cluster.get("shopservices", "-n", "shop")["items"]:
        ready = next(c for c in service["status"]["conditions"] if c["type"] == "Ready")
        assert ready["status"] == "True", ready
        assert service["status"]["observedGeneration"] == service["metadata"]["generation"]


def test_given_two_replicas_when_the_leader_is_killed_then_the_other_takes_over_and_repairs(
    cluster: Cluster,
) -> None:
    def holder() -> str:
        lease = cluster.get("lease", "shop-operator", "-n", "shop-operator")
        return str(lease["spec"].get("holderIdentity", ""))

    leader = wait_for(holder, 60, what="a leader")
    pods = [pod["metadata"]["name"] for pod in cluster.get("pods", "-n", "shop-operator")["items"]]
    victim = next(pod for pod in pods if leader.startswith(pod))
    uid = cluster.get("deployment", "payment", "-n", "shop")["metadata"]["uid"]

    cluster.kubectl("delete", "pod", victim, "-n", "shop-operator", "--grace-period=0", "--force")
    cluster.kubectl("delete", "deployment", "payment", "-n", "shop")

    wait_for(lambda: holder() not in {"", leader}, 60, what="another leader")

    def repaired() -> bool:
        items = cluster.get("deployments", "-n", "shop")["items"]
        return any(
            d["metadata"]["name"] == "payment"
            and d["metadata"]["uid"] != uid
            and d.get("status", {}).get("readyReplicas", 0) >= 1
            for d in items
        )

    wait_for(repaired, 90, what="the payment Deployment back and ready")


def test_given_a_deployment_when_its_image_is_edited_then_the_operator_reverts_the_edit(
    cluster: Cluster,
) -> None:
    image = cluster.get("shopservice", "shipping", "-n", "shop")["spec"]["image"]
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "localhost/other:1"}]}}}}

    cluster.kubectl("patch", "deployment", "shipping", "-n", "shop", "-p", json.dumps(patch))

    def put_back() -> bool:
        pod = cluster.get("deployment", "shipping", "-n", "shop")["spec"]["template"]["spec"]
        return bool(pod["containers"][0]["image"] == image)

    wait_for(put_back, 10, what="the restored image")


@pytest.mark.parametrize("namespace", ["shop", "shop-operator"])
def test_given_the_demo_then_every_pod_runs_under_the_restricted_pod_security_standard(
    cluster: Cluster, namespace: str
) -> None:
    labels = cluster.get("namespace", namespace)["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in cluster.get("pods", "-n", namespace, "--field-selector=status.phase=Running")["items"]:
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"], pod["metadata"]["name"]


def test_given_a_pod_of_the_operator_then_it_serves_its_health_endpoints_and_metrics(
    cluster: Cluster,
) -> None:
    pod = cluster.get("pods", "-n", "shop-operator")["items"][0]["metadata"]["name"]
    base = f"/api/v1/namespaces/shop-operator/pods/{pod}:8080/proxy"

    for path in ("healthz", "readyz", "metrics"):
        assert cluster.kubectl("get", "--raw", f"{base}/{path}"), path
