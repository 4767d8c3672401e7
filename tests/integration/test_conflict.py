"""A foreign object with the name of a child is never changed, and does not affect the other children."""

from typing import Any

import pytest

from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import WORKER, shopservice
from tests.waiting import wait_for


def foreign_service(namespace: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace, **metadata},
        "spec": {"selector": {"mine": "yes"}, "ports": [{"port": 9999}]},
    }


def stalled(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The condition Ready, which names the cause, once the ShopService is stalled."""
    found = cluster.get("ShopService", namespace, "web")
    assert condition(found, "Stalled")["status"] == "True", found
    return condition(found, "Ready")


def cause(cluster: Cluster, namespace: str) -> str:
    """The cause, which the condition Ready tells and the others refer to."""
    message: str = condition(cluster.get("ShopService", namespace, "web"), "Ready")["message"]
    return message


@pytest.mark.parametrize(
    "metadata",
    [{}, {"labels": {"shopservice.dev/name": "web", "app.kubernetes.io/managed-by": "shop-operator"}}],
    ids=["unlabelled", "with our labels"],
)
def test_given_a_conflicting_object_then_a_condition_names_it_and_the_other_children_are_created(
    cluster: Cluster, operator: Operator, namespace: str, metadata: dict[str, Any]
) -> None:
    before = cluster.create(foreign_service(namespace, **metadata))

    cluster.create(shopservice(namespace, workers=[WORKER]))

    found = wait_for(lambda: stalled(cluster, namespace))
    assert found["reason"] == "Conflict"
    assert "Service web" in cause(cluster, namespace)
    assert "Delete or rename" in found["message"]
    wait_for(
        lambda: (
            cluster.children(namespace) >= {"Deployment/web", "Deployment/web-relay", "ServiceAccount/web"}
        )
    )
    assert cluster.get("Service", namespace, "web") == before


def test_given_an_object_of_another_controller_then_that_controller_is_named(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    owner = cluster.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "boss", "namespace": namespace}}
    )
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "boss",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    cluster.create(foreign_service(namespace, ownerReferences=[reference]))

    cluster.create(shopservice(namespace))

    wait_for(lambda: stalled(cluster, namespace))
    assert "belongs to ConfigMap boss" in cause(cluster, namespace)


def test_given_a_conflict_when_the_shopservice_is_deleted_then_the_foreign_object_stays(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    before = cluster.create(foreign_service(namespace))
    cluster.create(shopservice(namespace))
    wait_for(lambda: stalled(cluster, namespace))

    cluster.delete("ShopService", namespace, "web")

    wait_for(lambda: "Deployment/web" not in cluster.children(namespace), deadline=30)
    assert cluster.get("Service", namespace, "web") == before


def test_given_a_conflict_when_the_foreign_object_is_deleted_then_the_operator_creates_the_child(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(foreign_service(namespace))
    cluster.create(shopservice(namespace))
    wait_for(lambda: stalled(cluster, namespace))

    cluster.delete("Service", namespace, "web")

    # Nothing watches foreign objects: this is the time of the next look.
    wait_for(lambda: "Service/web" in cluster.children(namespace), deadline=60)
    wait_for(lambda: condition(cluster.get("ShopService", namespace, "web"), "Stalled")["status"] == "False")
