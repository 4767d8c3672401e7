"""The PrometheusRule of a ShopService with objectives, on a real API server with the real CRD."""

import json
from typing import Any

from tests.integration.cluster import Cluster
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for

AVAILABILITY: dict[str, Any] = {
    "name": "availability",
    "objective": "99.9",
    "indicator": {"availability": {}},
}
LATENCY: dict[str, Any] = {
    "name": "latency",
    "objective": "99",
    "indicator": {"latency": {"thresholdMs": 250, "selector": [{"label": "route", "values": ['/a"b']}]}},
}


def test_given_objectives_then_their_rules_follow_the_spec_and_are_repaired_and_pruned(
    optional_kinds: None, cluster: Cluster, operator: Operator, namespace: str
) -> None:
    monitored = shopservice(namespace, monitoring={"slos": [AVAILABILITY, LATENCY]})
    cluster.create(monitored)
    wait_for(lambda: "PrometheusRule/web" in cluster.children(namespace))

    def groups() -> list[str]:
        spec = cluster.get("PrometheusRule", namespace, "web")["spec"]
        return [group["name"] for group in spec["groups"]]

    assert groups() == ["web-availability", "web-availability-slow", "web-latency", "web-latency-slow"]

    cluster.patch("PrometheusRule", namespace, "web", {"spec": {"groups": []}})
    wait_for(lambda: len(groups()) == 4)

    cluster.patch("ShopService", namespace, "web", {"spec": {"monitoring": {"slos": [LATENCY]}}})
    wait_for(lambda: groups() == ["web-latency", "web-latency-slow"])

    cluster.patch("ShopService", namespace, "web", {"spec": {"monitoring": {"slos": None}}})
    wait_for(lambda: "PrometheusRule/web" not in cluster.children(namespace))


def test_given_objectives_when_nothing_changes_then_the_rules_are_not_written_again(
    optional_kinds: None, cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, monitoring={"slos": [AVAILABILITY, LATENCY]}))
    wait_for(lambda: "PrometheusRule/web" in cluster.children(namespace))
    before = cluster.get("PrometheusRule", namespace, "web")

    cluster.patch("ShopService", namespace, "web", {"spec": {"env": [{"name": "A", "value": "1"}]}})
    wait_for(lambda: '"A"' in json.dumps(cluster.get("Deployment", namespace, "web")["spec"]))

    assert (
        cluster.get("PrometheusRule", namespace, "web")["metadata"]["resourceVersion"]
        == (before["metadata"]["resourceVersion"])
    )
