"""Metrics of a running operator as scraped by Prometheus."""

import re

from tests.integration.cluster import Cluster
from tests.integration.operators import ROOT, Operator
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for

_ROW = re.compile(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \|", re.MULTILINE)


def test_given_every_metric_of_the_reference_then_the_operator_serves_it_with_its_type(
    operator: Operator,
) -> None:
    told = dict(_ROW.findall((ROOT / "docs/reference/metrics.md").read_text()))
    served = dict(re.findall(r"^# TYPE (\S+) (\S+)$", operator.ask("/metrics").text, re.MULTILINE))

    assert len(told) > 20
    assert {name: served.get(name) for name in told} == told


def test_given_a_shopservice_then_its_series_show_its_state_and_disappear_with_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    def series(name: str, **labels: str) -> float:
        return operator.metric(name, namespace=namespace, name="web", **labels)

    # Not ours, and in the way.
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"ports": [{"port": 1}]},
        }
    )
    cluster.create(shopservice(namespace, replicas=0))
    wait_for(lambda: series("shop_operator_shopservice_stalled", reason="Conflict") == 1)

    cluster.delete("Service", namespace, "web")
    # Any change has it look again before its time.
    changed = cluster.patch("ShopService", namespace, "web", {"spec": {"port": 8081}})
    generation = changed["metadata"]["generation"]
    # A pass that began before may create the Service first; the one that replaces it would not count the following drift.
    wait_for(
        lambda: cluster.get("ShopService", namespace, "web")["status"]["observedGeneration"] == generation
    )
    wait_for(lambda: series("shop_operator_shopservice_ready") == 1)
    assert series("shop_operator_shopservice_stalled") == 0
    assert series("shop_operator_reconcile_last_success_timestamp_seconds") > 1_700_000_000

    drifts = operator.metric("shop_operator_drift_total", kind="Service")
    cluster.patch("Service", namespace, "web", {"spec": {"selector": {"app": "other"}}})
    wait_for(lambda: operator.metric("shop_operator_drift_total", kind="Service") == drifts + 1)
    assert operator.metric("shop_operator_child_writes_total", kind="Service", operation="update") >= 1

    cluster.delete("ShopService", namespace, "web")
    wait_for(lambda: f'namespace="{namespace}"' not in operator.ask("/metrics").text)
