"""A failed release is rolled back as a whole and can be retried, on a real API server with its Deployment controller."""

from typing import Any

from tests.integration.cluster import Cluster
from tests.integration.kubelet import roll_out
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for

# The shortest deadline there is, and the operator's doubt.
DEADLINE = 60.0


def template(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("Deployment", namespace, "web")["spec"]["template"]
    return found


def status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("ShopService", namespace, "web")["status"]
    return found


def ready(cluster: Cluster, namespace: str) -> dict[str, Any]:
    (found,) = (each for each in status(cluster, namespace)["conditions"] if each["type"] == "Ready")
    condition: dict[str, Any] = found
    return condition


def test_given_a_failing_release_when_its_deadline_expires_then_the_template_is_rolled_back_until_a_retry(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": namespace},
        "stringData": {"password": "one"},
    }
    cluster.create(secret)
    rollout = {"autoRollback": True, "progressDeadlineSeconds": 10}
    env, env_from = [{"name": "VERSION", "value": "one"}], [{"secretRef": {"name": "db"}}]
    cluster.create(shopservice(namespace, rollout=rollout, env=env, envFrom=env_from))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    wait_for(lambda: "lastAvailable" in status(cluster, namespace)["rollout"])
    good = template(cluster, namespace)

    change = {
        "image": "registry.test/shop-product:2",
        "port": 9090,
        "env": [{"name": "VERSION", "value": "two"}],
        "probes": {"readiness": {"httpGet": {"path": "/only-in-version-two"}}},
    }
    cluster.patch("ShopService", namespace, "web", {"spec": change})
    wait_for(lambda: template(cluster, namespace) != good)
    wait_for(lambda: status(cluster, namespace)["rollout"].get("rejectedRelease"), DEADLINE)
    wait_for(lambda: template(cluster, namespace) == good)
    roll_out(cluster, namespace, "web")
    wait_for(lambda: "which is available" in ready(cluster, namespace)["message"])
    assert ready(cluster, namespace)["reason"] == "RolledBack"
    ports = cluster.get("Service", namespace, "web")["spec"]["ports"]
    assert {each["port"] for each in ports} == {9090, 8080}

    # A Secret that is away for a moment makes no other release of it. The count arrives by a pass that comes after it.
    for replicas, change_secret in (
        (2, lambda: cluster.delete("Secret", namespace, "db")),
        (3, lambda: cluster.create(secret)),
    ):
        change_secret()
        cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": replicas}})
        wait_for(lambda: cluster.get("Deployment", namespace, "web")["spec"]["replicas"] == replicas)  # noqa: B023
        assert template(cluster, namespace) == good
        assert status(cluster, namespace)["rollout"]["rejectedRelease"]

    annotations = {"shopservice.dev/retry": "1"}
    cluster.patch("ShopService", namespace, "web", {"metadata": {"annotations": annotations}})
    wait_for(lambda: template(cluster, namespace) != good)
    roll_out(cluster, namespace, "web")
    wait_for(lambda: ready(cluster, namespace)["status"] == "True")
    assert status(cluster, namespace)["rollout"]["lastAvailableImage"] == "registry.test/shop-product:2"
    assert "rejectedRelease" not in status(cluster, namespace)["rollout"]


def test_given_fields_removed_by_null_when_a_release_is_rolled_back_then_they_stay_removed(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    app = {"name": "app", "livenessProbe": None, "startupProbe": None}
    nulls = {"topologySpreadConstraints": None, "containers": [app]}
    rollout = {"autoRollback": True, "progressDeadlineSeconds": 10}
    cluster.create(shopservice(namespace, rollout=rollout, podTemplate={"spec": nulls}))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    wait_for(lambda: "lastAvailable" in status(cluster, namespace)["rollout"])
    good = template(cluster, namespace)
    assert "topologySpreadConstraints" not in good["spec"]
    assert "livenessProbe" not in good["spec"]["containers"][0]

    cluster.patch("ShopService", namespace, "web", {"spec": {"image": "registry.test/shop-product:2"}})
    wait_for(lambda: template(cluster, namespace) != good)
    wait_for(lambda: status(cluster, namespace)["rollout"].get("rejectedRelease"), DEADLINE)

    wait_for(lambda: "product:1" in template(cluster, namespace)["spec"]["containers"][0]["image"])
    assert template(cluster, namespace) == good
