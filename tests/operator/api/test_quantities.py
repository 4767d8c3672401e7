"""Quantities with and without quotes: the values that Kubernetes accepts, and their comparison."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.objects.compare import differences


def limit(value: Any) -> int | str:
    """A memory limit after validation."""
    document = {"image": "web:1", "resources": {"limits": {"memory": value}}}
    resources = ShopService("web", "shop", "uid", 1, document=document).spec.resources
    assert resources is not None
    assert resources.limits is not None
    return resources.limits["memory"]


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        (0.5, "0.5"),
        (1.5, "1.5"),
        (2, 2),
        (2.0, 2),
        (1e6, 1000000),
        (0.00001, "1e-05"),
        *((text, text) for text in ("0.5", ".5", "1.", "+1", "1P", "1E", "0.0625Gi", "1e3", "1E3", "100m")),
        *(
            (text, text)
            for text in ("1e-3", "500u", "1n", "128974848000m", "8Ei", "0", "9223372036854775807")
        ),
    ],
)
def test_given_a_quantity_of_kubernetes_then_it_is_accepted(written: Any, taken: Any) -> None:
    assert limit(written) == taken
    assert type(limit(written)) is type(taken)


@pytest.mark.parametrize(
    "written",
    ["100 m", "much", "", "-1", -1, -0.5, True, "1mi", "1KI", "1e", "1e1.5", "m", [], {}, "1Mi ", "1\n"],
)
def test_given_an_invalid_quantity_then_the_message_has_examples(written: Any) -> None:
    with pytest.raises(InvalidSpec, match=r'must be a quantity such as 100m, "0\.5" or 128Mi'):
        limit(written)


def limited(cpu: Any) -> dict[str, Any]:
    """A Deployment with a single container that has this limit."""
    container = {"name": "app", "resources": {"limits": {"cpu": cpu}}}
    return {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}}


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        ("0.5", "500m"),
        (2, "2"),
        ("0.0625Gi", "64Mi"),
        ("1e3", "1k"),
        ("0.0001", "1m"),
        ("1n", "1m"),
        ("1.0005", "1001m"),
        ("100E", "9223372036854775807"),
        ("8Ei", "9223372036854775807"),
        ("1Ei", "1152921504606846976"),
    ],
)
def test_given_a_quantity_that_kubernetes_rounds_or_caps_then_no_drift_is_reported(
    desired: Any, live: str
) -> None:
    assert differences(limited(desired), limited(live)) == []


def test_given_another_quantity_then_drift_is_reported() -> None:
    (path,) = differences(limited("0.0011"), limited("1m"))

    assert path.endswith("resources.limits.cpu")


@pytest.mark.parametrize("written", ["1.2.3", "..", ".", "1e99999999999", "1e-99999999999999999999"])
def test_given_a_desired_value_that_is_no_quantity_then_drift_is_reported(written: str) -> None:
    (path,) = differences(limited(written), limited("1"))

    assert path.endswith("resources.limits.cpu")


@pytest.mark.parametrize("value", [True, 8080, 0.5])
def test_given_a_variable_that_is_not_a_string_then_the_message_mentions_quotes(value: Any) -> None:
    document = {"image": "web:1", "env": [{"name": "A", "value": value}]}

    with pytest.raises(InvalidSpec, match=r"spec\.env\[0\]\.value: .* in quotes"):
        _ = ShopService("web", "shop", "uid", 1, document=document).spec
