"""The budget depends on the running pods, and never blocks the drain of a node."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.shares import at_least
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import LiveScale, render

WORKER: dict[str, Any] = {"name": "relay", "command": ["relay"]}
ONE = {"maxUnavailable": 1}


def scaled(least: int, most: int) -> dict[str, Any]:
    return {"autoscaling": {"minReplicas": least, "maxReplicas": most}}


def budget(live: dict[str, int] | None, name: str = "web", **spec: Any) -> dict[str, Any] | None:
    """The bound of a PodDisruptionBudget; None without one."""
    shop = ShopService("web", "ns", "u", 1, document={"image": "shop:1", **spec})
    scale = None if live is None else LiveScale(live, autoscaled=frozenset(live))
    found = (
        child["spec"]
        for child in render(shop, live=scale)
        if (child["kind"], child["metadata"]["name"]) == ("PodDisruptionBudget", name)
    )
    spec_of_it = next(found, None)
    if spec_of_it is None:
        return None
    assert spec_of_it["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    return {key: value for key, value in spec_of_it.items() if key in {"minAvailable", "maxUnavailable"}}


@pytest.mark.parametrize(
    ("given", "count", "bound"),
    [
        ({}, None, None),
        ({"replicas": 0}, None, None),
        ({"replicas": 1}, 1, None),
        ({"replicas": 2}, None, ONE),
        # The autoscaler may run more than one at any time.
        (scaled(1, 6), None, ONE),
        (scaled(1, 6), 1, ONE),
        (scaled(1, 6), 4, ONE),
        (scaled(1, 1), 1, None),
        # A removed autoscaler has left four.
        ({}, 4, ONE),
        ({}, 1, None),
        # The bound of the spec applies as long as it permits an eviction.
        ({**scaled(1, 6), "disruption": {"minAvailable": 2}}, 4, {"minAvailable": 2}),
        ({**scaled(1, 6), "disruption": {"minAvailable": 2}}, 3, {"minAvailable": 2}),
        ({**scaled(1, 6), "disruption": {"minAvailable": 2}}, 2, ONE),
        ({**scaled(1, 6), "disruption": {"minAvailable": 1}}, 1, ONE),
        ({**scaled(1, 6), "disruption": {"minAvailable": "50%"}}, 1, ONE),
        ({**scaled(1, 6), "disruption": {"minAvailable": "50%"}}, 2, {"minAvailable": "50%"}),
        ({**scaled(1, 6), "disruption": {"minAvailable": "67%"}}, 3, ONE),
        ({**scaled(1, 6), "disruption": {"maxUnavailable": "50%"}}, 1, {"maxUnavailable": "50%"}),
        ({"replicas": 4, "disruption": {"minAvailable": 3}}, 4, {"minAvailable": 3}),
        # Scaled down to the available minimum, and back.
        ({"replicas": 2, "disruption": {"minAvailable": 2}}, 2, ONE),
        ({"replicas": 3, "disruption": {"minAvailable": 2}}, 3, {"minAvailable": 2}),
        ({**scaled(2, 4), "disruption": {"minAvailable": "51%"}}, 2, ONE),
    ],
)
def test_given_a_number_of_pods_then_the_budget_has_the_matching_bound(
    given: dict[str, Any], count: int | None, bound: dict[str, Any] | None
) -> None:
    assert budget(None if count is None else {"web": count}, **given) == bound


def test_given_a_worker_then_its_budget_follows_its_own_pods_and_ignores_the_budget_of_the_web_pods() -> None:
    workers = [{**WORKER, **scaled(1, 3)}]

    assert budget({"web": 4, "web-relay": 1}, "web-relay", workers=workers) == ONE
    assert (
        budget(
            {"web": 4, "web-relay": 2},
            "web-relay",
            workers=workers,
            replicas=4,
            disruption={"minAvailable": 3},
        )
        == ONE
    )
    assert budget({"web": 1, "web-relay": 1}, "web-relay", workers=[WORKER]) is None


@pytest.mark.parametrize("count", range(1, 8))
@pytest.mark.parametrize("needed", [1, 2, 5, "1%", "50%", "51%", "99%"])
def test_given_any_min_available_then_a_drain_may_always_evict_one_pod(count: int, needed: int | str) -> None:
    bound = budget({"web": count}, **scaled(1, 9), disruption={"minAvailable": needed})

    assert bound is not None
    kept = bound.get("minAvailable")
    assert kept is None or at_least(kept, count) < count
