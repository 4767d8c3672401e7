"""Members of unions and the order of items in the comparison of objects."""

from typing import Any

import pytest

from shop_operator.objects.compare import differences, owned_part
from shop_operator.objects.kubernetes_schema import of_kind
from tests.operator.objects.deployments import SECRET, deployment, env

EXEC = {"exec": {"command": ["true"]}}
LIVE_APP = "spec.template.spec.containers[name=app]"


@pytest.mark.parametrize(
    ("desired", "live", "paths"),
    [
        (
            env({"name": "A", "valueFrom": SECRET}),
            env({"name": "A", "value": "typed"}),
            [f"{LIVE_APP}.env[name=A].value"],
        ),
        (
            env({"name": "A", "value": "x"}),
            env({"name": "A", "valueFrom": SECRET}),
            [f"{LIVE_APP}.env[name=A].valueFrom"],
        ),
        (env({"name": "A"}), env({"name": "A", "value": "typed"}), [f"{LIVE_APP}.env[name=A].value"]),
        (
            deployment(livenessProbe={"httpGet": {"port": 1}}),
            deployment(livenessProbe={"httpGet": {"port": 1, "scheme": "HTTP"}, **EXEC}),
            [f"{LIVE_APP}.livenessProbe.exec"],
        ),
        # The order matters for variables and containers only.
        (
            env({"name": "A", "value": "1"}, {"name": "B", "value": "2"}),
            env({"name": "B", "value": "2"}, {"name": "X"}, {"name": "A", "value": "1"}),
            [f"{LIVE_APP}.env"],
        ),
        (
            env({"name": "A", "value": "1"}, {"name": "B", "value": "2"}),
            env({"name": "X"}, {"name": "A", "value": "1"}, {"name": "Y"}, {"name": "B", "value": "2"}),
            [],
        ),
        (
            deployment(volumeMounts=[{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}]),
            deployment(volumeMounts=[{"name": "b", "mountPath": "/b"}, {"name": "a", "mountPath": "/a"}]),
            [],
        ),
        # The last of two variables with the same name applies.
        (
            env({"name": "A", "value": "1"}),
            env({"name": "A", "value": "1"}, {"name": "A", "value": "2"}),
            [f"{LIVE_APP}.env[name=A]"],
        ),
        (env({"name": "A", "value": ""}), env({"name": "A"}), []),
        # Defaults of the API server inside an atomic value are not drift.
        (
            env({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
            env({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}),
            [],
        ),
        (
            {"kind": "Deployment", "spec": {"strategy": {"type": "Recreate"}}},
            {"kind": "Deployment", "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}}},
            ["spec.strategy.type", "spec.strategy.rollingUpdate"],
        ),
        (
            {"kind": "Deployment", "spec": {"strategy": {"rollingUpdate": {"maxSurge": 1}}}},
            {"kind": "Deployment", "spec": {"strategy": {"type": "Recreate"}}},
            ["spec.strategy.type"],
        ),
        (
            {"kind": "PodDisruptionBudget", "spec": {"maxUnavailable": 1}},
            {"kind": "PodDisruptionBudget", "spec": {"minAvailable": 1}},
            ["spec.minAvailable"],
        ),
    ],
)
def test_given_another_union_member_order_or_duplicate_then_drift_names_its_path(
    desired: dict[str, Any], live: dict[str, Any], paths: list[str]
) -> None:
    assert differences(desired, live) == paths


def test_given_another_union_member_in_the_live_object_then_the_difference_shows_its_removal() -> None:
    desired, live = env({"name": "A", "valueFrom": SECRET}), env({"name": "A", "value": "typed"})

    assert owned_part(desired, live)["spec"] == live["spec"]


def test_given_an_unknown_kind_then_it_has_no_unions() -> None:
    assert of_kind("Teapot").unions == ()
    assert (
        differences({"kind": "Teapot", "spec": {"a": 1}}, {"kind": "Teapot", "spec": {"a": 1, "b": 2}}) == []
    )
