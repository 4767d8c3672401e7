"""No object that the API server stores stops the operator or hides another ShopService from it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shop_operator.api.v1alpha1.crd import crd
from shopdev.cluster import tools
from tests.integration.cluster import Cluster
from tests.integration.operators import Operator, leader, run, started
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for

DEPTHS = (251, 300, 1_100, 9_000)
# Nested, but no deeper than the API server itself reads (10,000 levels).
FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture(scope="module")
def wild(lone: Cluster, lone_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster whose CRD lets podTemplate and the status hold anything."""
    loose = crd()
    schema = loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["podTemplate"] = FREE
    schema["properties"]["status"] = FREE
    path = tmp_path_factory.mktemp("wild") / "crd.yaml"
    path.write_text(yaml.safe_dump(loose))
    kubectl = tools.ensure("kubernetes") / "kubectl"
    replace = ("apply", "--server-side", "--force-conflicts", "-f", path)
    run([kubectl, "--kubeconfig", lone.kubeconfig, *replace])
    return lone


def deep(namespace: str, name: str, levels: int) -> str:
    """A ShopService as JSON, with a podTemplate of so many levels."""
    text = json.dumps(shopservice(namespace, name, replicas=0, podTemplate="HERE"))
    return text.replace('"HERE"', '{"spec":' + '{"a":' * levels + "1" + "}" * levels + "}")


def write(cluster: Cluster, namespace: str, text: str) -> None:
    answer = cluster.http.post(
        cluster.path("ShopService", namespace), content=text, headers={"Content-Type": "application/json"}
    )
    answer.raise_for_status()


def table(cluster: Cluster, namespace: str, name: str) -> dict[str, Any]:
    """The conditions of a ShopService whose spec Python's parser need not read."""
    columns = "{range .status.conditions[*]}{.type}={.status} {.reason}{'\\n'}{end}"
    kubectl = tools.ensure("kubernetes") / "kubectl"
    command = [
        str(kubectl),
        "--kubeconfig",
        str(cluster.kubeconfig),
        "-n",
        namespace,
        "get",
        "shopservice",
        name,
    ]
    said = run([*command, "-o", f"jsonpath={columns}".replace("'", '"')])
    return dict(line.split("=", 1) for line in said.splitlines())


def replicas(cluster: Cluster, namespace: str, name: str) -> int:
    return int(cluster.get("Deployment", namespace, name)["spec"]["replicas"])


def obeys(cluster: Cluster, namespace: str, wanted: int) -> None:
    """A ShopService of that namespace is still reconciled."""
    cluster.patch("ShopService", namespace, "good", {"spec": {"replicas": wanted}})
    wait_for(lambda: replicas(cluster, namespace, "good") == wanted)


def healthy(operator: Operator) -> bool:
    return operator.ask("/healthz").status_code == 200 and operator.ready()


@pytest.fixture
def tenants(wild: Cluster) -> Iterator[tuple[str, str]]:
    """The namespaces of a tenant and of an attacker, both empty again in the end."""
    names = ("good-team", "bad-team")
    for each in names:
        if wild.http.get(f"/api/v1/namespaces/{each}").status_code != 200:
            wild.namespace(each)
    yield names
    # No garbage collector runs here, and what it would leave belongs to ShopServices that are gone.
    ours = {"labelSelector": "shopservice.dev/name"}
    for each in names:
        wild.http.delete(wild.path("ShopService", each)).raise_for_status()
        for kind in ("Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"):
            wild.http.delete(wild.path(kind, each), params=ours).raise_for_status()
    wait_for(lambda: not any(wild.children(each) for each in names))


def test_given_deeply_nested_shopservices_then_each_is_reported_and_the_others_are_reconciled(
    wild: Cluster, lone_kubeconfig: Path, tenants: tuple[str, str], tmp_path: Path
) -> None:
    good, bad = tenants
    wild.create(shopservice(good, "good", replicas=1))
    with leader(lone_kubeconfig, tmp_path / "running.log") as operator:
        wait_for(lambda: replicas(wild, good, "good") == 1)
        for levels in DEPTHS:
            write(wild, bad, deep(bad, f"deep-{levels}", levels))
        wait_for(lambda: {table(wild, bad, f"deep-{n}")["Ready"] for n in DEPTHS} == {"False InvalidSpec"})
        obeys(wild, good, 2)
        assert healthy(operator)
        unreadable = len([each for each in DEPTHS if each > 254])
        wait_for(
            lambda: operator.metric("shop_operator_unreadable_objects", kind="ShopService") >= unreadable
        )

    with started(lone_kubeconfig, tmp_path / "started.log") as operator:
        wait_for(operator.ready)
        obeys(wild, good, 3)
        wild.http.delete(wild.path("ShopService", bad)).raise_for_status()
        wait_for(lambda: operator.metric("shop_operator_unreadable_objects", kind="ShopService") == 0)
        assert healthy(operator)
        told = [line["object"] for line in operator.said("object cannot be read")]
        assert len(told) == len(set(told))


