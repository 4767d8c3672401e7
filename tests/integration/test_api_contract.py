"""kube.Kube on a real API server keeps the contract that the fake of the unit tests keeps."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shop_operator.connection import Connection, locate
from shop_operator.errors import Refused, Stale
from shop_operator.kube import Kube
from tests.integration.cluster import Cluster
from tests.integration.shopservices import shopservice
from tests.operator.api_contract import NOBODY, ApiContract, account


@pytest.fixture
async def api(operator_kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kube]:
    monkeypatch.setenv("KUBECONFIG", str(operator_kubeconfig))

    def observe(_method: str, _code: int) -> None: ...

    connection = Connection(locate(), observe=observe)
    yield Kube(connection.session, connection.server, lambda: 10.0)
    await connection.close()


class TestKube(ApiContract):
    """Everything of the contract."""


async def test_given_a_field_that_the_schema_lacks_then_it_is_refused_for_good(
    api: Kube, namespace: str
) -> None:
    with pytest.raises(Refused, match="field not declared in schema"):
        await api.apply(account(namespace) | {"nope": 1}, uid=None)


async def test_given_a_value_that_is_not_valid_then_it_is_refused_for_good(api: Kube, namespace: str) -> None:
    with pytest.raises(Refused, match="is invalid"):
        await api.apply(account(namespace, **{"not a label": "x"}), uid=None)


async def test_given_a_new_shopservice_of_the_name_then_the_status_of_the_old_one_is_not_written(
    api: Kube, cluster: Cluster, namespace: str
) -> None:
    cluster.create(shopservice(namespace))

    with pytest.raises(Stale):
        await api.patch_status(namespace, "web", uid=NOBODY, patch={"ready": "9/9"})

    assert cluster.get("ShopService", namespace, "web").get("status", {}).get("ready") != "9/9"


async def test_given_many_shopservices_then_all_pages_together_have_each_once(
    api: Kube, cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop_operator.kube.LIST_PAGE", 2)
    for i in range(5):
        cluster.create(shopservice(namespace, f"s{i}"))

    pages = [page async for page in api.pages("ShopService", namespace)]

    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert {item["metadata"]["name"] for page in pages for item in page.items} == {f"s{i}" for i in range(5)}
    assert len({page.version for page in pages}) == 1
