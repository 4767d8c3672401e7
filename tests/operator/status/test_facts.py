"""The fields of a status beside its conditions."""

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.status.compute import status
from tests.operator.status.observing import NOW, SHOP, rolled_out, seen


def test_the_image_is_the_one_that_is_rolled_out() -> None:
    running = status(SHOP, seen(rolled_out(updatedReplicas=1)), {"image": "web:1"}, now=lambda: NOW)

    assert running["image"] == "web:1"
    assert status(SHOP, seen(rolled_out()), running, now=lambda: NOW)["image"] == "web:2"


def test_a_shopservice_scaled_to_zero_is_ready_with_zero_of_zero_pods() -> None:
    shop = ShopService(
        name="web", namespace="shop", uid="u", generation=3, document={"image": "web:2", "replicas": 0}
    )
    none = rolled_out(replicas=0, updatedReplicas=0, readyReplicas=0, availableReplicas=0)
    none["spec"]["replicas"] = 0

    found = status(shop, seen(none), {}, now=lambda: NOW)

    assert found["ready"] == "0/0"
    assert next(c for c in found["conditions"] if c["type"] == "Ready")["status"] == "True"
