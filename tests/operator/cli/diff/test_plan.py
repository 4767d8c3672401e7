"""The changes that the ShopServices of a file cause, in themselves and in their neighbors."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cli.diff.changes import changes
from shop_operator.cli.diff.plan import Children, Namespace, plan, rendered
from shop_operator.cli.errors import NotValid
from shop_operator.names import CHECKSUM_ANNOTATION, RETRY_ANNOTATION
from shop_operator.render import render
from shop_operator.render.configuration import Configuration
from shop_operator.render.surroundings import Surroundings
from shop_operator.status.rollback import release


def shop(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"image": f"{name}:1", **spec},
    }


def stored(document: dict[str, Any]) -> dict[str, Any]:
    metadata = {**document["metadata"], "uid": document["metadata"]["name"], "resourceVersion": "1"}
    return {**document, "metadata": metadata, "spec": {"port": 8080, **document["spec"]}}


def cluster(*documents: dict[str, Any]) -> Namespace:
    """A namespace with ShopServices whose children all match their desired state."""
    shops = {each["metadata"]["name"]: stored(each) for each in documents}
    theirs: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {name: {} for name in shops}
    for each in rendered(documents):
        (owner,) = each["metadata"]["ownerReferences"]
        made = {**each, "metadata": {**each["metadata"], "uid": "c", "resourceVersion": "1"}}
        made["metadata"]["ownerReferences"] = [{**owner, "uid": owner["name"]}]
        theirs[owner["name"]][each["kind"], each["metadata"]["name"]] = made

    def children(name: str) -> Children:
        return theirs[name]

    return Namespace(shops, None, children, lambda *_: None)


def actions(*documents: dict[str, Any], there: Namespace) -> set[tuple[str, str, str]]:
    return {(change.action, change.kind, change.name) for change in plan(documents, there)}


NETWORK = {"networkPolicy": {"enabled": True}}


def test_given_a_file_equal_to_the_cluster_then_the_plan_is_empty() -> None:
    web = shop("web", **NETWORK, workers=[{"name": "relay", "command": ["relay"]}])

    assert actions(web, there=cluster(web)) == set()


def test_given_two_shopservices_in_one_file_then_their_networkpolicies_admit_each_other() -> None:
    found = rendered([shop("order", dependsOn=["product"], **NETWORK), shop("product", port=9000, **NETWORK)])

    policies = {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "NetworkPolicy"}
    assert policies["product"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]["values"] == [
        "order"
    ]
    assert policies["order"]["egress"][1]["ports"] == [{"port": 9000, "protocol": "TCP"}]


def test_given_a_new_dependant_then_the_plan_updates_the_networkpolicy_of_its_dependency() -> None:
    there = cluster(shop("product", **NETWORK), shop("payment", **NETWORK))

    found = actions(shop("order", dependsOn=["product"]), there=there)

    assert ("update", "NetworkPolicy", "product") in found
    assert ("create", "ShopService", "order") in found
    assert not any(name == "payment" for _, _, name in found)


def test_given_a_changed_port_then_the_plan_updates_the_dependants() -> None:
    there = cluster(shop("product"), shop("order", dependsOn=["product"]))

    found = actions(shop("product", port=9000), there=there)

    assert ("update", "Deployment", "order") in found


def test_given_a_removed_env_from_then_the_plan_removes_the_checksum_annotation() -> None:
    there = cluster(shop("web", envFrom=[{"configMapRef": {"name": "c"}}]))
    live = dict(there.children("web"))
    found = live["Deployment", "web"]
    pods = {"metadata": {**found["spec"]["template"]["metadata"], "annotations": {CHECKSUM_ANNOTATION: "1"}}}
    fields: dict[str, Any] = {
        "f:spec": {"f:template": {"f:metadata": {"f:annotations": {f"f:{CHECKSUM_ANNOTATION}": {}}}}}
    }
    managed = {"manager": "shop-operator", "operation": "Apply", "fieldsV1": fields}
    live["Deployment", "web"] = {
        **found,
        "metadata": {**found["metadata"], "managedFields": [managed]},
        "spec": {**found["spec"], "template": {**found["spec"]["template"], **pods}},
    }
    there = Namespace(there.shops, None, lambda _: live, lambda *_: None)

    (_, change) = plan([shop("web", envFrom=[])], there)

    assert change.before is not None
    assert CHECKSUM_ANNOTATION in change.before["spec"]["template"]["metadata"]["annotations"]
    assert change.after is not None
    assert "annotations" not in change.after["spec"]["template"]["metadata"]


def test_given_a_service_account_name_then_the_plan_deletes_the_own_account_only_if_it_is_not_the_named_one() -> (
    None
):
    there = cluster(shop("web"))

    found = actions(shop("web", serviceAccount={"name": "web"}), there=there)

    assert {(action, kind) for action, kind, _ in found} == {("update", "ShopService")}
    found = actions(shop("web", serviceAccount={"name": "other"}), there=there)
    assert ("delete", "ServiceAccount", "web") in found


def test_given_a_suspended_shopservice_then_the_plan_changes_no_child() -> None:
    there = cluster(shop("web"))

    assert actions(shop("web", suspend=True, replicas=7), there=there) == {("update", "ShopService", "web")}


def test_given_an_invalid_neighbor_in_the_cluster_then_it_is_left_out_and_an_invalid_file_is_refused() -> (
    None
):
    bad = {"podTemplate": {"spec": {"restartPolicy": "Never"}}}
    there = cluster(shop("product"))
    there.shops["product"]["spec"].update(bad)

    assert ("create", "ShopService", "order") in actions(shop("order", dependsOn=["product"]), there=there)
    with pytest.raises(NotValid, match=r"ShopService order: .*restartPolicy"):
        actions(shop("order", **bad), there=there)


def rolled_back(**spec: Any) -> Namespace:
    """A namespace in which web:1 runs in place of web:2, which was retried once."""
    careful = {"rollout": {"autoRollback": True}, **spec}
    there = cluster(shop("web", **careful))
    rejected = stored(shop("web", **careful))
    rejected["spec"]["image"] = "web:2"
    rejected["metadata"]["annotations"] = {RETRY_ANNOTATION: "1"}
    rejected["status"] = {
        "rollout": {
            "lastAvailableImage": "web:1",
            "lastAvailable": {"image": "web:1", "port": 8080},
            "lastAvailableRelease": "v2 a",
            "rejectedImage": "web:2",
            "rejectedRelease": _identity(rejected),
            "retry": "1",
        }
    }
    return replace(there, shops={"web": rejected})


def _identity(obj: dict[str, Any]) -> str:
    web = ShopService.from_object({"status": {}, **obj})
    return release(web, render(web, live=None), Configuration(), Surroundings(), frozenset(), {}).identity


def changed_to(there: Namespace, retry: str = "1", **spec: Any) -> list[Any]:
    """The images of the Deployment after an apply; empty if it does not change."""
    document = shop("web", rollout={"autoRollback": True}, **spec)
    document["metadata"]["annotations"] = {RETRY_ANNOTATION: retry}
    return [
        change.after["spec"]["template"]["spec"]["containers"][0]["image"]
        for change in plan([document], there)
        if change.kind == "Deployment" and change.after is not None
    ]


def test_given_a_rolled_back_release_when_the_rejected_one_is_applied_then_the_plan_has_no_change() -> None:
    assert changed_to(rolled_back(), image="web:2") == []


def test_given_a_rolled_back_release_when_the_rejected_one_is_scaled_then_the_plan_keeps_the_available_image() -> (
    None
):
    assert changed_to(rolled_back(replicas=2), image="web:2", replicas=3) == ["web:1"]


def test_given_a_rolled_back_release_when_a_fix_is_applied_then_the_plan_shows_it() -> None:
    assert changed_to(rolled_back(), image="web:3") == ["web:3"]


def test_given_a_rolled_back_release_when_the_retry_annotation_changes_then_the_plan_shows_the_release() -> (
    None
):
    assert changed_to(rolled_back(), retry="2", image="web:2") == ["web:2"]


@pytest.mark.parametrize(
    ("owner", "actions"),
    [
        ("web", [("wait", "ServiceAccount"), ("create", "Deployment")]),
        ("another", [("conflict", "ServiceAccount")]),
    ],
)
def test_given_a_service_account_of_another_owner_when_children_are_compared_then_no_deployment_is_created(
    owner: str, actions: list[tuple[str, str]]
) -> None:
    account, deployment = (
        {"kind": kind, "metadata": {"name": "web"}} for kind in ("ServiceAccount", "Deployment")
    )
    metadata: dict[str, Any] = {"name": "web", "ownerReferences": [{"uid": owner, "controller": True}]}
    if owner == "web":
        metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/hold"]}
    live = {("ServiceAccount", "web"): {**account, "metadata": metadata}}

    found = changes([account, deployment], live, "web", lambda *_: None)

    assert [(change.action, change.kind) for change in found] == actions
