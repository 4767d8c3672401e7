"""Configuration that is changed, deleted and restored under running pods, on a real API server."""

import base64
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.cluster import Cluster
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for


def config(namespace: str, kind: str, name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        ("stringData" if kind == "Secret" else "data"): data,
    }


def b64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def template(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("Deployment", namespace, "web")["spec"]["template"]
    return found


def rollouts(cluster: Cluster, namespace: str, start: dict[str, Any]) -> int:
    """How many times the pod template changed after that state of the Deployment."""
    since = start["metadata"]["resourceVersion"]
    states = [start, *cluster.history("Deployment", namespace, "web", since)]
    seen = [each["spec"]["template"] for each in states]
    return sum(1 for before, after in pairwise(seen) if before != after)


def test_given_configuration_that_is_recreated_or_changes_in_an_unused_key_then_no_pod_is_replaced(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(config(namespace, "Secret", "db", password="one"))
    cluster.create(config(namespace, "ConfigMap", "shared", animal="cat", unrelated="one"))
    files = config(namespace, "ConfigMap", "files")
    cluster.create({**files, "data": {"app.conf": "mode=one", "other.conf": "1"}})
    mount = {"name": "files", "mountPath": "/etc/app.conf", "subPath": "app.conf"}
    source = {"configMapKeyRef": {"name": "shared", "key": "animal"}}
    cluster.create(
        shopservice(
            namespace,
            env=[{"name": "ANIMAL", "valueFrom": source}],
            envFrom=[{"secretRef": {"name": "db"}}],
            podTemplate={
                "spec": {
                    "containers": [{"name": "app", "volumeMounts": [mount]}],
                    "volumes": [{"name": "files", "configMap": {"name": "files"}}],
                }
            },
        )
    )
    wait_for(lambda: cluster.find("Deployment", namespace, "web"))
    start = cluster.get("Deployment", namespace, "web")
    before = template(cluster, namespace)
    recorded = before["metadata"]["annotations"]["shopservice.dev/config-checksum"]
    assert {"ConfigMap/files", "ConfigMap/shared", "Secret/db"} == {
        entry.partition("=")[0] for entry in recorded.split(" ")[1:]
    }

    cluster.delete("Secret", namespace, "db")
    cluster.patch("ConfigMap", namespace, "shared", {"data": {"unrelated": "two"}})
    cluster.patch("ConfigMap", namespace, "files", {"data": {"other.conf": "2"}})
    # Another replica count arrives by a pass that comes after all this.
    cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": 2}})
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["spec"]["replicas"] == 2)
    cluster.create(config(namespace, "Secret", "db", password="one"))
    cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": 3}})
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["spec"]["replicas"] == 3)
    assert template(cluster, namespace) == before

    cluster.patch("ConfigMap", namespace, "files", {"data": {"app.conf": "mode=two"}})
    wait_for(lambda: template(cluster, namespace) != before)
    assert rollouts(cluster, namespace, start) == 1


def test_given_configuration_then_its_digests_are_keyed_by_a_secret_of_the_operator(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(config(namespace, "Secret", "pin", pin="7319"))
    cluster.create(shopservice(namespace, envFrom=[{"secretRef": {"name": "pin"}}]))
    wait_for(lambda: cluster.find("Deployment", namespace, "web"))

    key = cluster.get("Secret", "shop-operator", "shop-operator-config-key")

    assert key["immutable"] is True
    assert set(key["data"]) == {"key"}


def test_given_a_projected_volume_when_its_secret_is_recreated_as_immutable_then_no_pod_is_replaced(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    secret: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": namespace},
        "data": {"password": "c2VjcmV0"},
    }
    cluster.create(secret)
    sources = [{"secret": {"name": "db", "items": [{"key": "password", "path": "db/password"}]}}]
    mount = {"name": "all", "mountPath": "/etc/db/password", "subPath": "db/password"}
    pod = {
        "volumes": [{"name": "all", "projected": {"sources": sources}}],
        "containers": [{"name": "app", "volumeMounts": [mount]}],
    }
    cluster.create(
        shopservice(
            namespace,
            env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
            podTemplate={"spec": pod},
        )
    )

    def generation() -> int:
        found: int = cluster.get("Deployment", namespace, "web")["metadata"]["generation"]
        return found

    wait_for(lambda: generation() == 1)
    cluster.delete("Secret", namespace, "db")
    cluster.create({**secret, "immutable": True})
    # The proof that the operator has looked.
    cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": 2}})
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["spec"]["replicas"] == 2)
    assert generation() == 2

    cluster.delete("Secret", namespace, "db")
    cluster.create({**secret, "data": {"password": "b3RoZXI="}})
    wait_for(lambda: generation() == 3)


Source = dict[str, Any]


def of_a_key(kind: str, *, optional: bool = False) -> Source:
    reference = {"name": "settings", "key": "mode", "optional": optional}
    field = "configMapKeyRef" if kind == "ConfigMap" else "secretKeyRef"
    return {"env": [{"name": "MODE", "valueFrom": {field: reference}}]}


def of_all(kind: str, *, optional: bool = False) -> Source:
    field = "configMapRef" if kind == "ConfigMap" else "secretRef"
    return {"envFrom": [{"prefix": "APP_", field: {"name": "settings", "optional": optional}}]}


