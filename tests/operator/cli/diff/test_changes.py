"""The changes that an apply causes, for the fields that the operator owns."""

from typing import Any

import pytest

from shop_operator.cli.diff.changes import changes
from shop_operator.names import HASH_ANNOTATION, NAME_LABEL

LIVE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "web",
        "uid": "1",
        "labels": {"a": "b", "theirs": "1"},
        "ownerReferences": [{"uid": "u", "controller": True}],
    },
    "spec": {
        "clusterIP": "10.0.0.1",
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30000}],
    },
}


def nothing(_kind: str, _name: str) -> None:
    """Lookup that finds no object."""


def service(port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"a": "b"}},
        "spec": {"ports": [{"name": "http", "port": port, "protocol": "TCP"}]},
    }


def test_given_fields_of_other_managers_when_diff_runs_then_no_difference_is_shown() -> None:
    assert list(changes([service(80)], {("Service", "web"): LIVE}, "u", nothing)) == []


def test_given_owned_and_foreign_changes_when_diff_runs_then_only_owned_fields_are_shown() -> None:
    changed = {**LIVE, "metadata": {**LIVE["metadata"], "labels": {"a": "c", "theirs": "1"}}}  # type: ignore[dict-item]

    (change,) = changes([service(80)], {("Service", "web"): changed}, "u", nothing)

    assert change.action == "update"
    assert [line for line in change.lines() if line[0] in "+-"] == [
        "--- live/Service/web",
        "+++ applied/Service/web",
        "-    a: c",
        "+    a: b",
    ]


def test_given_an_undesired_object_when_diff_runs_then_its_deletion_is_shown_only_if_it_is_owned() -> None:
    live = {("Service", "web"): LIVE}

    assert [change.action for change in changes([], live, "u", nothing)] == ["delete"]
    assert list(changes([], live, "another", nothing)) == []


@pytest.mark.parametrize("owners", [[], [{"uid": "x", "controller": True}]])
def test_given_an_object_of_another_owner_when_diff_runs_then_it_is_a_conflict(
    owners: list[dict[str, Any]],
) -> None:
    theirs = {**LIVE, "metadata": {"name": "web", "ownerReferences": owners}}

    (change,) = changes([service(80)], {}, "u", lambda *_: theirs)

    assert change.action == "conflict"
    assert change.lines()[0].startswith("! Service/web exists and has another owner: it is left unchanged")


def test_given_an_applied_object_without_its_owner_when_diff_runs_then_it_is_adopted_and_not_a_conflict() -> (
    None
):
    lost: dict[str, Any] = {
        **LIVE,
        "metadata": {
            "name": "web",
            "labels": {"a": "c", NAME_LABEL: "web"},
            "annotations": {HASH_ANNOTATION: "0" * 32},
            "managedFields": [{"manager": "shop-operator", "operation": "Apply"}],
        },
    }
    copied = {**lost, "metadata": {**lost["metadata"], "managedFields": [{"manager": "kubectl"}]}}
    wanted = service(80)
    wanted["metadata"] = {**wanted["metadata"], "labels": {NAME_LABEL: "web", "b": "d"}}

    assert [change.action for change in changes([wanted], {}, "u", lambda *_: lost)] == ["update"]
    assert [change.action for change in changes([wanted], {}, "u", lambda *_: copied)] == ["conflict"]
