"""`kubectl shop new` and `restart` on a real API server: the output of new can be applied, and the operator does not revert a restart."""

from pathlib import Path
from typing import Any

from tests.integration.cluster import Cluster
from tests.integration.operators import Operator, run
from tests.integration.shopservices import WORKER, shopservice
from tests.integration.test_cli import Shop, reconciled
from tests.waiting import wait_for

RESTARTED = "kubectl.kubernetes.io/restartedAt"


def annotations(cluster: Cluster, namespace: str, deployment: str) -> dict[str, Any]:
    template = cluster.get("Deployment", namespace, deployment)["spec"]["template"]
    found: dict[str, Any] = template["metadata"].get("annotations", {})
    return found


def test_given_a_restart_by_the_plugin_then_the_operator_keeps_its_annotation_and_reports_no_drift(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    shop = Shop(cluster.kubeconfig)
    cluster.apply(shopservice(namespace, workers=[WORKER]))
    wait_for(lambda: reconciled(cluster, namespace))
    wait_for(lambda: "Deployment/web-relay" in cluster.children(namespace))

    shop.says("-n", namespace, "restart", "web", "-w", "relay", "--dry-run")
    assert RESTARTED not in annotations(cluster, namespace, "web-relay")
    said = shop.says("-n", namespace, "restart", "web")
    at = [annotations(cluster, namespace, each)[RESTARTED] for each in ("web", "web-relay")]
    cluster.apply(shopservice(namespace, workers=[WORKER], args=["--verbose"]))
    wait_for(lambda: reconciled(cluster, namespace))

    def arguments() -> Any:
        (container,) = cluster.get("Deployment", namespace, "web")["spec"]["template"]["spec"]["containers"]
        return container.get("args")

    wait_for(lambda: arguments() == ["--verbose"])
    assert "Deployment web is restarting.\nDeployment web-relay is restarting.\n" in said
    assert [annotations(cluster, namespace, each)[RESTARTED] for each in ("web", "web-relay")] == at
    assert "drift" not in cluster.get("ShopService", namespace, "web")["status"]


def test_given_the_manifest_that_new_prints_then_kubectl_applies_it_and_graph_shows_it(
    cluster: Cluster, operator: Operator, namespace: str, kubectl: Path
) -> None:
    shop = Shop(cluster.kubeconfig)
    options = ("--image", "web:1", "--env", "A=1", "--depends-on", "order", "--worker", "relay=relay --all")
    printed = shop.says("-n", namespace, "new", "web", *options)

    run([kubectl, "--kubeconfig", cluster.kubeconfig, "apply", "--server-side", "-f", "-"], printed)

    spec = wait_for(lambda: reconciled(cluster, namespace))["spec"]
    assert spec["workers"][0]["command"] == ["relay", "--all"]
    assert "├─ depends on order (missing)\n└─ worker web-relay\n" in shop.says("-n", namespace, "graph")
