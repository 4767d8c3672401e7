"""An apply removes the fields that the operator has applied, that no other client owns, and that it no longer applies."""

from typing import Any

import pytest

from shop_operator.cli.diff.changes import changes
from shop_operator.cli.diff.removed_fields import with_leftovers
from shop_operator.names import HASH_ANNOTATION

ENV_B = {"name": "B", "value": "2"}
OURS: dict[str, Any] = {
    "f:metadata": {
        "f:annotations": {f"f:{HASH_ANNOTATION}": {}, "f:note": {}},
        "f:finalizers": {".": {}, 'v:"ours"': {}},
    },
    "f:spec": {
        "f:replicas": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"app"}': {
                        ".": {},
                        "f:name": {},
                        "f:args": {},
                        "f:env": {
                            'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
                            'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}},
                        },
                        "f:ports": {
                            'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
                        },
                        "f:resources": {"f:limits": {"f:cpu": {}}, "f:requests": {"f:cpu": {}}},
                    },
                    'k:{"name":"side"}': {".": {}, "f:name": {}, "f:image": {}},
                },
                "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:name": {}, "f:emptyDir": {}}},
            }
        },
    },
}


def container(**more: Any) -> dict[str, Any]:
    return {"name": "app", "env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 80}], **more}


def deployment(*containers: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", **metadata},
        "spec": {"template": {"spec": {"containers": list(containers)}}},
    }


def live(
    *containers: dict[str, Any], others: dict[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    """An object that the operator has applied and another client has changed."""
    managed = [
        {"manager": "shop-operator", "operation": "Apply", "fieldsV1": OURS},
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": others or {}},
        {
            "manager": "kube-controller-manager",
            "operation": "Update",
            "subresource": "status",
            "fieldsV1": {"f:status": {"f:replicas": {}}},
        },
    ]
    owner = [{"uid": "u", "controller": True}]
    made = deployment(*containers, managedFields=managed, ownerReferences=owner, uid="1", **metadata)
    made["spec"]["replicas"] = 2
    return made


def in_app(more: dict[str, Any]) -> dict[str, Any]:
    """Managed fields of the container app."""
    below = {"f:containers": {'k:{"name":"app"}': more}}
    return {"f:spec": {"f:template": {"f:spec": below}}}


LIMITS = {"limits": {"cpu": "1"}}


@pytest.mark.parametrize(
    ("there", "wider"),
    [
        (live(container(args=["-v"])), deployment(container(args=["-v"]))),
        (live(container(resources=LIMITS)), deployment(container(resources=LIMITS))),
        (
            live(container(env=[ENV_B, {"name": "A", "value": "1"}])),
            deployment(container(env=[{"name": "A", "value": "1"}, ENV_B])),
        ),
        (
            live(container(), {"name": "side", "image": "s", "imagePullPolicy": "Always"}),
            deployment(container(), {"name": "side", "image": "s"}),
        ),
        (
            live(container(), annotations={"note": "n", HASH_ANNOTATION: "1", "theirs": "t"}),
            deployment(container(), annotations={"note": "n"}),
        ),
        (
            live(container(), finalizers=["theirs", "ours"]),
            deployment(container(), finalizers=["ours"]),
        ),
    ],
    ids=["one value", "a group", "an item of a list", "a container", "a key of a map", "an item of a set"],
)
def test_given_an_applied_field_that_is_no_longer_desired_then_it_is_removed(
    there: dict[str, Any], wider: dict[str, Any]
) -> None:
    assert with_leftovers(deployment(container()), there) == wider


@pytest.mark.parametrize(
    "there",
    [
        live(container()),
        live(container(ports=[{"containerPort": 80, "protocol": "TCP"}])),
        live(container(workingDir="/x"), {"name": "injected", "image": "i"}),
        live(container(args=["-v"]), others=in_app({"f:args": {}})),
        live(
            container(resources=LIMITS),
            others=in_app({"f:resources": {"f:limits": {"f:cpu": {}}, "f:requests": {"f:cpu": {}}}}),
        ),
        live(
            container(env=[{"name": "A", "value": "1"}, ENV_B]),
            others=in_app({"f:env": {'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}}}),
        ),
        live(container(), annotations={HASH_ANNOTATION: "1"}),
    ],
    ids=[
        "nothing, and the count",
        "a default",
        "another manager's",
        "a value of two owners",
        "a group of two owners",
        "an item of two owners",
        "the operator's own mark",
    ],
)
def test_given_desired_foreign_or_shared_fields_then_they_are_not_removed(there: dict[str, Any]) -> None:
    assert with_leftovers(deployment(container()), there) == deployment(container())


def test_given_an_object_without_managed_fields_then_nothing_is_removed() -> None:
    desired = deployment(container())

    assert with_leftovers(desired, {"metadata": {"name": "web"}, "spec": {"replicas": 1}}) == desired


def test_given_an_applied_field_that_is_no_longer_desired_when_diff_runs_then_its_removal_is_shown() -> None:
    there = live(
        container(args=["-v"], env=[{"name": "A", "value": "1"}, ENV_B], workingDir="/theirs"),
        labels={"theirs": "1"},
    )

    (change,) = changes([deployment(container())], {("Deployment", "web"): there}, "u", lambda *_: None)

    assert change.action == "update"
    assert [line for line in change.lines() if line[0] in "+-"] == [
        "--- live/Deployment/web",
        "+++ applied/Deployment/web",
        "-      - args:",
        "-        - -v",
        "-        env:",
        "+      - env:",
        "-        - name: B",
        "-          value: '2'",
    ]
