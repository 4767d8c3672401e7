"""With KEDA installed, one kind of autoscaler replaces the other, and its count survives a new Deployment.

Every test starts its own operators, and no other operator runs meanwhile.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster import Cluster
from tests.integration.operators import running
from tests.integration.shopservices import AUTOSCALING, WORKER, shopservice
from tests.integration.test_replicas import change_image, replicas
from tests.waiting import wait_for

QUEUED: dict[str, Any] = {
    "minReplicas": 1,
    "maxReplicas": 6,
    "queue": {"url": "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"},
}
PEAKS: dict[str, Any] = {
    "minReplicas": 2,
    "maxReplicas": 6,
    "schedule": [{"start": "0 8 * * *", "end": "0 9 * * *", "replicas": 5}],
}
MEASURED: dict[str, Any] = {
    "minReplicas": 2,
    "maxReplicas": 6,
    "metrics": [
        {"type": "Pods", "name": "requests_in_flight", "averageValue": 20},
        {
            "type": "Object",
            "name": "requests_per_second",
            "object": {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"},
            "value": "2k",
        },
        {"type": "External", "name": "visitors", "selector": {"shop": "1"}, "averageValue": "1500m"},
    ],
}


@pytest.mark.usefixtures("optional_kinds")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("HorizontalPodAutoscaler", AUTOSCALING), ("ScaledObject", QUEUED)),
        (("ScaledObject", QUEUED), ("HorizontalPodAutoscaler", AUTOSCALING)),
        (("HorizontalPodAutoscaler", MEASURED), ("ScaledObject", PEAKS)),
    ],
)
def test_given_an_autoscaler_when_another_kind_replaces_it_then_it_is_deleted_first_and_the_count_stays(
    cluster: Cluster,
    operator_kubeconfig: Path,
    namespace: str,
    tmp_path: Path,
    before: tuple[str, dict[str, Any]],
    after: tuple[str, dict[str, Any]],
) -> None:
    (old, scaled), (new, rescaled) = before, after
    with running(operator_kubeconfig, tmp_path / "operator.log", "--no-leader-elect"):
        cluster.create(shopservice(namespace, autoscaling=scaled))
        wait_for(lambda: f"{old}/web" in cluster.children(namespace))
        wait_for(lambda: replicas(cluster, namespace) == scaled["minReplicas"])
        cluster.scale("Deployment", namespace, "web", 5)
        since = {
            kind: cluster.get(kind, namespace, "web")["metadata"]["resourceVersion"]
            for kind in ("Deployment", old)
        }

        cluster.patch("ShopService", namespace, "web", {"spec": {"autoscaling": None}})
        cluster.apply(shopservice(namespace, autoscaling=rescaled))
        wait_for(lambda: f"{new}/web" in cluster.children(namespace))
        change_image(cluster, namespace, "2")

    states = cluster.history("Deployment", namespace, "web", since["Deployment"])
    assert {state["spec"]["replicas"] for state in states} == {5}
    gone = cluster.history(old, namespace, "web", since[old])[-1]["metadata"]["resourceVersion"]
    made = cluster.get(new, namespace, "web")["metadata"]["managedFields"]
    assert f"{old}/web" not in cluster.children(namespace)
    assert made
    first = cluster.history(new, namespace, "web", gone)
    assert first[0]["metadata"]["uid"] == cluster.get(new, namespace, "web")["metadata"]["uid"]


@pytest.mark.usefixtures("optional_kinds")
@pytest.mark.parametrize(
    ("kind", "autoscaling"), [("HorizontalPodAutoscaler", MEASURED), ("ScaledObject", QUEUED | PEAKS)]
)
def test_given_any_scaling_field_when_its_autoscaler_is_edited_then_it_is_repaired_and_then_left_alone(
    cluster: Cluster,
    operator_kubeconfig: Path,
    namespace: str,
    tmp_path: Path,
    kind: str,
    autoscaling: dict[str, Any],
) -> None:
    def spec() -> dict[str, Any]:
        found: dict[str, Any] = cluster.get(kind, namespace, "web")["spec"]
        return found

    def repairs() -> list[str]:
        """The kind of the last repair, once for each of all repairs."""
        drift = cluster.get("ShopService", namespace, "web")["status"].get("drift", {})
        return [drift["last"]["object"].partition(" ")[0]] * drift["count"] if drift else []

    with running(operator_kubeconfig, tmp_path / "operator.log", "--no-leader-elect"):
        cluster.create(shopservice(namespace, autoscaling=autoscaling))
        wait_for(lambda: f"{kind}/web" in cluster.children(namespace))
        applied = spec()
        highest = "maxReplicas" if kind == "HorizontalPodAutoscaler" else "maxReplicaCount"
        cluster.patch(kind, namespace, "web", {"spec": {highest: 99}})
        wait_for(lambda: spec() == applied)
        wait_for(lambda: repairs() == [kind])

        # The second edit is the second repair: quantities and defaults are stored as they were sent.
        cluster.patch(kind, namespace, "web", {"spec": {highest: 98}})
        wait_for(lambda: repairs() == [kind, kind])
        assert spec() == applied


@pytest.mark.usefixtures("optional_kinds")
def test_given_a_scaledobject_whose_deployment_was_deleted_during_downtime_then_it_starts_with_kedas_count(
    cluster: Cluster, operator_kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    def relay() -> int:
        count: int = cluster.get("Deployment", namespace, "web-relay")["spec"]["replicas"]
        return count

    with running(operator_kubeconfig, tmp_path / "operator.log", "--no-leader-elect"):
        cluster.create(shopservice(namespace, workers=[WORKER | {"autoscaling": QUEUED}]))
        wait_for(lambda: "ScaledObject/web-relay" in cluster.children(namespace))
        wait_for(lambda: relay() == 1)
    # Before the autoscaler is there: its controller would take the count of a Deployment that it finds.
    cluster.delete("Deployment", namespace, "web-relay")
    wait_for(lambda: cluster.find("Deployment", namespace, "web-relay") is None)
    # KEDA's part, and of the autoscaler that it makes.
    scaled = cluster.get("ScaledObject", namespace, "web-relay")
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": "keda-hpa-web-relay",
            "namespace": namespace,
            "labels": scaled["metadata"]["labels"],
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web-relay"},
            "maxReplicas": 6,
        },
    }
    cluster.create(autoscaler)
    cluster.http.patch(
        cluster.path("HorizontalPodAutoscaler", namespace, "keda-hpa-web-relay") + "/status",
        json={"status": {"desiredReplicas": 4, "currentReplicas": 4, "conditions": []}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()

    with running(operator_kubeconfig, tmp_path / "again.log", "--no-leader-elect"):
        wait_for(lambda: relay() == 4)


@pytest.mark.usefixtures("optional_kinds")
def test_given_a_scaledobject_that_keda_has_not_accepted_then_it_is_not_ready_unless_paused(
    cluster: Cluster, operator_kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    def told() -> tuple[bool, str]:
        status = cluster.get("ShopService", namespace, "web").get("status", {})
        (child,) = (each for each in status["children"] if each["kind"] == "ScaledObject")
        return child["ready"], child["message"]

    def write(subresource: str, patch: dict[str, Any]) -> None:
        cluster.http.patch(
            cluster.path("ScaledObject", namespace, "web") + subresource,
            json=patch,
            headers={"Content-Type": "application/merge-patch+json"},
        ).raise_for_status()

    paused = "autoscaling.keda.sh/paused"
    with running(operator_kubeconfig, tmp_path / "operator.log", "--no-leader-elect"):
        cluster.create(shopservice(namespace, autoscaling=QUEUED))
        wait_for(lambda: told() == (False, "is not scaling yet: not accepted by KEDA"), 30)

        write("", {"metadata": {"annotations": {paused: "true"}}})
        wait_for(lambda: told() == (True, ""))
        write("", {"metadata": {"annotations": {paused: None}}})
        wait_for(lambda: told()[0] is False)

        accepted = {"type": "Ready", "status": "True", "reason": "ScaledObjectReady"}
        write("/status", {"status": {"conditions": [accepted]}})
        wait_for(lambda: told() == (True, ""))
