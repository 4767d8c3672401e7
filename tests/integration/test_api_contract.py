"""kube.Kube on a real API server fulfills the same contract as the fake of the unit tests."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shop_operator.errors import Refused, Stale
from shop_operator.kubernetes.client import LIST_PAGE, Kube
from shop_operator.kubernetes.connection import Connection
from shop_operator.kubernetes.credentials import locate
from shop_operator.observability.metrics import Metrics
from tests.integration.cluster import Cluster
from tests.integration.shopservices import shopservice
from tests.operator.api_contract import ApiContract, account
from tests.waiting import wait_for


@pytest.fixture
async def api(operator_kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kube]:
    monkeypatch.setenv("KUBECONFIG", str(operator_kubeconfig))
    connection = Connection(locate(), Metrics(lease="shop-operator"))
    yield Kube(connection, lambda: 10.0)
    await connection.close()


class TestKube(ApiContract):
    """Everything of the contract."""


async def test_given_more_pods_than_one_page_then_a_list_contains_all_and_a_first_page_is_limited(
    api: Kube, cluster: Cluster, namespace: str
) -> None:
    # A pod without an account is rejected until Kubernetes has created this one.
    wait_for(lambda: cluster.find("ServiceAccount", namespace, "default") is not None)
    names = {f"pod-{number:03}" for number in range(LIST_PAGE + 5)}
    for name in names:
        metadata = {"name": name, "labels": {"a": "b"}}
        pod = {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "app"}]}}
        cluster.http.post(f"/api/v1/namespaces/{namespace}/pods", json=pod).raise_for_status()

    assert [each["metadata"]["name"] async for each in api.pods(namespace, "a=b")] == sorted(names)
    assert len(await api.first_pods(namespace, "a=b")) == LIST_PAGE
    assert [each async for each in api.pods(namespace, "a=c")] == []
    assert await api.first_pods(namespace, "a=c") == []


async def test_given_a_field_that_the_schema_lacks_when_applied_then_it_is_refused(
    api: Kube, namespace: str
) -> None:
    with pytest.raises(Refused, match="field not declared in schema"):
        await api.apply(account(namespace) | {"nope": 1}, uid=None)


async def test_given_an_invalid_value_when_applied_then_it_is_refused(api: Kube, namespace: str) -> None:
    with pytest.raises(Refused, match="is invalid"):
        await api.apply(account(namespace, **{"not a label": "x"}), uid=None)


async def test_given_a_stale_version_of_a_shopservice_when_its_status_is_patched_then_nothing_is_written(
    api: Kube, cluster: Cluster, namespace: str
) -> None:
    before = cluster.create(shopservice(namespace))["metadata"]["resourceVersion"]
    cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": 2}})

    with pytest.raises(Stale):
        await api.patch_status(namespace, "web", version=int(before), patch={"ready": "9/9"})

    assert cluster.get("ShopService", namespace, "web").get("status", {}).get("ready") != "9/9"


async def test_given_an_empty_status_patch_then_nothing_is_written_and_a_stale_version_is_refused(
    api: Kube, cluster: Cluster, namespace: str
) -> None:
    created = int(cluster.create(shopservice(namespace))["metadata"]["resourceVersion"])
    written = await api.patch_status(namespace, "web", version=created, patch={"ready": "0/1"})
    version = int(written["metadata"]["resourceVersion"])

    again = await api.patch_status(namespace, "web", version=version, patch={})

    assert again["metadata"]["resourceVersion"] == str(version)
    with pytest.raises(Stale):
        await api.patch_status(namespace, "web", version=created, patch={})


async def test_given_a_scaled_deployment_when_an_earlier_count_is_shared_or_applied_then_the_write_is_stale(
    api: Kube, cluster: Cluster, namespace: str
) -> None:
    labels = {"matchLabels": {"a": "b"}}
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "app", "image": "x:1"}]}}
    deployment: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 2, "selector": labels, "template": pod},
    }
    created = await api.apply(deployment, uid=None)
    uid, version = created["metadata"]["uid"], int(created["metadata"]["resourceVersion"])
    share = {**deployment, "spec": {"replicas": 2}}
    await api.share(share, uid=uid)
    cluster.scale("Deployment", namespace, "web", 5)

    with pytest.raises(Stale):
        await api.share(share, uid=uid)
    with pytest.raises(Stale):
        await api.apply(deployment, uid=uid, version=version)

    assert cluster.get("Deployment", namespace, "web")["spec"]["replicas"] == 5


async def test_given_more_shopservices_than_one_page_then_the_pages_contain_each_exactly_once(
    api: Kube, cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop_operator.kubernetes.client.LIST_PAGE", 2)
    for i in range(5):
        cluster.create(shopservice(namespace, f"s{i}"))

    pages = [(list(page.items), page.version) async for page in api.pages("ShopService", namespace)]

    assert [len(items) for items, _ in pages] == [2, 2, 1]
    assert {item["metadata"]["name"] for items, _ in pages for item in items} == {f"s{i}" for i in range(5)}
    assert len({version for _, version in pages}) == 1
