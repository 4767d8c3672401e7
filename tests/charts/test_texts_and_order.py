"""charts/shop-service: what is meant as text arrives as text, numbers as they were written, and variables in an order that works."""

from typing import Any

import pytest

from tests.charts.helm import Helm, Object, Refused, only

IMAGE = {"image": {"repository": "cart", "tag": "v1"}}


def shopservice(helm: Helm, values: dict[str, Any]) -> Object:
    return only(helm.template("shop-service", IMAGE | values, release="cart"), "ShopService")


def variables(spec: Object) -> list[str]:
    return [f"{each['name']}={each.get('value', '')}" for each in spec["env"]]


def test_given_a_variable_that_refers_to_another_then_the_other_one_comes_first(helm: Helm) -> None:
    env = {"POSTGRES_HOST": "db", "DATABASE_URL": "postgres://$(POSTGRES_HOST)/shop", "A": "$(DATABASE_URL)"}

    assert variables(shopservice(helm, {"env": env})["spec"]) == [
        "POSTGRES_HOST=db",
        "DATABASE_URL=postgres://$(POSTGRES_HOST)/shop",
        "A=$(DATABASE_URL)",
    ]


def test_given_no_reference_to_order_by_then_variables_are_sorted_by_name(helm: Helm) -> None:
    env = {"B": "$$(C)", "C": "$(A)", "A": "$(A)$(OTHER)"}

    assert variables(shopservice(helm, {"env": env})["spec"]) == ["A=$(A)$(OTHER)", "B=$$(C)", "C=$(A)"]


def test_given_shared_variables_then_references_are_ordered_across_both_maps(helm: Helm) -> None:
    values = {"global": {"env": {"URL": "http://$(ZONE)", "HOST": "h"}}, "env": {"ZONE": "$(HOST).z"}}

    assert variables(shopservice(helm, values)["spec"]) == ["HOST=h", "ZONE=$(HOST).z", "URL=http://$(ZONE)"]


def test_given_a_worker_then_its_variables_are_ordered_too(helm: Helm) -> None:
    source = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    worker = {"command": ["run"], "env": {"A": "$(POD)-$(SHARED)", "POD": source}}

    (made,) = shopservice(helm, {"env": {"SHARED": "s"}, "workers": {"mailer": worker}})["spec"]["workers"]

    assert variables(made) == ["POD=", "A=$(POD)-$(SHARED)"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"env": {"A": "$(B)", "B": "$(C)", "C": "$(A)", "D": "1"}},
            "the variables A, B, C of cart have circular references",
        ),
        (
            {"workers": {"mailer": {"command": ["run"], "env": {"A": "$(B)", "B": "$(A)"}}}},
            "the variables A, B of worker mailer of cart have circular references",
        ),
        ({"env": {"VERSION": 1.1}}, "variable VERSION of cart is the number 1.1: quote it"),
        ({"env": {"ID": 12345678901234567890}}, "variable ID of cart is the number"),
        (
            {"image": {"repository": "cart", "tag": 1.1}},
            "image.tag of cart is the number 1.1: quote it",
        ),
        ({"annotations": {"a": 0.5}}, "annotation a is the number 0.5: quote it"),
    ],
)
def test_given_circular_references_or_ambiguous_numbers_then_the_error_says_how_to_fix_them(
    helm: Helm, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused) as refused:
        shopservice(helm, values)

    assert sentence in refused.value.sentence


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8080, "8080"),
        (1000000, "1000000"),
        (123456789012, "123456789012"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        ("", ""),
        ("0123", "0123"),
    ],
)
def test_given_a_number_or_a_boolean_for_a_string_then_it_is_rendered_as_written(
    helm: Helm, value: Any, text: str
) -> None:
    made = shopservice(
        helm,
        {
            "env": {"A": value},
            "global": {"env": {"B": value}},
            "workers": {"mailer": {"command": ["run"], "env": {"C": value}}},
            "labels": {"l": value},
            "annotations": {"a": value},
        },
    )

    assert variables(made["spec"]) == [f"A={text}", f"B={text}"]
    assert variables(made["spec"]["workers"][0]) == [f"C={text}"]
    assert made["metadata"]["labels"]["l"] == text
    assert made["metadata"]["annotations"]["a"] == text


@pytest.mark.parametrize("tag", [1, 20261128, "1.10"])
@pytest.mark.parametrize("chart", ["shop-operator", "local-aws"])
def test_given_a_numeric_tag_then_the_other_charts_render_it_in_the_image(
    helm: Helm, chart: str, tag: Any
) -> None:
    objects = helm.template(chart, {"image": {"tag": tag}})

    assert any(f":{tag}'" in str(each) for each in objects)


@pytest.mark.parametrize("where", ["own", "shared"])
def test_given_a_numeric_tag_then_the_image_has_it(helm: Helm, where: str) -> None:
    own = {"image": {"repository": "cart", "tag": 20261128}}
    shared = {"image": {"repository": "cart", "tag": ""}, "global": {"image": {"tag": 20261128}}}

    assert shopservice(helm, own if where == "own" else shared)["spec"]["image"] == "cart:20261128"


@pytest.mark.parametrize("quantity", [0.5, 2, 1000000, 134217728, "0.5", "128Mi", 0.0625])
def test_given_a_quantity_without_quotes_then_it_is_rendered_as_written(helm: Helm, quantity: Any) -> None:
    made = shopservice(helm, {"resources": {"limits": {"memory": quantity}}})

    assert made["spec"]["resources"]["limits"]["memory"] == quantity


def test_given_an_invalid_quantity_then_helm_refuses_it(helm: Helm) -> None:
    with pytest.raises(Refused, match="100 m"):
        shopservice(helm, {"resources": {"limits": {"memory": "100 m"}}})


def test_given_lists_with_a_meaningful_order_then_they_are_rendered_as_written(helm: Helm) -> None:
    lists: dict[str, Any] = {
        "envFrom": [{"secretRef": {"name": "z"}}, {"configMapRef": {"name": "a"}}],
        "imagePullSecrets": [{"name": "z"}, {"name": "a"}],
        "args": ["z", "a"],
        "command": ["z", "a"],
        "gateway": {"name": "shop"},
        "routes": [{"path": "/z"}, {"path": "/a"}],
    }

    spec = shopservice(helm, lists)["spec"]

    assert {name: spec[name] for name in lists} == lists
