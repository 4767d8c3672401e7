"""Quantities on a real API server: every notation reaches the pod and causes no drift."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.objects.compare import differences
from shop_operator.render import render
from tests.integration.cluster import Cluster
from tests.integration.shopservices import shopservice

# The operator's fixture brings the CRD.
pytestmark = pytest.mark.usefixtures("operator_kubeconfig")


@pytest.mark.parametrize(
    "quantity",
    [
        0.5,
        1.5,
        2,
        2.0,
        1e6,
        0.00001,
        128974848,
        "0.5",
        ".5",
        "1.",
        "+1",
        "1P",
        "1E",
        "9E",
        "100E",
        "0.0625Gi",
        "1e3",
        *(
            "1E3",
            "100m",
            "1e-3",
            "500u",
            "1n",
            "0.0001",
            "8Ei",
            "1e99",
            "9223372036854775807",
            "128974848000m",
        ),
    ],
)
def test_given_a_valid_quantity_when_the_deployment_is_applied_then_no_drift_is_reported(
    cluster: Cluster, namespace: str, quantity: Any
) -> None:
    made = cluster.create(shopservice(namespace, resources={"limits": {"memory": quantity}}))
    shop = ShopService("web", namespace, made["metadata"]["uid"], 1, document=made["spec"])

    (child,) = (each for each in render(shop, live=None) if each["kind"] == "Deployment")
    live = cluster.apply(child)

    assert live["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert list(differences(child, live)) == []


@pytest.mark.parametrize("quantity", ["100 m", "much", -1, True, [], {}, [1], {"a": 1}, "1mi", ""])
def test_given_an_invalid_quantity_then_the_api_server_refuses_it_and_names_the_field(
    cluster: Cluster, namespace: str, quantity: Any
) -> None:
    answer = cluster.post(shopservice(namespace, resources={"limits": {"memory": quantity}}))

    assert answer.status_code == 422
    message = answer.json()["message"]
    assert "spec.resources.limits.memory" in message
    assert not isinstance(quantity, str) or "quantity_such_as_100m_or_0_5_or_128Mi" in message
