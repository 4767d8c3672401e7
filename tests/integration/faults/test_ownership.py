"""Other clients that change, hold or delete objects of the operator."""

import threading
import time
from http import HTTPStatus

import pytest

from tests.integration.cluster import Cluster, condition
from tests.integration.faults.traffic import NAMES, Traffic
from tests.integration.faults.truth import settled
from tests.integration.operators import Operator
from tests.integration.shopservices import WORKER, shopservice
from tests.waiting import wait_for

FORCED = {"spec": {"selector": {"app": "mine"}}}


def test_given_a_client_that_keeps_forcing_an_owned_field_then_writes_are_limited_and_a_condition_names_it(
    own_cluster: Cluster, here: str, operator: Operator
) -> None:
    own_cluster.create(shopservice(here))
    settled(own_cluster, here, operator)
    ended, forced = threading.Event(), 0

    def force() -> None:
        nonlocal forced
        while not ended.wait(0.02):
            own_cluster.patch("Service", here, "web", FORCED)
            forced += 1

    def told() -> bool:
        shop = own_cluster.get("ShopService", here, "web")
        cause = condition(shop, "Ready")["message"]
        return condition(shop, "Reconciling")["reason"] == "Contested" and "other-manager" in cause

    before, began = operator.metric("shop_operator_child_writes_total"), time.monotonic()
    thread = threading.Thread(target=force)
    thread.start()
    try:
        wait_for(told)
        wait_for(lambda: forced > 300, deadline=60)
    finally:
        ended.set()
        thread.join()
    written = operator.metric("shop_operator_child_writes_total") - before

    # Ten at once, then one in two seconds.
    assert written <= 11 + (time.monotonic() - began) / 2
    drift = own_cluster.get("ShopService", here, "web")["status"]["drift"]
    assert "other-manager" in str(drift)
    settled(own_cluster, here, operator)


def test_given_a_child_whose_deletion_a_finalizer_blocks_then_a_condition_names_it_until_it_is_recreated(
    own_cluster: Cluster, here: str, operator: Operator
) -> None:
    own_cluster.create(shopservice(here, workers=[WORKER]))
    settled(own_cluster, here, operator)
    held = {"metadata": {"finalizers": ["team.example/hold"]}}
    first = own_cluster.patch("Service", here, "web", held)["metadata"]["uid"]
    own_cluster.delete("Service", here, "web")

    wait_for(
        lambda: (
            "team.example/hold" in str(own_cluster.get("ShopService", here, "web")["status"]["conditions"])
        )
    )
    # The other children are still reconciled.
    own_cluster.delete("Deployment", here, "web-relay")
    wait_for(lambda: "Deployment/web-relay" in own_cluster.children(here))
    own_cluster.patch("Service", here, "web", {"metadata": {"finalizers": None}})

    wait_for(lambda: own_cluster.get("Service", here, "web")["metadata"]["uid"] != first)
    settled(own_cluster, here, operator)


def test_given_a_surplus_child_with_a_finalizer_when_the_finalizer_is_removed_then_the_child_is_deleted(
    own_cluster: Cluster, here: str, operator: Operator
) -> None:
    own_cluster.create(shopservice(here, workers=[WORKER]))
    settled(own_cluster, here, operator)
    own_cluster.patch("Deployment", here, "web-relay", {"metadata": {"finalizers": ["team.example/hold"]}})
    own_cluster.patch("ShopService", here, "web", {"spec": {"workers": None}})
    wait_for(lambda: "deletionTimestamp" in own_cluster.get("Deployment", here, "web-relay")["metadata"])

    own_cluster.patch("Deployment", here, "web-relay", {"metadata": {"finalizers": None}})

    settled(own_cluster, here, operator)


def test_given_a_namespace_with_shopservices_when_it_is_deleted_then_the_work_queue_drains_without_errors(
    own_cluster: Cluster, operator: Operator, seed: int
) -> None:
    namespace = own_cluster.namespace(f"doomed-{seed}")
    before = operator.metric("shop_operator_shopservices")
    traffic = Traffic(own_cluster, namespace, seed)
    traffic.populate()
    wait_for(lambda: len(own_cluster.names("Service", namespace)) == len(NAMES))
    path = f"/api/v1/namespaces/{namespace}"

    own_cluster.http.delete(path).raise_for_status()

    wait_for(lambda: own_cluster.http.get(path).status_code == HTTPStatus.NOT_FOUND, deadline=60)
    wait_for(lambda: operator.metric("shop_operator_shopservices") == before)
    wait_for(lambda: operator.metric("workqueue_depth") == 0)
    assert not operator.said("pass failed")


@pytest.mark.parametrize(
    ("propagation", "orphans"),
    [
        ("Background", set()),
        ("Foreground", set()),
        # This deletion orphans the children. The next ShopService adopts those that it wants, since they were
        # applied by us (ADR 2); what is not ours by its controller is not deleted (ADR 9).
        ("Orphan", {"NetworkPolicy/web"}),
    ],
)
def test_given_a_shopservice_when_it_is_deleted_and_recreated_at_once_then_the_new_one_owns_all_children(
    own_cluster: Cluster, here: str, operator: Operator, propagation: str, orphans: set[str]
) -> None:
    path = own_cluster.path("ShopService", here, "web")
    own_cluster.create(shopservice(here, workers=[WORKER], networkPolicy={}))
    settled(own_cluster, here, operator)
    for _ in range(5):
        own_cluster.http.delete(path, params={"propagationPolicy": propagation}).raise_for_status()
        wait_for(lambda: own_cluster.post(shopservice(here, workers=[WORKER])).is_success, deadline=30)

    settled(own_cluster, here, operator)
    uid = own_cluster.get("ShopService", here, "web")["metadata"]["uid"]
    wanted = {"Deployment/web", "Deployment/web-relay", "Service/web", "ServiceAccount/web"}
    assert owned_by(own_cluster, here, [uid]) == wanted
    assert owned_by(own_cluster, here, []) == orphans

    # An orphan is adopted again as soon as it is wanted.
    own_cluster.patch("ShopService", here, "web", {"spec": {"networkPolicy": {}}})
    wait_for(lambda: owned_by(own_cluster, here, [uid]) == wanted | {"NetworkPolicy/web"})
    settled(own_cluster, here, operator)


def owned_by(cluster: Cluster, namespace: str, owners: list[str]) -> set[str]:
    """The labelled children whose owners have exactly these UIDs."""
    found = {
        (kind, name): cluster.get(kind, namespace, name)["metadata"].get("ownerReferences", [])
        for kind, _, name in (each.partition("/") for each in cluster.children(namespace))
    }
    return {f"{kind}/{name}" for (kind, name), refs in found.items() if [r["uid"] for r in refs] == owners}
