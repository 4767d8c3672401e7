"""Changes during a held, running or failing release are reported, applied in the end, and have no side effects."""

from typing import Any

import pytest

from tests.integration.cluster import Cluster, condition
from tests.integration.kubelet import roll_out
from tests.integration.operators import Operator
from tests.integration.shopservices import AUTOSCALING, shopservice
from tests.integration.test_cli import Shop, reconciled
from tests.waiting import wait_for

ONE, TWO = "registry.test/shop-product:1", "registry.test/shop-product:2"


@pytest.fixture
def shop(cluster: Cluster) -> Shop:
    return Shop(cluster.kubeconfig)


def image(cluster: Cluster, namespace: str) -> str:
    found: str = cluster.get("Deployment", namespace, "web")["spec"]["template"]["spec"]["containers"][0][
        "image"
    ]
    return found


def count(cluster: Cluster, namespace: str) -> int:
    found: int = cluster.get("Deployment", namespace, "web")["spec"]["replicas"]
    return found


def ready(cluster: Cluster, namespace: str) -> dict[str, Any]:
    return condition(reconciled(cluster, namespace), "Ready")


def released(cluster: Cluster, namespace: str, **spec: Any) -> None:
    """Two images have been rolled out, one after the other."""
    cluster.create(shopservice(namespace, **spec))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    release(cluster, namespace, TWO)
    roll_out(cluster, namespace, "web")
    wait_for(lambda: ready(cluster, namespace)["status"] == "True")


def release(cluster: Cluster, namespace: str, wanted: str) -> None:
    """The operator has applied an image."""
    cluster.patch("ShopService", namespace, "web", {"spec": {"image": wanted}})
    wait_for(lambda: image(cluster, namespace) == wanted)


def templates(cluster: Cluster, namespace: str, since: str) -> int:
    """How many pod templates a Deployment has had since a resourceVersion."""
    seen = [str(each["spec"]["template"]) for each in cluster.history("Deployment", namespace, "web", since)]
    return len(set(seen))


def version(cluster: Cluster, namespace: str) -> str:
    found: str = cluster.get("Deployment", namespace, "web")["metadata"]["resourceVersion"]
    return found


def test_given_a_suspended_shopservice_when_it_is_rolled_back_then_the_pods_follow_after_it_is_resumed(
    cluster: Cluster, operator: Operator, namespace: str, shop: Shop
) -> None:
    released(cluster, namespace)
    shop.says("suspend", "web", "-n", namespace)
    wait_for(lambda: ready(cluster, namespace)["reason"] == "Suspended")

    said = shop.says("rollback", "web", "-n", namespace)
    assert f"kubectl shop resume web -n {namespace}" in said
    wait_for(lambda: ready(cluster, namespace)["reason"] == "Suspended")
    assert image(cluster, namespace) == TWO

    shop.says("resume", "web", "-n", namespace)
    wait_for(lambda: image(cluster, namespace) == ONE)


def test_given_a_paused_deployment_when_it_is_rolled_back_then_the_pods_follow_after_it_is_resumed(
    cluster: Cluster, operator: Operator, namespace: str, shop: Shop
) -> None:
    released(cluster, namespace)
    cluster.patch("Deployment", namespace, "web", {"spec": {"paused": True}})

    said = shop.says("rollback", "web", "-n", namespace)
    assert f"kubectl rollout resume deployment/web -n {namespace}" in said
    wait_for(lambda: image(cluster, namespace) == ONE)
    wait_for(lambda: ready(cluster, namespace)["reason"] == "RolloutPaused")
    assert cluster.get("Deployment", namespace, "web")["spec"]["paused"] is True

    cluster.patch("Deployment", namespace, "web", {"spec": {"paused": None}})
    roll_out(cluster, namespace, "web")
    wait_for(lambda: ready(cluster, namespace)["status"] == "True")
    assert cluster.get("ShopService", namespace, "web")["status"]["image"] == ONE


def test_given_a_release_on_a_paused_deployment_when_it_is_rolled_back_then_no_pod_is_replaced(
    cluster: Cluster, operator: Operator, namespace: str, shop: Shop
) -> None:
    cluster.create(shopservice(namespace))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    pods = f"/api/v1/namespaces/{namespace}/pods"
    before = {each["metadata"]["uid"] for each in cluster.http.get(pods).json()["items"]}
    cluster.patch("Deployment", namespace, "web", {"spec": {"paused": True}})
    release(cluster, namespace, TWO)
    wait_for(lambda: ready(cluster, namespace)["reason"] == "RolloutPaused")

    shop.says("rollback", "web", "-n", namespace)
    wait_for(lambda: image(cluster, namespace) == ONE)
    wait_for(lambda: ready(cluster, namespace)["status"] == "True")
    cluster.patch("Deployment", namespace, "web", {"spec": {"paused": None}})
    roll_out(cluster, namespace, "web")

    assert {each["metadata"]["uid"] for each in cluster.http.get(pods).json()["items"]} == before


def test_given_a_rollout_when_the_shopservice_is_scaled_then_the_rollout_continues_with_the_new_count(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, replicas=2))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    release(cluster, namespace, TWO)
    since = version(cluster, namespace)

    cluster.scale("ShopService", namespace, "web", 4)
    wait_for(lambda: count(cluster, namespace) == 4)
    wait_for(lambda: reconciled(cluster, namespace)["status"]["ready"].endswith("/4"))
    assert ready(cluster, namespace)["reason"] == "RollingOut"

    roll_out(cluster, namespace, "web")
    wait_for(lambda: ready(cluster, namespace)["status"] == "True")
    assert templates(cluster, namespace, since) == 1
    assert cluster.get("ShopService", namespace, "web")["status"]["ready"] == "4/4"


@pytest.mark.parametrize(
    ("spec", "kept"),
    [({"replicas": 2}, 2), ({}, 5), ({"autoscaling": AUTOSCALING}, 5)],
    ids=["a count in the spec", "no count", "an autoscaler"],
)
def test_given_a_rollout_when_the_deployment_is_scaled_then_the_owner_of_the_count_decides(
    cluster: Cluster, operator: Operator, namespace: str, spec: dict[str, Any], kept: int
) -> None:
    cluster.create(shopservice(namespace, **spec))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    release(cluster, namespace, TWO)
    since = version(cluster, namespace)

    cluster.scale("Deployment", namespace, "web", 5)
    wait_for(lambda: count(cluster, namespace) == kept)
    # The proof that the operator has looked.
    cluster.patch("ShopService", namespace, "web", {"spec": {"disruption": {"maxUnavailable": 1}}})
    wait_for(lambda: reconciled(cluster, namespace))
    assert count(cluster, namespace) == kept

    roll_out(cluster, namespace, "web")
    wait_for(lambda: condition(reconciled(cluster, namespace), "Progressing")["status"] == "False")
    assert templates(cluster, namespace, since) == 1
    assert count(cluster, namespace) == kept


def test_given_a_failing_release_when_the_shopservice_is_scaled_then_the_rollback_keeps_the_count(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, rollout={"autoRollback": True, "progressDeadlineSeconds": 10}))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    wait_for(lambda: "lastAvailable" in reconciled(cluster, namespace)["status"].get("rollout", {}))
    release(cluster, namespace, TWO)

    cluster.scale("ShopService", namespace, "web", 3)
    wait_for(lambda: count(cluster, namespace) == 3)
    wait_for(lambda: image(cluster, namespace) == ONE, 90)
    assert count(cluster, namespace) == 3
    roll_out(cluster, namespace, "web")
    wait_for(lambda: "which is available" in ready(cluster, namespace)["message"])
