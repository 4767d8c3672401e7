"""Dependencies of a ShopService: other ShopServices, configuration, kinds installed later, and users."""

import json
from functools import partial
from typing import Any

import pytest

from shopdev.cluster import tools
from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator, run
from tests.integration.shopservices import AUTOSCALING, shopservice
from tests.waiting import wait_for


def because(cluster: Cluster, namespace: str, name: str = "web", kind: str = "Ready") -> str:
    reason: str = condition(cluster.get("ShopService", namespace, name), kind)["reason"]
    return reason


def env_of(cluster: Cluster, namespace: str, name: str) -> dict[str, str]:
    (container,) = cluster.get("Deployment", namespace, name)["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", "") for each in container.get("env", [])}


def test_given_a_missing_dependency_then_only_the_deployment_waits_until_the_dependency_is_available(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, "order", dependsOn=["product"], networkPolicy={}))
    wait_for(lambda: because(cluster, namespace, "order", "DependenciesReady") == "Missing")
    assert because(cluster, namespace, "order") == "WaitingForDependencies"
    wait_for(
        lambda: (
            cluster.children(namespace) == {"Service/order", "ServiceAccount/order", "NetworkPolicy/order"}
        )
    )

    cluster.create(shopservice(namespace, "product", port=8081, networkPolicy={}, replicas=0))

    # Without pods a Deployment is available.
    wait_for(lambda: "Deployment/order" in cluster.children(namespace))
    wait_for(lambda: because(cluster, namespace, "order", "DependenciesReady") == "Available")
    assert env_of(cluster, namespace, "order") == {"PRODUCT_URL": f"http://product.{namespace}.svc:8081"}
    (rule,) = cluster.get("NetworkPolicy", namespace, "product")["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchExpressions"][0]["values"] == ["order"]

    cluster.delete("ShopService", namespace, "order")
    wait_for(lambda: "ingress" not in cluster.get("NetworkPolicy", namespace, "product")["spec"])


def test_given_two_shopservices_that_depend_on_each_other_then_both_start_and_report_the_cycle(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, "one", dependsOn=["two"]))
    cluster.create(shopservice(namespace, "two", dependsOn=["one"]))

    wait_for(lambda: {"Deployment/one", "Deployment/two"} <= cluster.children(namespace))
    wait_for(lambda: because(cluster, namespace, "one", "DependenciesReady") == "Cycle")
    wait_for(lambda: because(cluster, namespace, "two", "DependenciesReady") == "Cycle")


def test_given_a_referenced_configmap_when_it_changes_then_only_the_template_annotation_changes(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    def config(name: str, **data: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace},
            "data": data,
        }

    def template() -> dict[str, Any]:
        found: dict[str, Any] = cluster.get("Deployment", namespace, "web")["spec"]["template"]
        return found

    def is_new() -> bool:
        return template() != before

    cluster.create(config("settings", LEVEL="info"))
    cluster.create(shopservice(namespace, envFrom=[{"configMapRef": {"name": "settings"}}]))
    before = wait_for(template)

    cluster.create(config("others"))
    cluster.patch("ConfigMap", namespace, "settings", {"data": {"LEVEL": "debug"}})
    wait_for(is_new)
    after = template()

    assert after["spec"] == before["spec"]
    assert after["metadata"]["annotations"] != before["metadata"]["annotations"]


def test_given_drift_then_the_status_and_an_event_name_the_object_the_fields_and_the_manager(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace))
    wait_for(lambda: "Service/web" in cluster.children(namespace))
    repaired = operator.metric("shop_operator_drift_total", kind="Service")

    cluster.patch("Service", namespace, "web", {"spec": {"selector": {"evil": "yes"}}})

    def drift() -> dict[str, Any]:
        found: dict[str, Any] = cluster.get("ShopService", namespace, "web")["status"]["drift"]
        return found

    def recorded() -> bool:
        return bool(drift()["count"] == 1)

    wait_for(lambda: "drift" in cluster.get("ShopService", namespace, "web")["status"])
    wait_for(recorded)
    last = drift()["last"]
    assert (last["object"], last["manager"]) == ("Service web", "other-manager")
    assert "spec.selector.evil" in last["fields"]
    assert operator.metric("shop_operator_drift_total", kind="Service") == repaired + 1

    def events() -> list[dict[str, Any]]:
        answer = cluster.http.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events").json()
        return [each for each in answer["items"] if each["reason"] == "DriftRepaired"]

    (event,) = wait_for(events)
    assert event["regarding"]["name"] == "web"
    assert event["type"] == "Warning"
    assert "Service web: " in event["note"]
    assert "modified by other-manager; reverted." in event["note"]


def test_given_a_suspended_shopservice_then_its_children_are_not_reconciled_until_it_is_resumed(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace))
    wait_for(lambda: "Service/web" in cluster.children(namespace))

    cluster.patch("ShopService", namespace, "web", {"spec": {"suspend": True, "args": ["x"]}})
    wait_for(lambda: because(cluster, namespace) == "Suspended")
    cluster.delete("Service", namespace, "web")
    # A later ShopService that is reconciled shows that the deletion was observed and ignored.
    cluster.create(shopservice(namespace, "later"))
    wait_for(lambda: "Deployment/later" in cluster.children(namespace))
    assert "Service/web" not in cluster.children(namespace)

    cluster.patch("ShopService", namespace, "web", {"spec": {"suspend": None}})
    wait_for(lambda: "Service/web" in cluster.children(namespace))


