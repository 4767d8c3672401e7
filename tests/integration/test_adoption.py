"""The operator neither adopts nor deletes objects that it did not create, whatever their annotations and labels."""

from typing import Any

import pytest

from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import WORKER, shopservice
from tests.waiting import wait_for

HASH = "shopservice.dev/applied-hash"
OUR_LABELS = {
    "app.kubernetes.io/managed-by": "shop-operator",
    "app.kubernetes.io/name": "legacy",
    "app.kubernetes.io/component": "web",
    "shopservice.dev/name": "legacy",
}
DIGEST = "0123456789abcdef" * 2


def conflict(cluster: Cluster, namespace: str, name: str) -> str:
    """Condition message of the ShopService about an object that it does not own."""
    found = cluster.get("ShopService", namespace, name)
    stalled, ready = condition(found, "Stalled"), condition(found, "Ready")
    assert (stalled["status"], stalled["reason"]) == ("True", "Conflict"), stalled
    return str(ready["message"])


def copied(namespace: str, labels: dict[str, str], digest: str) -> dict[str, Any]:
    """A Service of another author, as a manifest that was copied or restored has it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "legacy",
            "namespace": namespace,
            "labels": labels,
            "annotations": {HASH: digest},
        },
        "spec": {"selector": {"app": "legacy"}, "ports": [{"port": 80, "name": "http"}]},
    }


@pytest.mark.parametrize("write", ["create", "apply"])
@pytest.mark.parametrize("labels", [{}, OUR_LABELS], ids=["unlabelled", "with our labels"])
@pytest.mark.parametrize("digest", [DIGEST, "anything"])
def test_given_a_copied_service_then_the_operator_leaves_it_unchanged_and_it_outlives_the_shopservice(
    cluster: Cluster, operator: Operator, namespace: str, write: str, labels: dict[str, str], digest: str
) -> None:
    # Given a Service with our annotation that another client has created or applied.
    before = getattr(cluster, write)(copied(namespace, labels, digest))

    # When a ShopService wants its name, and more than once.
    cluster.create(shopservice(namespace, "legacy", replicas=0))
    message = wait_for(lambda: conflict(cluster, namespace, "legacy"))
    cluster.patch("ShopService", namespace, "legacy", {"spec": {"port": 9000}})
    wait_for(lambda: cluster.get("ShopService", namespace, "legacy")["status"]["observedGeneration"] > 1)

    # Then it is named and left alone, and everything else is made.
    assert "Service legacy already exists and was not created by the operator." in message
    assert cluster.get("Service", namespace, "legacy") == before
    wait_for(lambda: cluster.find("Deployment", namespace, "legacy"))

    # When the ShopService is deleted, then the Service stays.
    cluster.delete("ShopService", namespace, "legacy")
    wait_for(lambda: cluster.find("Deployment", namespace, "legacy") is None, deadline=30)
    assert cluster.get("Service", namespace, "legacy") == before


@pytest.mark.parametrize("metadata", [{}, {"labels": OUR_LABELS, "annotations": {HASH: DIGEST}}])
def test_given_a_foreign_serviceaccount_of_the_same_name_then_no_pod_runs_under_it_unless_the_spec_names_it(
    cluster: Cluster, operator: Operator, namespace: str, metadata: dict[str, Any]
) -> None:
    # Given a ServiceAccount that another client has created for its own purposes.
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "ci-deployer", "namespace": namespace, **metadata},
    }
    before = cluster.create(account)

    # When a ShopService of that name, with a worker, asks for the account's token.
    template = {"spec": {"automountServiceAccountToken": True}}
    cluster.create(shopservice(namespace, "ci-deployer", workers=[WORKER], podTemplate=template))
    message = wait_for(lambda: conflict(cluster, namespace, "ci-deployer"))

    # Then it says so, and there is no Deployment of any part: what comes after the account was applied, and they were not.
    assert "ServiceAccount ci-deployer already exists and was not created by the operator." in message
    wait_for(lambda: cluster.find("Service", namespace, "ci-deployer"))
    assert cluster.names("Deployment", namespace) == set()
    assert cluster.get("ServiceAccount", namespace, "ci-deployer") == before

    # When the author names the account on purpose, then the pods are made, and the account stays as it was.
    named = {"spec": {"serviceAccount": {"name": "ci-deployer"}}}
    cluster.patch("ShopService", namespace, "ci-deployer", named)
    wait_for(lambda: len(cluster.names("Deployment", namespace)) == len(("web", "relay")))
    assert cluster.get("ServiceAccount", namespace, "ci-deployer") == before

    # When the ShopService is deleted, then the account stays.
    cluster.delete("ShopService", namespace, "ci-deployer")
    wait_for(lambda: cluster.names("Deployment", namespace) == set(), deadline=30)
    assert cluster.get("ServiceAccount", namespace, "ci-deployer") == before


def test_given_a_conflicting_serviceaccount_when_it_is_deleted_then_the_pods_run_under_that_of_the_operator(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": namespace}}
    )
    cluster.create(shopservice(namespace))
    wait_for(lambda: conflict(cluster, namespace, "web"))

    cluster.delete("ServiceAccount", namespace, "web")

    # Nothing watches foreign objects: this is the time of the next look.
    wait_for(lambda: cluster.find("Deployment", namespace, "web"), deadline=60)
    owners = cluster.get("ServiceAccount", namespace, "web")["metadata"]["ownerReferences"]
    assert [each["kind"] for each in owners] == ["ShopService"]


def test_given_a_child_when_its_owner_reference_is_removed_then_the_operator_restores_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    # Given a Service that the operator has made, and whose owner reference goes.
    cluster.create(shopservice(namespace))
    made = wait_for(lambda: cluster.get("Service", namespace, "web"))
    cluster.patch("Service", namespace, "web", {"metadata": {"ownerReferences": None}})

    # Then the same object has its owner again.
    def owned() -> dict[str, Any]:
        found = cluster.get("Service", namespace, "web")
        assert found["metadata"].get("ownerReferences")
        return found

    assert wait_for(owned)["metadata"]["uid"] == made["metadata"]["uid"]
