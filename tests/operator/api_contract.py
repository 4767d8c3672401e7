"""The contract that the reconciler relies on: the same tests for the fake and for the real API server."""

from typing import Any

import pytest

from shop_operator.errors import Exists, Stale
from shop_operator.reconcile.api import Api

MISSING_UID = "00000000-0000-0000-0000-000000000000"


def account(namespace: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "web", "namespace": namespace, "labels": labels},
    }


class ApiContract:
    """Subclasses give the fixtures `api` (the client) and `namespace` (an empty one)."""

    async def test_given_no_object_when_it_is_applied_as_new_then_it_is_created(
        self, api: Api, namespace: str
    ) -> None:
        created = await api.apply(account(namespace, a="1"), uid=None)

        assert created["metadata"]["labels"] == {"a": "1"}
        assert created["metadata"]["uid"]
        assert int(created["metadata"]["resourceVersion"]) > 1

    async def test_given_an_object_when_one_is_applied_as_new_then_nothing_is_written(
        self, api: Api, namespace: str
    ) -> None:
        created = await api.apply(account(namespace, a="1"), uid=None)

        with pytest.raises(Exists):
            await api.apply(account(namespace, a="2"), uid=None)

        found = await api.get("ServiceAccount", namespace, "web")
        assert found is not None
        assert found["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]

    async def test_given_an_object_when_it_is_applied_by_uid_then_dropped_fields_go(
        self, api: Api, namespace: str
    ) -> None:
        created = await api.apply(account(namespace, a="1", b="1"), uid=None)

        applied = await api.apply(account(namespace, a="2"), uid=created["metadata"]["uid"])

        assert applied["metadata"]["labels"] == {"a": "2"}
        assert int(applied["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])

    @pytest.mark.parametrize("exists", [True, False])
    async def test_given_another_object_or_none_when_a_uid_is_applied_then_nothing_is_written(
        self,
        api: Api,
        namespace: str,
        exists: bool,
    ) -> None:
        if exists:
            await api.apply(account(namespace, a="1"), uid=None)

        with pytest.raises(Stale):
            await api.apply(account(namespace, a="2"), uid=MISSING_UID)

        found = await api.get("ServiceAccount", namespace, "web")
        assert (found["metadata"]["labels"] if found else None) == ({"a": "1"} if exists else None)

    async def test_given_an_object_when_another_uid_is_deleted_then_it_stays(
        self, api: Api, namespace: str
    ) -> None:
        created = await api.apply(account(namespace), uid=None)

        await api.delete("ServiceAccount", namespace, "web", uid=MISSING_UID)
        assert await api.get("ServiceAccount", namespace, "web") is not None

        await api.delete("ServiceAccount", namespace, "web", uid=created["metadata"]["uid"])
        assert await api.get("ServiceAccount", namespace, "web") is None
        await api.delete("ServiceAccount", namespace, "web", uid=created["metadata"]["uid"])

    async def test_given_objects_with_and_without_the_operators_label_then_a_list_of_the_unlabeled_has_the_others(
        self, api: Api, namespace: str
    ) -> None:
        await api.apply(account(namespace, **{"shopservice.dev/name": "web"}), uid=None)
        other = account(namespace, a="1")
        other["metadata"]["name"] = "other"
        await api.apply(other, uid=None)

        names = [each["metadata"]["name"] async for each in api.unlabeled("ServiceAccount", namespace)]

        # Kubernetes creates the account `default` in a namespace.
        assert set(names) - {"default"} == {"other"}