def has_replicas(cluster: Cluster, namespace: str, count: int) -> bool:
    return bool(cluster.get("Deployment", namespace, "web")["spec"]["replicas"] == count)


def test_given_a_shopservice_when_kubectl_scales_it_to_zero_and_back_then_the_deployment_follows(
    cluster: Cluster, operator: Operator, namespace: str, kubectl: Any
) -> None:
    cluster.create(shopservice(namespace, replicas=2))
    scale = [kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace, "scale", "shopservice", "web"]
    for count in (0, 3):
        run([*scale, f"--replicas={count}"])
        wait_for(partial(has_replicas, cluster, namespace, count))


def test_given_an_optional_kind_when_its_crd_is_installed_or_deleted_then_the_children_follow(
    cluster: Cluster, operator: Operator, namespace: str, kubectl: Any
) -> None:
    """The kinds of the Prometheus Operator and of KEDA, while the operator runs."""
    queue = {"urlFrom": "QUEUE", "region": "eu-west-1"}
    crds = [
        tools.ensure("prometheus-operator-crds") / "monitoring.coreos.com_servicemonitors.yaml",
        tools.ensure("keda-crds") / "keda.sh_scaledobjects.yaml",
    ]
    admin = [kubectl, "--kubeconfig", cluster.kubeconfig]
    for crd in crds:
        run([*admin, "delete", "--ignore-not-found", "-f", crd])
    spec: dict[str, Any] = {"monitoring": {}, "autoscaling": {**AUTOSCALING, "queue": queue}}
    cluster.create(shopservice(namespace, **spec))
    wait_for(lambda: "HorizontalPodAutoscaler/web" in cluster.children(namespace), deadline=30)
    assert "ServiceMonitor/web" not in cluster.children(namespace)
    wait_for(lambda: "requires KEDA" in json.dumps(cluster.get("ShopService", namespace, "web")["status"]))

    for crd in crds:
        run([*admin, "apply", "--server-side", "-f", crd])
    wait_for(lambda: {"ServiceMonitor/web", "ScaledObject/web"} <= cluster.children(namespace), deadline=60)
    wait_for(lambda: "HorizontalPodAutoscaler/web" not in cluster.children(namespace))
    wait_for(
        lambda: "requires KEDA" not in json.dumps(cluster.get("ShopService", namespace, "web")["status"])
    )
    cluster.delete("ServiceMonitor", namespace, "web")
    wait_for(lambda: "ServiceMonitor/web" in cluster.children(namespace), deadline=30)

    run([*admin, "delete", "-f", crds[1]])
    wait_for(lambda: "HorizontalPodAutoscaler/web" in cluster.children(namespace), deadline=60)
    # As other tests expect it.
    run([*admin, "apply", "--server-side", "-f", crds[1]])
    wait_for(lambda: "ScaledObject/web" in cluster.children(namespace), deadline=60)


def without_none(patch: dict[str, Any]) -> dict[str, Any]:
    """Result of a merge patch on an empty object."""
    kept = {key: value for key, value in patch.items() if value is not None}
    return {key: without_none(value) if isinstance(value, dict) else value for key, value in kept.items()}


@pytest.mark.parametrize(
    "order", [("replicas", "cpu", "queue"), ("queue", "cpu", "replicas"), ("cpu", "queue", "cpu")]
)
def test_given_a_replica_count_when_its_owner_changes_in_any_order_then_the_live_count_stays(
    cluster: Cluster, operator: Operator, namespace: str, optional_kinds: None, order: tuple[str, ...]
) -> None:
    """From replicas to an autoscaler to KEDA and back: every scaler keeps the current count."""
    ways: dict[str, dict[str, Any]] = {
        "replicas": {"replicas": 4, "autoscaling": None},
        "cpu": {"replicas": None, "autoscaling": {**AUTOSCALING, "queue": None}},
        "queue": {
            "replicas": None,
            "autoscaling": {
                "minReplicas": 0,
                "maxReplicas": 9,
                "cpu": None,
                "queue": {"urlFrom": "QUEUE", "region": "eu-west-1"},
            },
        },
    }
    children = {
        "cpu": "HorizontalPodAutoscaler/web",
        "queue": "ScaledObject/web",
        "replicas": "Deployment/web",
    }
    first, *rest = order
    cluster.create(shopservice(namespace, **without_none(ways[first])))
    wait_for(lambda: {"Deployment/web", children[first]} <= cluster.children(namespace), deadline=30)
    if first != "replicas":
        cluster.scale("Deployment", namespace, "web", 4)
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["spec"]["replicas"] == 4)
    since: str = cluster.get("Deployment", namespace, "web")["metadata"]["resourceVersion"]

    def followed(way: str, image: str) -> bool:
        deployment = cluster.get("Deployment", namespace, "web")
        return children[way] in cluster.children(namespace) and image in json.dumps(deployment)

    for number, way in enumerate(rest):
        image = f"registry.test/x:{number}"
        cluster.patch("ShopService", namespace, "web", {"spec": {**ways[way], "image": image}})
        wait_for(partial(followed, way, image), deadline=30)

    states = cluster.history("Deployment", namespace, "web", since)
    assert {state["spec"]["replicas"] for state in states} == {4}
