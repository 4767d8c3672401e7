"""Alerts of a real Prometheus that scrapes the node: payment is down, an order is late, and both are over.

The objectives are those of the chart, with two changes by its values. Their window is an hour instead of 30 days, so that the
windows of the alerts are 20 seconds to 6 minutes. Each latency may be 10 seconds, so that an order is late after seconds, and no
request because the machine is slow.
"""

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from shop_operator.render.slo.burn_rates import HOUR, burn_rates
from shop_operator.render.slo.rules import BURN_ALERTS, MISSING_ALERT
from shopdev.checkout import ROOT, SHOPSERVICES
from shopdev.codegen.slo.objectives import objectives
from shopdev.demo.addons import prometheus
from shopdev.demo.observing import Backends
from shopdev.demo.target import Target
from tests.e2e.actors import Cluster, Shop
from tests.headings import anchors
from tests.waiting import wait_for

Alert = tuple[str, str, str]
"""Name, service and objective."""

LATE_AFTER: Final = 10
SCRAPED_EVERY: Final = 5
# The alert waits for a scrape interval, because no window is shorter.
MISSING: Final[Alert] = (MISSING_ALERT, "payment", "queue-age")
LATE: Final[set[Alert]] = {(name, "order", "completion") for name in BURN_ALERTS.values()}
# An alert resolves once the event has left its shorter window and the rates that the window averages.
_SHORTER: Final = max(rate.short for rate in burn_rates("99", HOUR, SCRAPED_EVERY))
RESOLVED_WITHIN: Final = 2 * _SHORTER + 30
FIRES_WITHIN: Final = 60.0


def _values() -> dict[str, Any]:
    found: dict[str, Any] = {"global": {"slos": {"window": "1h"}}}
    for service in SHOPSERVICES:
        slos = [copy.deepcopy(dict(each.document)) for each in objectives() if each.service == service]
        for slo in slos:
            if "latency" in slo["indicator"]:
                slo["indicator"]["latency"]["thresholdMs"] = LATE_AFTER * 1000
        found[service] = {"monitoring": {"interval": f"{SCRAPED_EVERY}s", "slos": slos}}
    return found


def _reconciled(cluster: Cluster) -> bool:
    return all(
        each["status"]["observedGeneration"] == each["metadata"]["generation"]
        for each in cluster.get("shopservices", "-n", "shop")["items"]
    )


@pytest.fixture(scope="module")
def alerting(
    cluster: Cluster, target: Target, backends: Backends, shop: Shop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backends]:
    """Prometheus with the rules of the short windows. Afterwards, the release and the rules are as before."""
    values: Path = tmp_path_factory.mktemp("values") / "windows.yaml"
    values.write_text(yaml.safe_dump(_values()))
    chart = str(ROOT / "charts" / "shop")
    (current,) = json.loads(cluster.helm("history", "shop", "-n", "shop", "--max", "1", "-o", "json"))
    flags = ("-n", "shop", "--no-hooks", "--wait")
    cluster.helm("upgrade", "shop", chart, "--reuse-values", "--values", str(values), *flags)
    try:
        wait_for(lambda: _reconciled(cluster), 60, what="the rules of the operator")
        prometheus.load_rules(target, backends.prometheus)
        yield backends
    finally:
        cluster.helm("rollback", "shop", str(current["revision"]), *flags)
        wait_for(lambda: _reconciled(cluster), 60, what="the rules of the operator as before")
        prometheus.load_rules(target, backends.prometheus)


def alerts(backends: Backends, query: str = 'ALERTS{alertstate="firing"}') -> set[Alert]:
    """The firing alerts, or those of another query."""
    answer = httpx.get(f"{backends.prometheus}/api/v1/query", params={"query": query}, timeout=10.0)
    series = [each["metric"] for each in answer.raise_for_status().json()["data"]["result"]]
    return {(each["alertname"], each.get("service", ""), each.get("slo", "")) for each in series}


def fired_since(backends: Backends, began: float) -> set[Alert]:
    """The alerts that have fired since a time of the steady clock."""
    seconds = max(int(time.monotonic() - began), 1)
    return alerts(backends, f'max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])')


def test_given_payment_is_down_when_an_order_is_late_then_exactly_their_alerts_fire_and_they_resolve(
    alerting: Backends, cluster: Cluster, shop: Shop
) -> None:
    sku = shop.products()[1]["sku"]
    # The rate of a counter without a value before the late order would be unknown.
    assert shop.finished(shop.place(sku))["state"] == "SHIPPED"
    wait_for(lambda: not alerts(alerting), RESOLVED_WITHIN, what="no alert before the fault")
    began = time.monotonic()

    with cluster.stopped_worker("payment", "consumer"):
        placed, order_id = time.monotonic(), shop.place(sku)
        wait_for(lambda: alerts(alerting) == {MISSING}, FIRES_WITHIN, what="the alert that payment is absent")
        wait_for(lambda: time.monotonic() - placed > LATE_AFTER, 2 * LATE_AFTER, what="a late order")

    assert shop.finished(order_id)["state"] == "SHIPPED"
    # The faster alert may have resolved before the slower one fires.
    wait_for(
        lambda: fired_since(alerting, began) >= LATE, FIRES_WITHIN, what="the alerts that an order was late"
    )
    wait_for(lambda: not alerts(alerting), RESOLVED_WITHIN, what="no alert after the fault")
    assert fired_since(alerting, began) == {MISSING, *LATE}


def test_given_the_alerts_in_prometheus_then_each_links_to_a_section_of_a_page(alerting: Backends) -> None:
    answer = httpx.get(f"{alerting.prometheus}/api/v1/rules", params={"type": "alert"}, timeout=10.0)
    found = [rule for group in answer.raise_for_status().json()["data"]["groups"] for rule in group["rules"]]

    links = {rule["annotations"]["runbook_url"] for rule in found}
    pages = {page: anchors((ROOT / page).read_text()) for page in {link.partition("#")[0] for link in links}}

    assert {rule["name"] for rule in found} >= {MISSING_ALERT, *BURN_ALERTS.values()}
    assert links == {f"{page}#{each}" for page, sections in pages.items() for each in sections} & links
