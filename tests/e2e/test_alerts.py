"""Alerts of a real Prometheus that scrapes the node: payment is down for half a minute, and late orders burn an error budget.

The windows of the objectives are shortened by their value `window`, so that the alerts fire and resolve within a minute instead of
hours. Objectives about the speed of requests are left out, because they depend on that of the machine.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from shopdev.checkout import ROOT, SERVICES
from shopdev.demo.addons import prometheus
from shopdev.demo.observing import Backends
from shopdev.demo.target import Target
from tests.e2e.actors import Cluster, Shop
from tests.waiting import wait_for

IN_TIME = 10
"""Seconds within which an order must be shipped; production allows a minute."""
FIRES_WITHIN = RESOLVES_WITHIN = 90.0

MISSING = ("ShopServiceIndicatorMissing", "payment", "queue-age")
LATE = {
    ("ShopServiceErrorBudgetBurnsFast", "order", "completion"),
    ("ShopServiceErrorBudgetBurnsSlowly", "order", "completion"),
}

Alert = tuple[str, str, str]


def objective(name: str, percent: str, **indicator: Any) -> dict[str, Any]:
    return {"name": name, "objective": percent, "window": "1h", "indicator": indicator}


def objectives(service: str) -> list[dict[str, Any]]:
    found = [
        objective("availability", "99.9", availability={}),
        objective("queue-age", "99", queueAge={"thresholdSeconds": 60}),
    ]
    if service == "order":
        shipped = {
            "metric": "order_duration_seconds",
            "thresholdMs": IN_TIME * 1000,
            "selector": [{"label": "outcome", "values": ["shipped", "cancelled"]}],
        }
        found.append(objective("completion", "99", latency=shipped))
    return found


@pytest.fixture(scope="module")
def alerting(
    cluster: Cluster, target: Target, backends: Backends, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backends]:
    """The shop with objectives of an hour, whose alerts Prometheus has loaded."""
    values: Path = tmp_path_factory.mktemp("values") / "slos.yaml"
    short = {each: {"monitoring": {"interval": "5s", "slos": objectives(each)}} for each in SERVICES}
    values.write_text(yaml.safe_dump(short))
    chart = str(ROOT / "charts" / "shop")
    cluster.helm("upgrade", "shop", chart, "-n", "shop", "--reuse-values", "--values", str(values), "--wait")

    def rendered() -> bool:
        rules = cluster.get("prometheusrules", "-n", "shop")["items"]
        groups = {group["name"] for each in rules for group in each["spec"]["groups"]}
        wanted = {f"{service}-{each['name']}" for service in SERVICES for each in objectives(service)}
        return wanted <= groups

    wait_for(rendered, 60, what="the rules of the operator")
    prometheus.load_rules(target, backends.prometheus)
    yield backends
    cluster.helm("rollback", "shop", "-n", "shop", "--wait")


def test_given_payment_is_down_when_orders_are_late_then_exactly_their_alerts_fire_and_then_resolve(
    alerting: Backends, cluster: Cluster, shop: Shop
) -> None:
    sku = shop.products()[1]["sku"]
    wait_for(lambda: not firing(alerting), RESOLVES_WITHIN, what="no alert before the fault")
    began = time.monotonic()

    with cluster.stopped_worker("payment", "consumer"):
        late = shop.place(sku)
        placed = time.monotonic()
        wait_for(lambda: firing(alerting) == {MISSING}, FIRES_WITHIN, what="the alert that payment is absent")
        wait_for(lambda: time.monotonic() - placed > IN_TIME, 2 * IN_TIME, what="an order that is late")

    assert shop.finished(late)["state"] == "SHIPPED"
    wait_for(lambda: firing(alerting) >= LATE, FIRES_WITHIN, what="the alerts that an order was late")
    wait_for(lambda: not firing(alerting), RESOLVES_WITHIN, what="no alert after the fault")

    assert fired_within(alerting, time.monotonic() - began) == {MISSING, *LATE}


def firing(backends: Backends) -> set[Alert]:
    """The alerts that fire now: name, service and objective."""
    return fired(backends, 'ALERTS{alertstate="firing"}')


def fired_within(backends: Backends, seconds: float) -> set[Alert]:
    """The alerts that fired at any time within the last seconds."""
    return fired(backends, f'max_over_time(ALERTS{{alertstate="firing"}}[{seconds:.0f}s])')


def fired(backends: Backends, query: str) -> set[Alert]:
    answer = httpx.get(f"{backends.prometheus}/api/v1/query", params={"query": query}, timeout=10.0)
    series = [each["metric"] for each in answer.raise_for_status().json()["data"]["result"]]
    return {(each["alertname"], each.get("service", ""), each.get("slo", "")) for each in series}
