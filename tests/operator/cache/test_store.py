"""The state of the cache, in any order of events and responses."""

from typing import Any

import pytest

from shop_operator.cache.snapshot import Scaler
from shop_operator.cache.store import Store
from shop_operator.names import ChildId, Key

KEY = Key("ns", "web")
DEPLOYMENT = ChildId("Deployment", "web")


def shop(version: int, uid: str = "s1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"namespace": "ns", "name": "web", "uid": uid, "resourceVersion": str(version)},
        "spec": spec,
    }


def child(version: int, uid: str = "d1", label: str | None = "web", **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "namespace": "ns",
            "name": "web",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {} if label is None else {"shopservice.dev/name": label},
            "ownerReferences": [{"kind": "ShopService", "name": "web", "uid": "s1", "controller": True}],
        },
        "spec": {},
        **more,
    }


@pytest.fixture
def store() -> Store:
    return Store()


def test_given_a_known_object_when_the_same_version_is_put_again_then_no_key_is_queued(store: Store) -> None:
    assert store.put(shop(1)) == {KEY}
    assert store.put(shop(1)) == set()
    assert store.put(child(2)) == {KEY}
    assert store.children(KEY)[DEPLOYMENT].controller == "s1"


def test_given_an_event_that_changes_only_the_version_then_no_key_is_queued_and_the_version_is_kept(
    store: Store,
) -> None:
    store.put(child(2))

    assert store.put(child(5)) == set()
    assert store.put(child(4, spec={"old": True})) == set()
    assert store.children(KEY)[DEPLOYMENT].version == 5


def test_given_the_answer_of_a_write_when_an_older_event_arrives_then_the_answer_stays(store: Store) -> None:
    store.put(child(9, spec={"new": True}))

    assert store.put(child(8, spec={"new": False})) == set()
    found = store.children(KEY)[DEPLOYMENT].object
    assert found is not None
    assert found["spec"] == {"new": True}


