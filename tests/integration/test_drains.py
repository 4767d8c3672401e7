"""Drains with the real Eviction API and the real controllers; the test acts as the kubelet."""

from typing import Any

import httpx

from tests.integration.cluster import Cluster
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.integration.test_discovery import bound, run
from tests.waiting import wait_for

SCALED = {"minReplicas": 1, "maxReplicas": 6}


def serving(cluster: Cluster, namespace: str, node: str, count: int) -> list[dict[str, Any]]:
    """So many pods, bound and ready."""
    found = bound(cluster, namespace, node, count)
    for number, pod in enumerate(found):
        run(cluster, pod, f"10.2.0.{number + 1}")
    return found


def counted(cluster: Cluster, namespace: str, healthy: int, allowed: int) -> None:
    """Wait until the disruption controller has counted so many pods, of which so many may go."""

    def seen() -> bool:
        budget = cluster.get("PodDisruptionBudget", namespace, "web")
        state = budget["status"]
        assert state["observedGeneration"] == budget["metadata"]["generation"]
        assert (state["currentHealthy"], state["disruptionsAllowed"]) == (healthy, allowed), state
        return True

    wait_for(seen, deadline=30)


def evict(cluster: Cluster, namespace: str, pod: dict[str, Any]) -> int:
    """The status code of an eviction, as `kubectl drain` asks for it."""
    name = pod["metadata"]["name"]
    answer = cluster.http.post(
        f"/api/v1/namespaces/{namespace}/pods/{name}/eviction",
        json={
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        },
    )
    return answer.status_code


def test_given_four_pods_and_an_autoscaler_then_a_drain_evicts_one_pod_at_a_time(
    cluster: Cluster, operator: Operator, namespace: str, node: str
) -> None:
    cluster.create(shopservice(namespace, autoscaling=SCALED))
    wait_for(lambda: "Deployment/web" in cluster.children(namespace))
    cluster.scale("Deployment", namespace, "web", 4)
    first, second, *_ = serving(cluster, namespace, node, 4)
    counted(cluster, namespace, healthy=4, allowed=1)

    assert evict(cluster, namespace, first) == httpx.codes.CREATED
    assert evict(cluster, namespace, second) == httpx.codes.TOO_MANY_REQUESTS


def test_given_min_available_when_an_autoscaler_scales_down_to_it_then_a_drain_is_not_blocked(
    cluster: Cluster, operator: Operator, namespace: str, node: str
) -> None:
    cluster.create(shopservice(namespace, autoscaling=SCALED, disruption={"minAvailable": 2}))
    wait_for(lambda: "Deployment/web" in cluster.children(namespace))
    cluster.scale("Deployment", namespace, "web", 3)
    serving(cluster, namespace, node, 3)
    counted(cluster, namespace, healthy=3, allowed=1)
    assert cluster.get("PodDisruptionBudget", namespace, "web")["spec"]["minAvailable"] == 2

    cluster.scale("Deployment", namespace, "web", 1)

    wait_for(lambda: cluster.get("PodDisruptionBudget", namespace, "web")["spec"].get("maxUnavailable") == 1)
    assert "minAvailable" not in cluster.get("PodDisruptionBudget", namespace, "web")["spec"]
    (last,) = serving(cluster, namespace, node, 1)
    counted(cluster, namespace, healthy=1, allowed=1)
    assert evict(cluster, namespace, last) == httpx.codes.CREATED
    cluster.scale("Deployment", namespace, "web", 3)
    wait_for(lambda: cluster.get("PodDisruptionBudget", namespace, "web")["spec"].get("minAvailable") == 2)


def test_given_one_pod_then_no_disruption_budget_exists_and_a_drain_is_not_blocked(
    cluster: Cluster, operator: Operator, namespace: str, node: str
) -> None:
    cluster.create(shopservice(namespace))
    (only,) = serving(cluster, namespace, node, 1)

    assert cluster.names("PodDisruptionBudget", namespace) == set()
    assert evict(cluster, namespace, only) == httpx.codes.CREATED


def test_given_min_available_when_the_replicas_equal_it_then_the_budget_allows_one_disruption(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    def bound() -> dict[str, Any]:
        spec = cluster.get("PodDisruptionBudget", namespace, "web")["spec"]
        return {key: spec[key] for key in ("minAvailable", "maxUnavailable") if key in spec}

    cluster.create(shopservice(namespace, replicas=3, disruption={"minAvailable": 2}))
    wait_for(lambda: cluster.find("PodDisruptionBudget", namespace, "web"))
    assert bound() == {"minAvailable": 2}

    cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": 2}})
    wait_for(lambda: bound() == {"maxUnavailable": 1})
    cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": 3}})
    wait_for(lambda: bound() == {"minAvailable": 2})
