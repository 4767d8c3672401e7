"""The managers of fields are known only if managedFields list an owner for every field."""

from typing import Any

import pytest

from shop_operator.cache.store import Store
from shop_operator.names import ChildId, Key
from shop_operator.objects.managed_fields import field_managers

OPERATOR = {"manager": "shop-operator", "operation": "Apply", "time": "9", "fieldsV1": {}}


def entry(manager: str, fields: dict[str, Any], time: str = "", **more: Any) -> dict[str, Any]:
    return {"manager": manager, "fieldsV1": fields, **({"time": time} if time else {}), **more}


def template(fields: dict[str, Any]) -> dict[str, Any]:
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': fields}}}}}


RESTART = entry(
    "kubectl-rollout",
    {
        "f:spec": {
            "f:template": {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}
        }
    },
    "1",
)
# Entries of the scale subresource have no time.
SCALE = entry("kubectl", {"f:spec": {"f:replicas": {}}}, subresource="scale")
APP = "spec.template.spec.containers[name=app]"
PORT = 'k:{"containerPort":80,"protocol":"TCP"}'


@pytest.mark.parametrize(
    ("entries", "paths", "expected"),
    [
        ([RESTART, SCALE], ["spec.replicas"], "kubectl"),
        ([RESTART], ["spec.replicas"], ""),
        ([entry("kubectl-set", template({"f:image": {}}))], [f"{APP}.image"], "kubectl-set"),
        # The manager of one field is unknown, so the result is empty.
        ([entry("kubectl-set", template({"f:image": {}}))], [f"{APP}.image", f"{APP}.command"], ""),
        (
            [entry("kubectl-set", template({"f:image": {}})), SCALE],
            [f"{APP}.image", "spec.replicas"],
            "kubectl, kubectl-set",
        ),
        # The latest of several managers.
        (
            [
                entry("later", template({"f:image": {}}), "2026-02"),
                entry("earlier", template({"f:image": {}}), "2026-01"),
            ],
            [f"{APP}.image"],
            "later",
        ),
        # The manager of an atomic value owns everything below it; items of a list with keys have managers of their own.
        ([entry("kubectl-edit", template({"f:args": {}}))], [f"{APP}.args[0]"], "kubectl-edit"),
        (
            [entry("kubectl-edit", template({"f:ports": {PORT: {".": {}, "f:hostPort": {}}}}))],
            [f"{APP}.ports[containerPort=80,protocol=TCP].hostPort"],
            "kubectl-edit",
        ),
        ([entry("kubectl-edit", template({"f:ports": {PORT: {".": {}}}}))], [f"{APP}.ports"], ""),
        (
            [entry("kubectl-set", template({"f:env": {'k:{"name":"A"}': {"f:valueFrom": {"f:x": {}}}}}))],
            [f"{APP}.env[name=A].valueFrom"],
            "kubectl-set",
        ),
        # The name of one label is a prefix of the other.
        (
            [entry("kubectl-label", {"f:metadata": {"f:labels": {"f:app": {}}}})],
            ["metadata.labels.app.kubernetes.io/name"],
            "",
        ),
        (
            [entry("kubectl-label", {"f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}}})],
            ["metadata.labels.app.kubernetes.io/name"],
            "kubectl-label",
        ),
        ([], ["spec.replicas"], ""),
        (
            [{"manager": "without fields"}, {"fieldsV1": {"f:spec": {"f:replicas": {}}}}],
            ["spec.replicas"],
            "",
        ),
    ],
)
def test_given_managed_fields_then_the_author_is_the_manager_that_owns_the_field(
    entries: list[dict[str, Any]], paths: list[str], expected: str
) -> None:
    assert field_managers("Deployment", entries, paths) == expected


def seen(version: int, *entries: dict[str, Any], replicas: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "ns",
            "uid": "u",
            "resourceVersion": str(version),
            "labels": {"shopservice.dev/name": "web"},
            "managedFields": [OPERATOR, *entries],
        },
        "spec": {"replicas": replicas},
    }


def test_given_managed_fields_of_a_child_when_it_has_been_compared_then_the_store_drops_them() -> None:
    store, key, child = Store(), Key("ns", "web"), ChildId("Deployment", "web")
    store.put(seen(1, RESTART))
    store.settle(key, child, store.children(key)[child].digest, "hash")
    assert store.children(key)[child].others is None

    status = entry("kube-controller-manager", {"f:status": {}}, subresource="status")
    store.put(seen(2, RESTART, status, SCALE, replicas=5))
    found = store.children(key)[child]
    assert found.author("Deployment", ["spec.replicas"]) == "kubectl"
    assert b"f:status" not in (found.others or b"")

    store.settle(key, child, found.digest, "hash")
    assert store.children(key)[child].author("Deployment", ["spec.replicas"]) == ""


def test_given_an_object_that_only_the_operator_has_written_then_no_managed_fields_are_kept() -> None:
    store = Store()
    own = [entry(f"shop-operator-{each}", {"f:spec": {"f:replicas": {}}}) for each in ("handover", "repair")]
    store.put(seen(1, *own))

    found = store.children(Key("ns", "web"))[ChildId("Deployment", "web")]
    assert found.others is None
    assert found.unfinished
