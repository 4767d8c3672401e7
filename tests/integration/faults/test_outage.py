"""The operator continues after an API server outage, a missing Gateway API, and missing permissions."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shopdev.cluster import tools
from shopdev.cluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster, condition
from tests.integration.faults.controllers import collect_garbage, serve_again
from tests.integration.faults.truth import settled
from tests.integration.operators import install, run, running
from tests.integration.shopservices import AUTOSCALING, ROUTE, WORKER, shopservice
from tests.waiting import wait_for


def test_given_no_gateway_api_when_it_is_installed_then_the_condition_clears_and_the_route_is_created(
    own_plane: ControlPlane, own_cluster: Cluster, own_kubeconfig: Path, here: str, tmp_path: Path
) -> None:
    kubectl: list[str | Path] = [own_plane.bin / "kubectl", "--kubeconfig", own_plane.kubeconfig]
    run([*kubectl, "delete", "crd", "httproutes.gateway.networking.k8s.io", "--ignore-not-found"])
    with running(own_kubeconfig, tmp_path / "operator.log", "--no-leader-elect") as operator:
        own_cluster.create(shopservice(here, **ROUTE))

        def told() -> bool:
            found = condition(own_cluster.get("ShopService", here, "web"), "Ready")
            return found["status"] == "False" and "CRD" in found["message"]

        wait_for(told)
        assert own_cluster.children(here) >= {"Deployment/web", "Service/web"}

        crd = tools.ensure("gateway-api") / "gateway.networking.k8s.io_httproutes.yaml"
        run([*kubectl, "create", "-f", crd])

        wait_for(lambda: "HTTPRoute/web" in own_cluster.children(here), deadline=40)
        # And it is watched from now on.
        own_cluster.delete("HTTPRoute", here, "web")
        wait_for(lambda: "HTTPRoute/web" in own_cluster.children(here), deadline=40)
        settled(own_cluster, here, operator)


def test_given_a_leader_when_the_api_server_restarts_then_the_operator_resumes_reconciliation(
    own_plane: ControlPlane, own_cluster: Cluster, own_kubeconfig: Path, here: str, tmp_path: Path
) -> None:
    with running(own_kubeconfig, tmp_path / "operator.log", "--leader-elect") as operator:
        wait_for(operator.leading, deadline=30)
        own_cluster.create(shopservice(here))
        wait_for(lambda: "Deployment/web" in own_cluster.children(here))

        own_plane.stop_apiserver()
        wait_for(lambda: not operator.leading(), deadline=30)
        assert operator.ask("/healthz").status_code == 200
        serve_again(own_plane, own_cluster)
        collect_garbage(own_plane, own_cluster)

        own_cluster.delete("Deployment", here, "web")
        wait_for(lambda: "Deployment/web" in own_cluster.children(here), deadline=60)
        settled(own_cluster, here, operator)


def test_given_a_crd_when_it_is_deleted_and_reinstalled_then_the_children_match_the_new_shopservices(
    own_plane: ControlPlane, own_cluster: Cluster, own_kubeconfig: Path, here: str, tmp_path: Path
) -> None:
    admin: list[str | Path] = [own_plane.bin / "kubectl", "--kubeconfig", own_plane.kubeconfig]
    first: dict[str, Any] = {"autoscaling": AUTOSCALING, "workers": [WORKER], "networkPolicy": {}}
    with running(own_kubeconfig, tmp_path / "operator.log", "--no-leader-elect") as operator:
        own_cluster.create(shopservice(here, **first))
        own_cluster.create(shopservice(here, "gone"))
        settled(own_cluster, here, operator)

        run([*admin, "delete", "crd", "shopservices.shopservice.dev"])
        wait_for(lambda: operator.metric("shop_operator_shopservices") == 0)
        run(
            [*admin, "apply", "--server-side", "-f", "-"],
            run([sys.executable, "-m", "shop_operator.main", "crd"]),
        )
        wait_for(lambda: own_cluster.post(shopservice(here, "again")).is_success, deadline=30)
        own_cluster.create(shopservice(here, workers=[WORKER]))
        collect_garbage(own_plane, own_cluster)

        # Nothing of the first ones is left, neither of the one that is there again nor of the one that is not.
        settled(own_cluster, here, operator, deadline=90)
        assert not operator.ended()


def test_given_a_missing_permission_when_it_is_granted_then_the_condition_clears_and_the_child_is_created(
    own_cluster: Cluster, own_kubeconfig: Path, here: str, tmp_path: Path
) -> None:
    def told() -> bool:
        shop = own_cluster.get("ShopService", here, "web")
        cause = condition(shop, "Ready")["message"]
        return condition(shop, "Reconciling")["reason"] == "Forbidden" and "RBAC" in cause

    with running(own_kubeconfig, tmp_path / "operator.log", "--no-leader-elect") as operator:
        with forbidden(own_cluster, here, "autoscaling"):
            own_cluster.create(shopservice(here, autoscaling=AUTOSCALING))
            wait_for(told)
            assert "Deployment/web" in own_cluster.children(here)
            assert "HorizontalPodAutoscaler/web" not in own_cluster.children(here)

        settled(own_cluster, here, operator)


@contextmanager
def forbidden(cluster: Cluster, namespace: str, group: str) -> Iterator[None]:
    """The operator has no rights in a group of the API for a while."""
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/shop-operator"
    merge = {"Content-Type": "application/merge-patch+json"}
    granted = cluster.http.get(role).raise_for_status().json()["rules"]
    lesser = [rule for rule in granted if rule["apiGroups"] != [group]]
    assert len(lesser) < len(granted)
    try:
        cluster.http.patch(role, json={"rules": lesser}, headers=merge).raise_for_status()
        wait_for(lambda: not allowed(cluster, namespace))
        yield
    finally:
        cluster.http.patch(role, json={"rules": granted}, headers=merge).raise_for_status()


def allowed(cluster: Cluster, namespace: str) -> bool:
    """Whether the operator may create autoscalers."""
    asked = {
        "namespace": namespace,
        "verb": "create",
        "group": "autoscaling",
        "resource": "horizontalpodautoscalers",
    }
    review = {"user": "system:serviceaccount:shop-operator:shop-operator", "resourceAttributes": asked}
    answer = cluster.http.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json={"spec": review})
    return bool(answer.json()["status"]["allowed"])


def test_given_a_watched_namespace_then_only_that_one_is_reconciled_and_no_permission_elsewhere_is_required(
    own_plane: ControlPlane,
    own_cluster: Cluster,
    own_kubeconfig: Path,
    here: str,
    elsewhere: str,
    tmp_path: Path,
) -> None:
    kubeconfig = install(
        own_cluster,
        own_plane.bin / "kubectl",
        tools.ensure("helm3") / "helm",
        tmp_path,
        release="scoped-shop-operator",
        values=f"watchNamespaces={{{here}}}",
    )
    flags = ("--no-leader-elect", "--namespace", here)
    with running(kubeconfig, tmp_path / "operator.log", *flags) as operator:
        own_cluster.create(shopservice(elsewhere))
        own_cluster.create(shopservice(here))
        wait_for(lambda: "Deployment/web" in own_cluster.children(here))
        own_cluster.delete("Deployment", here, "web")
        wait_for(lambda: "Deployment/web" in own_cluster.children(here))

        assert own_cluster.children(elsewhere) == set()
        assert operator.metric("rest_client_requests_total", code="403") == 0
