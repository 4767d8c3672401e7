"""charts/shop-operator: labels for everything, as a cluster that demands them needs."""

import json
from typing import Any

import pytest

from tests.charts.helm import Helm, Refused, only

EVERYTHING: dict[str, Any] = {
    "metrics": {"serviceMonitor": {"enabled": True}},
    "monitoring": {"rules": {"enabled": True}, "dashboard": {"enabled": True}},
}


def _arguments(helm: Helm, values: dict[str, Any]) -> list[str]:
    deployment = only(helm.template("shop-operator", values), "Deployment")
    return list(deployment["spec"]["template"]["spec"]["containers"][0]["args"])


def test_given_common_labels_then_every_object_of_the_chart_and_the_arguments_of_the_operator_have_them(
    helm: Helm,
) -> None:
    labels = {"team": "platform", "example.com/cost-center": "42"}

    objects = helm.template("shop-operator", {**EVERYTHING, "commonLabels": labels})

    for each in objects:
        assert {**each["metadata"]["labels"], **labels} == each["metadata"]["labels"], each["kind"]
    (argument,) = (each for each in _arguments(helm, {"commonLabels": labels}) if "common" in each)
    assert argument.startswith("--common-labels=")
    assert json.loads(argument.partition("=")[2]) == labels


def test_given_common_annotations_then_the_arguments_of_the_operator_contain_them(helm: Helm) -> None:
    (argument,) = (
        each for each in _arguments(helm, {"commonAnnotations": {"a/b": 'c "d", e'}}) if "common" in each
    )

    assert argument.startswith("--common-annotations=")
    assert json.loads(argument.partition("=")[2]) == {"a/b": 'c "d", e'}


def test_given_no_common_metadata_then_the_operator_has_no_argument_for_it(helm: Helm) -> None:
    assert not any("common" in each for each in _arguments(helm, {}))


@pytest.mark.parametrize("key", ["app.kubernetes.io/name", "shopservice.dev/name"])
def test_given_a_common_label_that_the_operator_sets_itself_then_helm_refuses_the_values(
    helm: Helm, key: str
) -> None:
    with pytest.raises(Refused) as refused:
        helm.template("shop-operator", {"commonLabels": {key: "a"}})

    assert "commonLabels" in refused.value.sentence
