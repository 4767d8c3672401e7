"""Autoscalers measure the container itself, and an autoscaler of an earlier release is updated while it runs."""

from typing import Any

from tests.integration.cluster import Cluster
from tests.integration.operators import Operator
from tests.integration.shopservices import WORKER, shopservice
from tests.waiting import wait_for

TARGET = {"type": "Utilization", "averageUtilization": 70}


def of_container(container: str) -> list[dict[str, Any]]:
    measured = {"name": "cpu", "container": container, "target": TARGET}
    return [{"type": "ContainerResource", "containerResource": measured}]


def metrics(cluster: Cluster, namespace: str, name: str = "web") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.get("HorizontalPodAutoscaler", namespace, name)["spec"]["metrics"]
    return found


def test_given_an_autoscaler_with_a_pod_metric_when_it_becomes_a_container_metric_then_the_count_stays(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    scaled = {"minReplicas": 1, "maxReplicas": 6, "cpu": 70}
    cluster.create(shopservice(namespace, autoscaling=scaled, workers=[{**WORKER, "autoscaling": scaled}]))
    wait_for(lambda: metrics(cluster, namespace) == of_container("app"))
    wait_for(lambda: metrics(cluster, namespace, "web-relay") == of_container("relay"))
    cluster.scale("Deployment", namespace, "web", 5)
    before = cluster.get("Deployment", namespace, "web")["metadata"]["resourceVersion"]

    earlier = [{"type": "Resource", "resource": {"name": "cpu", "target": TARGET}}]
    cluster.patch("HorizontalPodAutoscaler", namespace, "web", {"spec": {"metrics": earlier}})

    wait_for(lambda: metrics(cluster, namespace) == of_container("app"))
    states = cluster.history("Deployment", namespace, "web", before)
    assert {state["spec"]["replicas"] for state in states} | {
        cluster.get("Deployment", namespace, "web")["spec"]["replicas"]
    } == {5}
