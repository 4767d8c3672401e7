"""The operator never fights an autoscaler, and a handover in either direction keeps the live count."""

from tests.integration.cluster import Cluster
from tests.integration.operators import Operator
from tests.integration.shopservices import AUTOSCALING, shopservice
from tests.waiting import wait_for


def replicas(cluster: Cluster, namespace: str) -> int:
    number: int = cluster.get("Deployment", namespace, "web")["spec"]["replicas"]
    return number


def change_image(cluster: Cluster, namespace: str, tag: str) -> None:
    """A change of the spec, and with its effect the proof that the operator has looked."""
    cluster.patch("ShopService", namespace, "web", {"spec": {"image": f"registry.test/x:{tag}"}})
    wait_for(lambda: f"x:{tag}" in str(cluster.get("Deployment", namespace, "web")["spec"]))


def test_given_autoscaling_then_the_deployment_starts_at_the_minimum(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, autoscaling=AUTOSCALING))

    wait_for(lambda: replicas(cluster, namespace) == 2)


def test_given_autoscaling_when_the_autoscaler_scales_then_its_count_stays(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, autoscaling=AUTOSCALING))
    wait_for(lambda: replicas(cluster, namespace) == 2)

    cluster.scale("Deployment", namespace, "web", 5)
    change_image(cluster, namespace, "2")

    assert replicas(cluster, namespace) == 5


def test_given_replicas_when_autoscaling_replaces_them_then_the_count_never_dips(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, replicas=4))
    wait_for(lambda: replicas(cluster, namespace) == 4)
    since = cluster.get("Deployment", namespace, "web")["metadata"]["resourceVersion"]

    cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": None, "autoscaling": AUTOSCALING}})
    wait_for(lambda: "HorizontalPodAutoscaler/web" in cluster.children(namespace))
    change_image(cluster, namespace, "2")

    states = cluster.history("Deployment", namespace, "web", since)
    assert len(states) >= 2
    assert {state["spec"]["replicas"] for state in states} == {4}


def test_given_autoscaling_when_it_is_removed_without_replicas_then_the_live_count_stays(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, autoscaling=AUTOSCALING))
    wait_for(lambda: replicas(cluster, namespace) == 2)
    cluster.scale("Deployment", namespace, "web", 5)

    cluster.patch("ShopService", namespace, "web", {"spec": {"autoscaling": None}})
    wait_for(lambda: "HorizontalPodAutoscaler/web" not in cluster.children(namespace))
    change_image(cluster, namespace, "2")

    assert replicas(cluster, namespace) == 5


def test_given_autoscaling_that_never_scaled_when_it_is_removed_then_the_live_count_stays(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, autoscaling=AUTOSCALING))
    wait_for(lambda: replicas(cluster, namespace) == 2)

    cluster.patch("ShopService", namespace, "web", {"spec": {"autoscaling": None}})
    wait_for(lambda: "HorizontalPodAutoscaler/web" not in cluster.children(namespace))
    change_image(cluster, namespace, "2")

    assert replicas(cluster, namespace) == 2


def test_given_autoscaling_when_replicas_replace_it_then_the_deployment_has_that_count(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, autoscaling=AUTOSCALING))
    wait_for(lambda: replicas(cluster, namespace) == 2)

    cluster.patch("ShopService", namespace, "web", {"spec": {"autoscaling": None, "replicas": 3}})

    wait_for(lambda: replicas(cluster, namespace) == 3)


def test_given_replicas_when_the_deployment_is_scaled_then_the_operator_restores_the_count(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, replicas=2))
    wait_for(lambda: replicas(cluster, namespace) == 2)

    cluster.scale("Deployment", namespace, "web", 7)

    wait_for(lambda: replicas(cluster, namespace) == 2)
