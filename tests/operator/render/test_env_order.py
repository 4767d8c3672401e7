"""The order of environment variables: a variable follows those that its value refers to, however lists are merged."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shop_operator.render.workloads import references, workloads


def env(base: dict[str, str], own: dict[str, str], **spec: Any) -> list[str]:
    """The variables of a worker, whose own variables are merged over those of the ShopService, as NAME=value."""
    worker = {"name": "relay", "command": ["relay"], "env": [{"name": k, "value": v} for k, v in own.items()]}
    document = {
        "image": "web:1",
        "env": [{"name": k, "value": v} for k, v in base.items()],
        "workers": [worker],
        **spec,
    }
    _, workload = workloads(ShopService("web", "shop", "uid", 1, document=document))
    return [f"{each.name}={each.value}" for each in workload.env]


@pytest.mark.parametrize(
    ("base", "own", "expected"),
    [
        ({"A": "1", "B": "2"}, {"A": "3", "C": "4"}, ["A=3", "B=2", "C=4"]),
        ({"A": "1"}, {"B": "$(A)"}, ["A=1", "B=$(A)"]),
        (
            {"URL": "x", "Z": "1"},
            {"HOST": "h", "URL": "http://$(HOST)"},
            ["HOST=h", "URL=http://$(HOST)", "Z=1"],
        ),
        ({"A": "1", "B": "2"}, {"A": "$(B)"}, ["B=2", "A=$(B)"]),
        ({"A": "1", "C": "$(A)", "B": "2"}, {"A": "$(B)"}, ["B=2", "A=$(B)", "C=$(A)"]),
        # It precedes its target, so Kubernetes does not expand it.
        ({"A": "$(B)"}, {"B": "2"}, ["A=$(B)", "B=2"]),
        ({}, {"A": "$(B)", "B": "2"}, ["A=$(B)", "B=2"]),
        ({"A": "1", "B": "2"}, {"A": "$$(B)"}, ["A=$$(B)", "B=2"]),
        ({"A": "1", "B": "$(A)"}, {"A": "$(B)"}, ["B=$(A)", "A=$(B)"]),
        ({"A": "1"}, {"A": "$(A)2"}, ["A=$(A)2"]),
    ],
    ids=[
        "no references",
        "to the service's",
        "a replaced one to a new one",
        "a replaced one to a later one",
        "through a replaced one",
        "to one of a worker",
        "backwards",
        "escaped",
        "a circle",
        "to itself",
    ],
)
def test_given_variables_merged_over_variables_then_each_comes_after_its_references(
    base: dict[str, str], own: dict[str, str], expected: list[str]
) -> None:
    assert env(base, own) == expected


def test_given_a_replaced_url_of_a_dependency_then_the_variables_that_it_refers_to_precede_it() -> None:
    document = {
        "image": "web:1",
        "dependsOn": ["product"],
        "env": [{"name": "HOST", "value": "h"}, {"name": "PRODUCT_URL", "value": "http://$(HOST)"}],
    }

    (workload,) = workloads(ShopService("web", "shop", "uid", 1, document=document))

    assert [each.name for each in workload.env] == ["HOST", "PRODUCT_URL"]


def test_given_a_dependency_then_its_url_precedes_the_variables_that_refer_to_it() -> None:
    document = {
        "image": "web:1",
        "dependsOn": ["product"],
        "env": [{"name": "A", "value": "$(PRODUCT_URL)/a"}],
    }

    (workload,) = workloads(ShopService("web", "shop", "uid", 1, document=document))

    assert [each.name for each in workload.env] == ["PRODUCT_URL", "A"]


def test_given_a_value_with_references_and_escapes_then_the_references_of_kubernetes_are_found() -> None:
    assert references("$(A)-$$(B)-$$$(C)-$D-$(E") == ["A", "C"]


def test_given_a_variable_of_a_pod_template_then_it_comes_after_those_of_the_spec() -> None:
    document = {
        "image": "web:1",
        "env": [{"name": "URL", "value": "http://$(HOST)"}],
        "podTemplate": {
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "env": [{"name": "HOST", "value": "h"}, {"name": "API", "value": "$(URL)"}],
                    }
                ]
            }
        },
    }

    children = render(ShopService("web", "shop", "uid", 1, document=document), live=None)

    (deployment,) = (each for each in children if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert [each["name"] for each in container["env"]] == ["URL", "HOST", "API"]