def of_a_volume(kind: str, *, optional: bool = False, item: bool = False) -> Source:
    source: dict[str, Any] = {"optional": optional} | (
        {"items": [{"key": "mode", "path": "mode"}]} if item else {}
    )
    volume = (
        {"configMap": {"name": "settings", **source}}
        if kind == "ConfigMap"
        else {"secret": {"secretName": "settings", **source}}
    )
    mount = {"name": "settings", "mountPath": "/etc/settings"}
    pod = {
        "volumes": [{"name": "settings", **volume}],
        "containers": [{"name": "app", "volumeMounts": [mount]}],
    }
    return {"podTemplate": {"spec": pod}}


def observe(cluster: Cluster, namespace: str, replicas: int) -> None:
    """Another replica count arrives by a pass that comes after all that was done before."""
    cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": replicas}})
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["spec"]["replicas"] == replicas)


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # No pod could start without it, and the spec is about to name the new one.
        (of_a_key, 0),
        (lambda kind: of_a_volume(kind, item=True), 0),
        # Pods start without it, or with the other one.
        (lambda kind: of_a_key(kind, optional=True), 1),
        (lambda kind: of_a_volume(kind, item=True, optional=True), 1),
        (of_all, 1),
        (lambda kind: of_all(kind, optional=True), 1),
        (of_a_volume, 1),
        (lambda kind: of_a_volume(kind, optional=True), 1),
    ],
    ids=[
        *("key", "item", "optional key", "optional item"),
        *("all with a prefix", "optional all", "volume", "optional volume"),
    ],
)
def test_given_a_referenced_object_when_a_key_is_renamed_then_pods_are_replaced_once_if_they_can_start(
    cluster: Cluster,
    operator: Operator,
    namespace: str,
    kind: str,
    source: Callable[[str], Source],
    expected: int,
) -> None:
    cluster.create(config(namespace, kind, "settings", mode="one"))
    cluster.create(shopservice(namespace, **source(kind)))
    wait_for(lambda: cluster.find("Deployment", namespace, "web"))
    start = cluster.get("Deployment", namespace, "web")

    renamed = {"mode": None, "kind": b64("one") if kind == "Secret" else "one"}
    cluster.patch(kind, namespace, "settings", {"data": renamed})
    wait_for(lambda: rollouts(cluster, namespace, start) == expected)
    observe(cluster, namespace, 2)

    assert rollouts(cluster, namespace, start) == expected


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
@pytest.mark.parametrize(
    "source",
    [of_a_key, of_all, of_a_volume, lambda kind: of_all(kind, optional=True)],
    ids=["key", "all with a prefix", "volume", "optional all"],
)
def test_given_an_immutable_object_when_it_is_recreated_then_only_changed_content_replaces_pods(
    cluster: Cluster, operator: Operator, namespace: str, kind: str, source: Callable[[str], Source]
) -> None:
    cluster.create({**config(namespace, kind, "settings", mode="one"), "immutable": True})
    cluster.create(shopservice(namespace, **source(kind)))
    wait_for(lambda: cluster.find("Deployment", namespace, "web"))
    start = cluster.get("Deployment", namespace, "web")

    cluster.delete(kind, namespace, "settings")
    observe(cluster, namespace, 2)
    cluster.create({**config(namespace, kind, "settings", mode="one"), "immutable": True})
    observe(cluster, namespace, 3)
    assert rollouts(cluster, namespace, start) == 0

    cluster.delete(kind, namespace, "settings")
    cluster.create({**config(namespace, kind, "settings", mode="two"), "immutable": True})
    wait_for(lambda: rollouts(cluster, namespace, start) == 1)
    observe(cluster, namespace, 4)
    assert rollouts(cluster, namespace, start) == 1


def test_given_an_envfrom_source_when_its_prefix_changes_then_pods_are_replaced_once(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(config(namespace, "ConfigMap", "settings", mode="one"))
    cluster.create(shopservice(namespace, **of_all("ConfigMap")))
    wait_for(lambda: cluster.find("Deployment", namespace, "web"))
    start = cluster.get("Deployment", namespace, "web")

    other = [{"prefix": "OTHER_", "configMapRef": {"name": "settings"}}]
    cluster.patch("ShopService", namespace, "web", {"spec": {"envFrom": other}})
    wait_for(lambda: "OTHER_" in str(template(cluster, namespace)))
    observe(cluster, namespace, 2)
    assert rollouts(cluster, namespace, start) == 1

    cluster.patch("ConfigMap", namespace, "settings", {"data": {"mode": "two"}})
    wait_for(lambda: rollouts(cluster, namespace, start) == 2)


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
@pytest.mark.parametrize(
    "source", [of_all, lambda kind: of_a_key(kind, optional=True)], ids=["all with a prefix", "optional key"]
)
def test_given_a_configuration_object_when_it_is_emptied_and_refilled_then_only_changed_content_replaces_pods(
    cluster: Cluster, operator: Operator, namespace: str, kind: str, source: Callable[[str], Source]
) -> None:
    cluster.create(config(namespace, kind, "settings", mode="one"))
    cluster.create(shopservice(namespace, **source(kind)))
    wait_for(lambda: cluster.find("Deployment", namespace, "web"))
    start = cluster.get("Deployment", namespace, "web")

    def put(mode: str | None) -> None:
        value = b64(mode) if mode and kind == "Secret" else mode
        cluster.patch(kind, namespace, "settings", {"data": {"mode": value}})

    put(None)
    observe(cluster, namespace, 2)
    put("one")
    observe(cluster, namespace, 3)
    assert rollouts(cluster, namespace, start) == 0

    put(None)
    put("two")
    wait_for(lambda: rollouts(cluster, namespace, start) == 1)
    observe(cluster, namespace, 4)
    assert rollouts(cluster, namespace, start) == 1
