"""The API server away, the Gateway API not installed, rights not granted: it goes on as soon as it can."""

import sys
from pathlib import Path

from localcluster import tools
from localcluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster, condition
from tests.integration.faults.controllers import collect_garbage, serve_again
from tests.integration.operators import install, run, running
from tests.integration.shopservices import AUTOSCALING, ROUTE, shopservice
from tests.waiting import wait_for


def test_given_no_gateway_api_then_a_condition_says_so_and_installing_it_is_enough(
    own_plane: ControlPlane, own_cluster: Cluster, own_kubeconfig: Path, tmp_path: Path
) -> None:
    kubectl: list[str | Path] = [own_plane.bin / "kubectl", "--kubeconfig", own_plane.kubeconfig]
    run([*kubectl, "delete", "crd", "httproutes.gateway.networking.k8s.io", "--ignore-not-found"])
    namespace = own_cluster.namespace("no-gateway")
    with running(own_kubeconfig, tmp_path / "operator.log", "--no-leader-elect"):
        own_cluster.create(shopservice(namespace, **ROUTE))

        def told() -> bool:
            found = condition(own_cluster.get("ShopService", namespace, "web"), "Ready")
            return found["status"] == "False" and "CRD" in found["message"]

        wait_for(told)
        assert own_cluster.children(namespace) >= {"Deployment/web", "Service/web"}

        crd = tools.ensure("gateway-api") / "gateway.networking.k8s.io_httproutes.yaml"
        run([*kubectl, "create", "-f", crd])

        wait_for(lambda: "HTTPRoute/web" in own_cluster.children(namespace), deadline=40)
        # And it is watched from now on.
        own_cluster.delete("HTTPRoute", namespace, "web")
        wait_for(lambda: "HTTPRoute/web" in own_cluster.children(namespace), deadline=40)


def test_given_an_api_server_that_goes_away_then_the_operator_waits_and_goes_on(
    own_plane: ControlPlane, own_cluster: Cluster, own_kubeconfig: Path, tmp_path: Path
) -> None:
    namespace = own_cluster.namespace("outage")
    with running(own_kubeconfig, tmp_path / "operator.log", "--leader-elect") as operator:
        wait_for(operator.leading, deadline=30)
        own_cluster.create(shopservice(namespace))
        wait_for(lambda: "Deployment/web" in own_cluster.children(namespace))

        own_plane.stop_apiserver()
        wait_for(lambda: not operator.leading(), deadline=30)
        assert operator.ask("/healthz").status_code == 200
        serve_again(own_plane, own_cluster)
        collect_garbage(own_plane, own_cluster)

        own_cluster.delete("Deployment", namespace, "web")
        wait_for(lambda: "Deployment/web" in own_cluster.children(namespace), deadline=60)


def test_given_a_crd_that_is_deleted_and_installed_again_then_the_operator_goes_on(
    own_plane: ControlPlane, own_cluster: Cluster, own_kubeconfig: Path, tmp_path: Path
) -> None:
    admin: list[str | Path] = [own_plane.bin / "kubectl", "--kubeconfig", own_plane.kubeconfig]
    namespace = own_cluster.namespace("crd-gone")
    with running(own_kubeconfig, tmp_path / "operator.log", "--no-leader-elect") as operator:
        own_cluster.create(shopservice(namespace))
        wait_for(lambda: "Deployment/web" in own_cluster.children(namespace))

        run([*admin, "delete", "crd", "shopservices.shopservice.dev"])
        wait_for(lambda: operator.metric("shop_operator_shopservices") == 0)
        run(
            [*admin, "apply", "--server-side", "-f", "-"],
            run([sys.executable, "-m", "shop_operator.main", "crd"]),
        )
        wait_for(lambda: own_cluster.post(shopservice(namespace, "again")).is_success, deadline=30)

        wait_for(lambda: "Deployment/again" in own_cluster.children(namespace), deadline=60)
        assert not operator.ended()
    collect_garbage(own_plane, own_cluster)


def test_given_a_right_that_is_missing_then_a_condition_says_so_and_granting_it_is_enough(
    own_plane: ControlPlane, own_cluster: Cluster, own_kubeconfig: Path, tmp_path: Path
) -> None:
    namespace = own_cluster.namespace("no-right")
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/shop-operator"
    granted = own_cluster.http.get(role).json()["rules"]
    lesser = [rule for rule in granted if rule["apiGroups"] != ["autoscaling"]]
    merge = {"Content-Type": "application/merge-patch+json"}
    with running(own_kubeconfig, tmp_path / "operator.log", "--no-leader-elect"):
        own_cluster.http.patch(role, json={"rules": lesser}, headers=merge).raise_for_status()
        wait_for(lambda: not allowed(own_cluster, namespace))
        own_cluster.create(shopservice(namespace, autoscaling=AUTOSCALING))

        def told() -> bool:
            found = condition(own_cluster.get("ShopService", namespace, "web"), "Reconciling")
            return found["reason"] == "Forbidden" and "RBAC" in found["message"]

        wait_for(told)
        assert "Deployment/web" in own_cluster.children(namespace)
        own_cluster.http.patch(role, json={"rules": granted}, headers=merge).raise_for_status()

        wait_for(lambda: "HorizontalPodAutoscaler/web" in own_cluster.children(namespace), deadline=60)


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


def test_given_namespaces_then_only_those_are_served_and_no_right_elsewhere_is_needed(
    own_plane: ControlPlane, own_cluster: Cluster, own_kubeconfig: Path, tmp_path: Path
) -> None:
    served, other = own_cluster.namespace("served"), own_cluster.namespace("other")
    kubeconfig = install(
        own_cluster,
        own_plane.bin / "kubectl",
        tools.ensure("helm3") / "helm",
        tmp_path,
        release="scoped-shop-operator",
        values=f"watchNamespaces={{{served}}}",
    )
    flags = ("--no-leader-elect", "--namespace", served)
    with running(kubeconfig, tmp_path / "operator.log", *flags) as operator:
        own_cluster.create(shopservice(other))
        own_cluster.create(shopservice(served))
        wait_for(lambda: "Deployment/web" in own_cluster.children(served))
        own_cluster.delete("Deployment", served, "web")
        wait_for(lambda: "Deployment/web" in own_cluster.children(served))

        assert own_cluster.children(other) == set()
        assert operator.metric("rest_client_requests_total", code="403") == 0
