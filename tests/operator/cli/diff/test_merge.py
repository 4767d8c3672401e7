"""Objects after an apply combine the file, the cluster, and the API server's defaults."""

import json
from typing import Any

import pytest
import yaml

from shop_operator.cli.diff.merge import LAST_APPLIED, applied, written


def shop(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": "web", "namespace": "shop", "annotations": annotations or {}},
        "spec": spec,
    }


def noted(last: dict[str, Any], **live: Any) -> dict[str, Any]:
    """As kubectl apply leaves it."""
    return shop({LAST_APPLIED: json.dumps(shop(**last))}, **live)


def owned(**live: Any) -> dict[str, Any]:
    """As an apply on the server leaves it, and a kubectl scale after that."""
    made = shop(**live)
    made["metadata"]["managedFields"] = [
        {"operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {
            "operation": "Apply",
            "fieldsV1": {
                "f:metadata": {"f:annotations": {"f:old": {}}},
                "f:spec": {
                    "f:image": {},
                    "f:probes": {"f:liveness": {"f:path": {}}},
                    "f:dependsOn": {'v:"a"': {}},
                },
            },
        },
        {"operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {"f:ready": {}}}},
    ]
    return made


def block(**live: Any) -> dict[str, Any]:
    """As an apply on the server leaves blocks, which are owned as a whole."""
    made = shop(**live)
    fields: dict[str, Any] = {"f:metadata": {"f:labels": {}}, "f:spec": {f"f:{name}": {} for name in live}}
    made["metadata"]["managedFields"] = [{"operation": "Apply", "fieldsV1": fields}]
    return made


PROBES = {"liveness": {"path": "/a"}}


@pytest.mark.parametrize(
    ("live", "file", "spec"),
    [
        (None, {"image": "b"}, {"image": "b"}),
        (shop(image="a", suspend=True), {"image": "b"}, {"image": "b", "suspend": True}),
        (
            noted({"image": "a", "args": ["x"]}, image="a", args=["x"], suspend=True),
            {"image": "a"},
            {"image": "a", "suspend": True},
        ),
        (
            noted(
                {"image": "a", "resources": {"limits": {"cpu": 1}}},
                image="a",
                resources={"limits": {"cpu": 1}},
            ),
            {"image": "a", "resources": {"limits": {"memory": 2}}},
            {"image": "a", "resources": {"limits": {"memory": 2}}},
        ),
        (
            owned(image="a", probes=PROBES, dependsOn=["a"], replicas=3),
            {"image": "a"},
            {"image": "a", "replicas": 3},
        ),
        (
            block(image="a", rollout={"maxSurge": 2, "autoRollback": True}),
            {"image": "a", "rollout": {}},
            {"image": "a", "rollout": {}},
        ),
        (owned(image="a", probes=PROBES), {"image": "a", "probes": PROBES}, {"image": "a", "probes": PROBES}),
    ],
    ids=[
        "new",
        "set by others",
        "taken out",
        "taken out below",
        "taken out on the server",
        "a block on the server",
        "kept",
    ],
)
def test_given_a_field_removed_from_the_file_when_it_is_applied_then_only_that_field_is_removed(
    live: dict[str, Any] | None, file: dict[str, Any], spec: dict[str, Any]
) -> None:
    assert applied(shop(**file), live)["spec"] == {"port": 8080, **spec}


def test_given_fields_that_the_api_server_defaults_when_a_file_is_applied_then_they_are_filled_in() -> None:
    file = yaml.safe_load("""
        image: web
        command: null
        routes: [{path: /a}]
        networkPolicy: {ingress: [{ports: [{port: 9}]}]}
        workers: [{name: a, autoscaling: {maxReplicas: 3}}]
        podTemplate: {spec: {priorityClassName: null}}
    """)

    spec = applied(shop(**file), None)["spec"]

    assert spec["port"] == 8080
    # Inside a block nothing is filled in: one manager owns it as it was written.
    assert spec["routes"] == [{"path": "/a"}]
    assert spec["networkPolicy"] == {"ingress": [{"ports": [{"port": 9}]}]}
    assert spec["workers"][0]["autoscaling"] == {"maxReplicas": 3}
    assert "command" not in spec
    assert spec["podTemplate"] == {"spec": {"priorityClassName": None}}


def test_given_the_last_applied_annotation_of_kubectl_then_it_is_not_shown_as_written() -> None:
    live = noted({"image": "a"}, image="a")

    assert written(live) == {"spec": {"image": "a"}}
    assert written(applied(shop({"team": "a"}, image="a"), live)) == {
        "metadata": {"annotations": {"team": "a"}},
        "spec": {"image": "a", "port": 8080},
    }
