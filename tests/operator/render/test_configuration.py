"""The configuration that pods use, and the changes of it that replace them."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import configuration_uses
from shop_operator.render.configuration import Configuration, Digests, Record, Use, uses

SETTINGS = Use("ConfigMap", "settings")
LATER = Use("Secret", "later", optional=True)
KEY_ID = "0badcafe"
OLD = "0123456789abcdef0123456789abcdef"


def found(**spec: Any) -> dict[str, frozenset[Use]]:
    return configuration_uses(ShopService("web", "shop", "u", 1, document={"image": "web:1", **spec}))


def variable(source: str, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name.upper(), "valueFrom": {source: {"name": name, "key": "k", **more}}}


def test_given_no_references_then_no_object_is_used() -> None:
    assert found() == {}
    assert found(env=[{"name": "A", "value": "1"}], podTemplate={"metadata": {"labels": {"a": "b"}}}) == {}


def test_given_variables_then_only_the_keys_that_they_name_are_used() -> None:
    used = found(
        env=[
            variable("configMapKeyRef", "a"),
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "j", "optional": True}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        envFrom=[{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "d", "optional": True}}],
        imagePullSecrets=[{"name": "registry"}],
    )

    assert used == {
        "web": {
            Use("ConfigMap", "a", ("j", "k"), ("k",)),
            Use("ConfigMap", "c"),
            Use("Secret", "d", optional=True),
        }
    }


def test_given_a_key_and_a_reference_to_its_whole_object_then_the_whole_object_is_used() -> None:
    used = found(env=[variable("secretKeyRef", "a")], envFrom=[{"secretRef": {"name": "a"}}])

    assert used == {"web": {Use("Secret", "a", None, ("k",))}}


def test_given_a_variable_of_a_worker_then_only_the_worker_uses_it() -> None:
    used = found(workers=[{"name": "relay", "command": ["relay"], "env": [variable("secretKeyRef", "e")]}])

    assert used == {"web-relay": {Use("Secret", "e", ("k",), ("k",))}}


def test_given_a_worker_that_overrides_a_variable_then_it_does_not_use_the_overridden_reference() -> None:
    used = found(
        env=[variable("secretKeyRef", "e")],
        workers=[{"name": "relay", "command": ["relay"], "env": [{"name": "E", "value": "1"}]}],
    )

    assert used.keys() == {"web"}


def test_given_containers_of_a_pod_template_then_their_variables_are_used_too() -> None:
    sidecar = {
        "name": "log",
        "image": "log:1",
        "env": [variable("configMapKeyRef", "a")],
        "envFrom": [{"secretRef": {"name": "b"}}],
    }
    spec = {
        "containers": [sidecar],
        "initContainers": [{"name": "init", "image": "i:1", "env": [variable("secretKeyRef", "c")]}],
    }

    assert found(podTemplate={"spec": spec})["web"] == {
        Use("ConfigMap", "a", ("k",), ("k",)),
        Use("Secret", "b"),
        Use("Secret", "c", ("k",), ("k",)),
    }


VOLUMES: dict[str, tuple[dict[str, Any], str | None, set[Use]]] = {
    "whole": ({"configMap": {"name": "a"}}, None, {Use("ConfigMap", "a")}),
    "file": ({"configMap": {"name": "a"}}, "app.conf", {Use("ConfigMap", "a", ("app.conf",), ("app.conf",))}),
    "items": (
        {"secret": {"secretName": "a", "items": [{"key": "k", "path": "x/y"}, {"key": "j", "path": "z"}]}},
        None,
        {Use("Secret", "a", ("j", "k"), ("j", "k"))},
    ),
    "item-in-a-folder": (
        {"secret": {"secretName": "a", "items": [{"key": "k", "path": "x/y"}, {"key": "j", "path": "z"}]}},
        "x",
        {Use("Secret", "a", ("k",), ("k",))},
    ),
    "optional": (
        {"secret": {"secretName": "a", "optional": True}},
        None,
        {Use("Secret", "a", optional=True)},
    ),
    "projected": (
        {
            "projected": {
                "sources": [
                    {"configMap": {"name": "a", "items": [{"key": "k", "path": "k"}]}},
                    {"secret": {"name": "b"}},
                    {"serviceAccountToken": {"path": "token"}},
                ]
            }
        },
        None,
        {Use("ConfigMap", "a", ("k",), ("k",)), Use("Secret", "b")},
    ),
    "something-else": ({"emptyDir": {}}, None, set()),
}


@pytest.mark.parametrize("case", VOLUMES)
def test_given_a_mounted_volume_then_the_files_that_are_mounted_are_used(case: str) -> None:
    volume, path, expected = VOLUMES[case]
    mount = {"name": "v", "mountPath": "/v", **({"subPath": path} if path else {})}

    assert uses({"volumes": [{"name": "v", **volume}], "containers": [{"volumeMounts": [mount]}]}) == expected


def test_given_a_volume_that_no_container_mounts_then_it_is_not_used() -> None:
    assert uses({"volumes": [{"name": "v", "configMap": {"name": "a"}}], "containers": [{}]}) == frozenset()


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": "hostile", "volumes": {"a": 1}},
        {"containers": [1, {"env": ["x", {"valueFrom": "y"}], "envFrom": [{"configMapRef": {"name": 1}}]}]},
        {"volumes": [{"name": ["v"], "secret": 1}], "containers": [{"volumeMounts": [{"name": ["v"]}]}]},
    ],
)
def test_given_an_invalid_pod_spec_then_nothing_is_used(spec: dict[str, Any]) -> None:
    assert uses(spec) == frozenset()


def record(
    live: Record | None, key_id: str = KEY_ID, empty: frozenset[Use] = frozenset(), **digests: str | None
) -> Record:
    """The record of a Deployment that uses the settings and, optionally, a Secret."""
    values = {SETTINGS: digests.get("settings"), LATER: digests.get("later")}
    configuration = Configuration({"web": {SETTINGS, LATER}}, Digests(key_id, values, empty))
    return configuration.records({} if live is None else {"web": live})["web"]


BORN = Record(None, f"v2-{KEY_ID} ConfigMap/settings=aa")


def test_given_no_deployment_then_the_pods_record_the_current_content() -> None:
    assert record(None, settings="aa") == BORN


def test_given_the_same_content_then_the_record_of_the_pods_stays() -> None:
    assert record(BORN, settings="aa") == BORN


def test_given_changed_content_then_the_pods_are_replaced() -> None:
    assert record(BORN, settings="bb") == Record(None, f"v2-{KEY_ID} ConfigMap/settings=bb")


def test_given_an_absent_object_then_nothing_changes_and_its_last_digest_is_kept() -> None:
    assert record(BORN) == BORN
    with_both = Record(None, f"v2-{KEY_ID} ConfigMap/settings=aa Secret/later=11")
    assert record(with_both, settings="bb") == Record(
        None, f"v2-{KEY_ID} ConfigMap/settings=bb Secret/later=11"
    )


def test_given_a_required_object_that_is_created_after_its_deployment_then_no_pods_are_replaced() -> None:
    waiting = record(None)
    assert waiting == Record(None, f"v2-{KEY_ID}")

    there = record(waiting, settings="aa")

    assert there == Record(f"v2-{KEY_ID} ConfigMap/settings=aa", f"v2-{KEY_ID}")
    assert record(there, settings="aa") == there
    assert record(there) == there
    assert record(there, settings="bb") == Record(None, f"v2-{KEY_ID} ConfigMap/settings=bb")


def test_given_an_optional_object_that_is_created_later_then_pods_are_replaced() -> None:
    assert (
        record(BORN, settings="aa", later="11").pods == f"v2-{KEY_ID} ConfigMap/settings=aa Secret/later=11"
    )


def test_given_an_object_that_is_emptied_then_nothing_changes_and_its_last_digest_is_kept() -> None:
    emptied = record(BORN, empty=frozenset({SETTINGS}), settings="00")

    assert emptied == BORN
    assert record(emptied, settings="aa") == BORN
    assert record(emptied, settings="bb") == Record(None, f"v2-{KEY_ID} ConfigMap/settings=bb")


def test_given_pods_that_started_with_an_empty_object_when_it_is_filled_then_they_are_replaced() -> None:
    born = record(None, empty=frozenset({SETTINGS}), settings="00")
    assert born == Record(None, f"v2-{KEY_ID} ConfigMap/settings=00")

    assert record(born, empty=frozenset({SETTINGS}), settings="00") == born
    assert record(born, settings="aa") == BORN


def test_given_an_optional_object_that_is_created_empty_then_pods_are_replaced_only_when_it_is_filled() -> (
    None
):
    there = record(BORN, empty=frozenset({LATER}), settings="aa", later="00")
    assert there.pods == BORN.pods

    assert record(there, settings="aa", later="11").pods == (
        f"v2-{KEY_ID} ConfigMap/settings=aa Secret/later=11"
    )


@pytest.mark.parametrize("pods", [None, OLD, "v2-01234567 ConfigMap/settings=aa"])
def test_given_pods_without_a_comparable_record_then_they_stay_until_the_content_changes(
    pods: str | None,
) -> None:
    first = record(Record(None, pods), settings="aa", later="11")

    assert first == Record(f"v2-{KEY_ID} ConfigMap/settings=aa Secret/later=11", pods)
    assert record(first, settings="aa", later="11") == first
    changed = record(first, settings="bb", later="11")
    assert changed == Record(None, f"v2-{KEY_ID} ConfigMap/settings=bb Secret/later=11")


def test_given_that_changes_are_not_tracked_then_the_pods_keep_their_record() -> None:
    configuration = Configuration({"web": {SETTINGS}}, None)

    assert configuration.records({"web": BORN}) == {"web": BORN}
    assert configuration.records({}) == {"web": Record()}