def test_given_an_object_with_managed_fields_then_the_store_keeps_it_without_them(store: Store) -> None:
    obj = child(1)
    obj["metadata"]["managedFields"] = [{"manager": "x", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]
    store.put(obj)

    kept = store.children(KEY)[DEPLOYMENT].object
    assert kept is not None
    assert "managedFields" not in kept["metadata"]


@pytest.mark.parametrize(
    ("owners", "scaler"),
    [
        ([("shop-operator", "Apply")], Scaler.OPERATOR),
        ([("shop-operator", "Apply"), ("kube-controller-manager", "Update")], Scaler.AUTOSCALER),
        ([("shop-operator-handover", "Apply")], Scaler.AUTOSCALER),
        ([("kubectl", "Update")], Scaler.OTHER),
        ([("shop-operator", "Apply"), ("kubectl", "Update")], Scaler.SHARED),
        ([], Scaler.OTHER),
    ],
)
def test_given_managed_fields_of_replicas_then_the_store_knows_the_scaler(
    store: Store, owners: list[tuple[str, str]], scaler: Scaler
) -> None:
    obj = child(1)
    obj["metadata"]["managedFields"] = [
        {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        for manager, operation in owners
    ]
    store.put(obj)

    assert store.children(KEY)[DEPLOYMENT].scaled_by is scaler


@pytest.mark.parametrize("obj", [shop(4), child(4)], ids=["shopservice", "child"])
def test_given_a_deletion_when_the_answer_of_an_earlier_write_arrives_then_it_is_ignored(
    store: Store, obj: dict[str, Any]
) -> None:
    store.put(obj)
    deleted = {**obj, "metadata": {**obj["metadata"], "resourceVersion": "9"}}
    store.remove(deleted)

    answer = {**obj, "metadata": {**obj["metadata"], "resourceVersion": "7"}}

    assert store.put(answer) == set()
    assert (store.shop(KEY), store.children(KEY)) == (None, {})


def test_given_a_list_without_an_object_when_the_answer_of_an_earlier_write_arrives_then_it_is_ignored(
    store: Store,
) -> None:
    store.put(child(4))
    store.begin_list()
    store.sweep("Deployment", None, set(), 9)
    store.end_list()

    assert store.put(child(7)) == set()
    assert store.children(KEY) == {}


def test_given_a_child_that_left_the_label_selector_when_it_returns_then_it_is_known_again(
    store: Store,
) -> None:
    store.put(child(4))
    store.remove(child(9, label=None))

    assert store.put(child(10)) == {KEY}


def test_given_many_deletions_then_only_the_latest_are_remembered_unless_a_list_is_under_way(
    store: Store,
) -> None:
    def deleted(number: int) -> None:
        store.remove(child(9, uid=f"d{number}"))

    store.begin_list()
    for number in range(5000):
        deleted(number)
    assert store.merge([child(4, uid="d0")]) == set()
    store.end_list()

    assert store.put(child(4, uid="d4999")) == set()
    assert store.put(child(4, uid="d0")) == {KEY}


def test_when_an_object_is_deleted_then_the_store_drops_it_unless_its_successor_is_known(
    store: Store,
) -> None:
    store.put(child(1))
    assert store.remove(child(2)) == {KEY}
    assert store.children(KEY) == {}

    store.put(child(5, uid="d2"))
    assert store.remove(child(4, uid="d1")) == set()
    assert store.children(KEY)[DEPLOYMENT].uid == "d2"


def test_given_a_successor_when_the_last_event_of_its_predecessor_arrives_then_the_successor_stays(
    store: Store,
) -> None:
    store.put(shop(9, uid="s2"))

    assert store.put(shop(8, uid="s1")) == set()
    found = store.shop(KEY)
    assert found is not None
    assert found.uid == "s2"


def test_when_the_label_of_a_child_is_edited_then_both_shopservices_are_queued(store: Store) -> None:
    store.put(child(1))

    assert store.put(child(2, label="other")) == {KEY, Key("ns", "other")}
    assert store.children(KEY) == {}
    assert store.put(child(3, label=None)) == {Key("ns", "other")}
    assert store.children(Key("ns", "other")) == {}


def test_given_a_watched_version_of_a_shopservice_when_a_list_shows_more_fields_then_the_list_wins(
    store: Store,
) -> None:
    store.put(shop(5))

    # A watch from before a change of the schema did not show everything.
    assert store.merge([shop(5, networkPolicy={})]) == {KEY}
    assert store.put(shop(5)) == set()
    assert store.merge([shop(5, networkPolicy={})]) == set()
    assert store.merge([shop(4)]) == set()


def test_given_an_object_missing_in_a_list_when_the_kind_is_swept_then_the_store_drops_it(
    store: Store,
) -> None:
    store.put(shop(1))
    store.put(child(2))

    assert store.sweep("Deployment", None, set(), 10) == {KEY}
    assert store.children(KEY) == {}
    assert store.sweep("ShopService", None, {"s1"}, 10) == set()
    assert store.sweep("ShopService", None, set(), 10) == {KEY}
    assert len(store) == 0


def test_when_a_kind_is_swept_then_newer_objects_and_other_namespaces_are_kept(store: Store) -> None:
    store.put(child(11))
    assert store.sweep("Deployment", None, set(), 10) == set()
    assert store.sweep("Deployment", "elsewhere", set(), 20) == set()
    assert store.children(KEY)


def test_given_a_deleted_object_when_an_earlier_page_is_merged_then_it_does_not_return(store: Store) -> None:
    store.put(child(1))
    store.begin_list()
    store.remove(child(7))

    assert store.merge([child(1)]) == set()

    store.end_list()
    assert store.merge([child(8, uid="d2")]) == {KEY}


def test_when_a_uid_is_discarded_then_only_the_object_with_that_uid_is_dropped(store: Store) -> None:
    store.put(child(3, uid="d2"))

    store.discard(KEY, DEPLOYMENT, "d1")
    assert store.children(KEY)

    store.discard(KEY, DEPLOYMENT, "d2")
    assert not store.children(KEY)


def settled(store: Store, configuration: str = "c1") -> None:
    store.settle(KEY, DEPLOYMENT, store.children(KEY)[DEPLOYMENT].digest, configuration)


def test_given_a_compared_child_then_it_is_kept_as_a_summary_until_it_changes(store: Store) -> None:
    store.put(child(1, spec={"replicas": 2, "paused": False}))
    settled(store)

    store.put(child(2, spec={"replicas": 2, "paused": False}, status={"readyReplicas": 1}))
    found = store.children(KEY)[DEPLOYMENT]
    assert (found.settled, found.object) == ("c1", None)
    assert found.state["spec"] == {"replicas": 2}
    assert found.state["status"]["readyReplicas"] == 1

    store.put(child(3, spec={"replicas": 2, "paused": True}))
    edited = store.children(KEY)[DEPLOYMENT]
    assert edited.settled is None
    assert edited.object is not None


def identity(obj: dict[str, Any]) -> dict[str, str]:
    return {key: obj["metadata"][key] for key in ("namespace", "name", "uid", "resourceVersion")}


def test_given_the_answer_of_an_apply_then_the_store_knows_exactly_that_version(store: Store) -> None:
    store.put(child(3), settled="c1")

    assert store.knows("Deployment", identity(child(3)))
    assert not store.knows("Deployment", identity(child(4)))
    assert not store.knows("Deployment", identity(child(3, uid="other")))
    assert not store.knows("Service", identity(child(3)))


def test_given_a_child_that_no_pass_has_compared_then_the_store_does_not_count_it_as_known(
    store: Store,
) -> None:
    store.put(child(3))

    assert not store.knows("Deployment", identity(child(3)))


def test_given_a_stored_shopservice_then_the_store_knows_its_version(store: Store) -> None:
    store.put(shop(3))

    assert store.knows("ShopService", identity(shop(3)))
    assert not store.knows("ShopService", identity(shop(4)))


def test_given_a_child_that_changed_since_its_comparison_when_it_is_settled_then_it_stays_unsettled(
    store: Store,
) -> None:
    store.put(child(1))
    compared = store.children(KEY)[DEPLOYMENT].digest
    store.put(child(2, spec={"paused": True}))

    store.settle(KEY, DEPLOYMENT, compared, "c1")

    assert store.children(KEY)[DEPLOYMENT].settled is None


def test_given_a_compared_child_when_it_is_edited_then_its_last_hash_is_kept_but_not_for_a_successor(
    store: Store,
) -> None:
    store.put(child(1))
    settled(store)
    store.put(child(2, spec={"paused": True}))
    assert (store.children(KEY)[DEPLOYMENT].known, store.children(KEY)[DEPLOYMENT].settled) == ("c1", None)

    store.put(child(3, uid="d2"))

    assert store.children(KEY)[DEPLOYMENT].known is None


@pytest.mark.parametrize("label", [None, "other"])
def test_given_a_child_without_its_label_when_it_is_filed_then_it_belongs_to_its_shopservice(
    store: Store, label: str | None
) -> None:
    unlabelled = child(2, label=label)
    store.put(unlabelled)
    assert DEPLOYMENT not in store.children(KEY)

    store.file(KEY, unlabelled)
    assert store.children(KEY)[DEPLOYMENT].version == 2
    assert store.children(Key("ns", "other")) == {}

    assert store.put(child(3)) == {KEY}
    assert store.children(KEY)[DEPLOYMENT].version == 3


def test_given_a_status_change_that_no_condition_uses_then_no_key_is_queued(store: Store) -> None:
    store.put(
        child(1, status={"conditions": [{"type": "Available", "status": "True", "lastUpdateTime": "1"}]})
    )

    later = child(2, status={"conditions": [{"type": "Available", "status": "True", "lastUpdateTime": "2"}]})
    assert store.put(later) == set()
    lost = child(3, status={"conditions": [{"type": "Available", "status": "False", "lastUpdateTime": "3"}]})
    assert store.put(lost) == {KEY}


def named(
    name: str, version: int, *depends_on: str, available: bool = False, port: int = 8080
) -> dict[str, Any]:
    made = shop(version, uid=f"uid-{name}", dependsOn=list(depends_on), port=port)
    made["metadata"]["name"] = name
    made["status"] = {"conditions": [{"type": "Available", "status": str(available)}]}
    return made


def test_when_a_dependency_comes_changes_its_port_or_availability_or_goes_then_its_dependants_are_queued(
    store: Store,
) -> None:
    order, product = Key("ns", "order"), Key("ns", "product")
    assert store.put(named("order", 1, "product")) == {order}
    assert store.dependants(product) == {"order"}

    assert store.put(named("product", 2)) == {product, order}
    assert store.put(named("product", 3, available=True)) == {product, order}
    assert store.put(named("product", 4, available=True, port=80)) == {product, order}
    changed = named("product", 5, available=True, port=80)
    changed["spec"]["args"] = ["x"]
    assert store.put(changed) == {product}
    assert store.remove(named("product", 6)) == {product, order}


def test_given_a_missing_dependency_when_a_similar_name_comes_or_goes_then_its_dependant_is_queued(
    store: Store,
) -> None:
    order, other = Key("ns", "order"), Key("ns", "other")
    store.put(named("order", 1, "databse"))
    store.put(named("other", 2, "cache"))

    assert store.put(named("database", 3)) == {Key("ns", "database"), order}
    assert store.put(named("database", 4, available=True)) == {Key("ns", "database")}
    assert store.remove(named("database", 5)) == {Key("ns", "database"), order}
    assert store.put(named("databse", 6)) == {Key("ns", "databse"), order}
    assert store.put(named("database", 7)) == {Key("ns", "database")}
    assert store.remove(named("databse", 8)) == {Key("ns", "databse"), order}
    store.put(named("order", 9))
    assert store.remove(named("database", 10)) == {Key("ns", "database")}
    assert store.put(named("cach", 11)) == {Key("ns", "cach"), other}


def test_when_a_dependency_edge_begins_or_ends_then_its_target_is_queued(store: Store) -> None:
    order, product = Key("ns", "order"), Key("ns", "product")
    store.put(named("product", 1))

    assert store.put(named("order", 2, "product")) == {order, product}
    assert store.put(named("order", 3)) == {order, product}
    assert store.dependants(product) == frozenset()
    store.put(named("order", 4, "product"))
    assert store.remove(named("order", 5, "product")) == {order, product}


def test_when_a_dependency_cycle_opens_or_closes_then_exactly_its_members_are_queued(store: Store) -> None:
    for version, (name, on) in enumerate([("a", "b"), ("b", "c"), ("c", "d"), ("d", ""), ("e", "a")], 1):
        store.put(named(name, version, *filter(None, [on])))
    in_it = {Key("ns", name) for name in "abcd"}

    assert store.put(named("d", 6, "a")) == in_it
    assert store.cycle(Key("ns", "a")) == set("abcd")
    assert store.cycle(Key("ns", "e")) == frozenset()
    assert store.put(named("d", 7)) == in_it
    assert store.cycle(Key("ns", "a")) == frozenset()


def test_when_a_new_edge_and_another_port_come_at_once_then_both_ends_are_queued(store: Store) -> None:
    for version, (name, on) in enumerate([("a", "b"), ("b", ""), ("c", "")], 1):
        store.put(named(name, version, *filter(None, [on])))

    assert store.put(named("b", 4, "c", port=80)) == {Key("ns", name) for name in "abc"}


@pytest.mark.parametrize("hostile", [None, "product", [1, None], {"a": 1}])
def test_given_a_depends_on_that_is_no_list_of_names_then_it_counts_as_empty(
    store: Store, hostile: Any
) -> None:
    store.put(shop(1, dependsOn=hostile, port="x"))

    found = store.shop(KEY)
    assert found is not None
    assert (found.depends_on, found.port) == ((), 8080)
