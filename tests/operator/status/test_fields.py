"""The fields of a status beside its conditions."""

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.status.compute import status
from tests.operator.status.observing import NOW, SHOP, rolled_out, seen


def test_given_a_new_image_when_its_rollout_completes_then_the_status_reports_it() -> None:
    running = status(SHOP, seen(rolled_out(updatedReplicas=1)), {"image": "web:1"}, now=lambda: NOW)

    assert running["image"] == "web:1"
    assert status(SHOP, seen(rolled_out()), running, now=lambda: NOW)["image"] == "web:2"


def test_given_zero_replicas_then_ready_is_true_and_the_column_shows_0_of_0() -> None:
    shop = ShopService(
        name="web", namespace="shop", uid="u", generation=3, document={"image": "web:2", "replicas": 0}
    )
    none = rolled_out(replicas=0, updatedReplicas=0, readyReplicas=0, availableReplicas=0)
    none["spec"]["replicas"] = 0

    found = status(shop, seen(none), {}, now=lambda: NOW)

    assert found["ready"] == "0/0"
    assert next(c for c in found["conditions"] if c["type"] == "Ready")["status"] == "True"
