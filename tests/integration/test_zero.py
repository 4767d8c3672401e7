"""Intentional zero replicas, a disabled autoscaler, and a deleted Deployment, on a real API server."""

from typing import Any

import httpx

from tests.integration.cluster import Cluster
from tests.integration.operators import Operator
from tests.integration.shopservices import AUTOSCALING, WORKER, shopservice
from tests.integration.test_replicas import change_image, replicas
from tests.waiting import wait_for


def notes(cluster: Cluster, namespace: str) -> set[str]:
    """Notes of the Events of the namespace."""
    answer = cluster.http.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events").json()
    return {event["note"] for event in answer["items"]}


def status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("ShopService", namespace, "web").get("status", {})
    return found


def scaled(cluster: Cluster, namespace: str, count: int) -> None:
    """The ShopService has an autoscaler, and the Deployment this count, of which the operator knows."""
    cluster.create(shopservice(namespace, autoscaling=AUTOSCALING))
    wait_for(lambda: "HorizontalPodAutoscaler/web" in cluster.children(namespace))
    wait_for(lambda: replicas(cluster, namespace) == 2)
    cluster.scale("Deployment", namespace, "web", count)
    wait_for(lambda: status(cluster, namespace)["ready"] == f"0/{count}")


def test_given_a_count_of_zero_by_another_client_when_the_spec_changes_then_it_stays_without_drift(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    scaled(cluster, namespace, 0)

    change_image(cluster, namespace, "2")

    assert replicas(cluster, namespace) == 0
    assert "drift" not in status(cluster, namespace)


def test_given_autoscaling_when_replicas_are_scaled_to_zero_then_it_is_off_until_replicas_are_unset(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    scaled(cluster, namespace, 5)

    cluster.scale("ShopService", namespace, "web", 0)

    wait_for(lambda: replicas(cluster, namespace) == 0)
    wait_for(lambda: "HorizontalPodAutoscaler/web" not in cluster.children(namespace))
    wait_for(lambda: status(cluster, namespace)["autoscaling"] == "off")

    cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": None}})

    wait_for(lambda: replicas(cluster, namespace) == 2)
    wait_for(lambda: "HorizontalPodAutoscaler/web" in cluster.children(namespace))


def test_given_autoscaling_when_the_shopservice_is_scaled_to_another_count_then_the_api_server_refuses_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    scaled(cluster, namespace, 5)

    answer = cluster.http.patch(
        cluster.path("ShopService", namespace, "web") + "/scale",
        json={"spec": {"replicas": 3}},
        headers={"Content-Type": "application/merge-patch+json"},
    )

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "set replicas to 0 to turn it off" in answer.json()["message"]


def test_given_a_scaled_deployment_when_it_is_deleted_then_it_is_recreated_with_its_count_and_an_event(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    scaled(cluster, namespace, 5)
    old = cluster.get("Deployment", namespace, "web")["metadata"]["uid"]

    cluster.delete("Deployment", namespace, "web")

    wait_for(lambda: cluster.get("Deployment", namespace, "web")["metadata"]["uid"] != old)
    assert replicas(cluster, namespace) == 5
    wait_for(
        lambda: (
            "Deployment web was deleted by another client and has been recreated with 5 replicas."
            in notes(cluster, namespace)
        )
    )
    wait_for(lambda: status(cluster, namespace)["drift"]["count"] == 1)
    change_image(cluster, namespace, "2")
    assert replicas(cluster, namespace) == 5


def test_given_a_worker_with_zero_replicas_then_the_web_deployment_keeps_running(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, workers=[WORKER | {"autoscaling": AUTOSCALING, "replicas": 0}]))

    wait_for(lambda: cluster.get("Deployment", namespace, "web-relay")["spec"]["replicas"] == 0)
    assert replicas(cluster, namespace) == 1
    assert "HorizontalPodAutoscaler/web-relay" not in cluster.children(namespace)