def test_given_a_deeply_nested_shopservice_when_it_is_corrected_then_it_is_reconciled(
    wild: Cluster, lone_kubeconfig: Path, tenants: tuple[str, str], tmp_path: Path
) -> None:
    _, bad = tenants
    with leader(lone_kubeconfig, tmp_path / "operator.log"):
        write(wild, bad, deep(bad, "web", 1_100))
        wait_for(lambda: table(wild, bad, "web")["Stalled"] == "True InvalidSpec")

        wild.patch("ShopService", bad, "web", {"spec": {"podTemplate": None, "replicas": 1}})

        wait_for(lambda: replicas(wild, bad, "web") == 1)
        wait_for(lambda: table(wild, bad, "web")["Stalled"].startswith("False"))


@pytest.mark.parametrize("kind", ["Service", "Deployment", "ServiceAccount", "NetworkPolicy"])
def test_given_managed_fields_without_a_manager_name_then_reconciliation_continues(
    wild: Cluster, lone_kubeconfig: Path, tenants: tuple[str, str], tmp_path: Path, kind: str
) -> None:
    good, bad = tenants
    wild.create(shopservice(good, "good", replicas=1))
    wild.create(shopservice(bad, "good", replicas=1, networkPolicy={"enabled": True}))
    with leader(lone_kubeconfig, tmp_path / "running.log") as operator:
        wait_for(lambda: wild.find(kind, bad, "good"))
        nameless(wild, kind, bad, "good")
        obeys(wild, good, 2)
        obeys(wild, bad, 2)
        assert healthy(operator)

    nameless(wild, kind, bad, "good")
    with started(lone_kubeconfig, tmp_path / "started.log") as operator:
        wait_for(operator.ready)
        obeys(wild, good, 3)
        obeys(wild, bad, 3)
        assert healthy(operator)


def nameless(cluster: Cluster, kind: str, namespace: str, name: str) -> None:
    """Replace an object with managedFields that name no manager, as the role `edit` allows."""

    def put() -> bool:
        obj = cluster.get(kind, namespace, name)
        fields: dict[str, Any] = {"f:metadata": {"f:annotations": {"f:q": {}}}}
        for _ in range(900):
            fields = {"f:a": fields}
        entry = {
            "operation": "Update",
            "apiVersion": obj["apiVersion"],
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        obj["metadata"]["managedFields"] = [entry]
        answer = cluster.http.put(cluster.path(kind, namespace, name), json=obj)
        return answer.status_code == 200

    wait_for(put)
    stored = cluster.get(kind, namespace, name)["metadata"]["managedFields"]
    assert any("manager" not in entry for entry in stored)


GARBLED = ("Service", "Deployment", "ServiceAccount", "NetworkPolicy", "ConfigMap", "Secret")


def test_given_managed_fields_that_are_not_utf_8_then_reconciliation_continues(
    wild: Cluster, lone_kubeconfig: Path, tenants: tuple[str, str], tmp_path: Path
) -> None:
    good, bad = tenants
    for kind in ("ConfigMap", "Secret"):
        wild.create({"apiVersion": "v1", "kind": kind, "metadata": {"namespace": bad, "name": "good"}})
    wild.create(shopservice(good, "good", replicas=1))
    wild.create(shopservice(bad, "good", replicas=1, networkPolicy={"enabled": True}))
    with leader(lone_kubeconfig, tmp_path / "running.log") as operator:
        for kind in GARBLED:
            garble(wild, kind, bad, "good")
        garble(wild, "ShopService", bad, "good")
        obeys(wild, good, 2)
        obeys(wild, bad, 2)
        assert healthy(operator)
        assert not operator.said("list failed, retrying")

    for kind in GARBLED:
        assert b"\xff" in garble(wild, kind, bad, "good")
    with started(lone_kubeconfig, tmp_path / "started.log") as operator:
        wait_for(operator.ready)
        obeys(wild, good, 3)
        obeys(wild, bad, 3)
        assert healthy(operator)
        assert not operator.said("list failed, retrying")


def garble(cluster: Cluster, kind: str, namespace: str, name: str) -> bytes:
    """Put an object back with managedFields that name a field in bytes that are not UTF-8; what the API server has stored."""
    path = cluster.path(kind, namespace, name)

    def put() -> bool:
        obj = cluster.find(kind, namespace, name)
        if obj is None:
            return False
        entry = {"manager": "x", "operation": "Update", "apiVersion": obj["apiVersion"]}
        fields = {"fieldsType": "FieldsV1", "fieldsV1": {"f:HERE": {}}}
        obj["metadata"]["managedFields"] = [entry | fields]
        raw = json.dumps(obj).encode().replace(b"HERE", b"\xff")
        answer = cluster.http.put(path, content=raw, headers={"Content-Type": "application/json"})
        return answer.status_code == 200

    wait_for(put)
    return cluster.http.get(path).content
