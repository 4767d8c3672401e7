"""The operator adopts only objects that it has applied for a ShopService of the same name."""

from typing import Any

import pytest

from shop_operator.names import HASH_ANNOTATION, ChildId
from shop_operator.objects.ownership import adoptable, applied_by_operator
from tests.operator.world import KEY, World

APPLY = {"manager": "shop-operator", "operation": "Apply"}


def orphan(labels: dict[str, str] | None = None, digest: Any = "0" * 32) -> dict[str, Any]:
    return {
        "metadata": {
            "labels": {"shopservice.dev/name": "web"} if labels is None else labels,
            "annotations": {HASH_ANNOTATION: digest},
        }
    }


@pytest.mark.parametrize(
    ("live", "applied", "ours"),
    [
        (orphan(), True, True),
        (orphan(), False, False),
        (orphan(labels={}), True, False),
        (orphan(labels={"shopservice.dev/name": "other"}), True, False),
        (orphan(digest="anything"), True, False),
        (orphan(digest=""), True, False),
        (orphan(digest="0" * 33), True, False),
        (orphan(digest=7), True, False),
        ({"metadata": {}}, True, False),
        ({"metadata": {"labels": None, "annotations": None}}, True, False),
    ],
)
def test_given_an_object_without_an_owner_then_it_is_adopted_only_if_label_hash_and_manager_match(
    live: dict[str, Any], applied: bool, ours: bool
) -> None:
    assert adoptable(live, "web", applied=applied) is ours


@pytest.mark.parametrize(
    ("managed", "applied"),
    [
        ([APPLY], True),
        ([{"manager": "kubectl", "operation": "Apply"}, APPLY], True),
        ([], False),
        ([{"manager": "shop-operator", "operation": "Update"}], False),
        ([{**APPLY, "subresource": "status"}], False),
        ([{"operation": "Apply"}], False),
        ([{**APPLY, "manager": "shop-operator-handover"}], False),
    ],
)
def test_given_managed_fields_then_only_an_apply_of_the_operator_counts(
    managed: list[dict[str, Any]], applied: bool
) -> None:
    assert applied_by_operator(managed) is applied


@pytest.mark.parametrize("labels", [{}, {"shopservice.dev/name": "web"}])
async def test_given_a_copied_manifest_of_another_client_then_it_is_a_conflict_and_stays_unchanged(
    labels: dict[str, str],
) -> None:
    # Given a Service of another author, copied from a child with all labels and annotations.
    world = World()
    world.see(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "namespace": "ns",
                "name": "web",
                "labels": labels,
                "annotations": {HASH_ANNOTATION: "0123456789abcdef" * 2},
                "managedFields": [{"manager": "kubectl-client-side-apply", "operation": "Update"}],
            },
            "spec": {"selector": {"app": "legacy"}, "ports": [{"port": 80}]},
        }
    )
    world.shop()
    # When a reconcile renders a Service of that name.
    await world.pass_()
    # Then it is a conflict, and the Service is unchanged.
    assert world.condition("Ready")["reason"] == "Conflict"
    assert "was not created by the operator" in world.condition("Ready")["message"]
    assert world.api.objects["Service", *KEY]["spec"]["selector"] == {"app": "legacy"}


async def test_given_a_foreign_service_account_of_the_same_name_then_no_pods_are_created() -> None:
    # Given a ServiceAccount with permissions of its own, and a ShopService of the same name.
    world = World()
    world.see(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"namespace": "ns", "name": "web", "managedFields": []},
        }
    )
    world.shop(workers=[{"name": "relay", "command": ["relay"]}])
    # When the ShopService is reconciled.
    await world.pass_()
    # Then no pods are created, including those of workers, and the condition has the reason.
    assert world.condition("Ready")["reason"] == "Conflict"
    assert not [name for kind, _, name in world.api.objects if kind == "Deployment"]
    # When the ServiceAccount is deleted, then the pods run under a ServiceAccount of the operator.
    world.api.forget(("ServiceAccount", "ns", "web"))
    await world.pass_()
    assert ("Deployment", "ns", "web") in world.api.objects
    assert ChildId("ServiceAccount", "web") in world.store.children(KEY)
