"""`kubectl shop top` and `recommend` on the shop of the node, through the proxy of a real API server and with real CPU."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.actors import Cluster, Shop
from tests.waiting import wait_for


@pytest.fixture
def requests(shop_url: str) -> Iterator[None]:
    """A steady trickle of requests to the product service."""
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=shop_url, timeout=10.0) as http:
            while not stop.wait(0.05):
                http.get("/products")

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.usefixtures("requests")
def test_given_requests_when_top_runs_then_it_shows_their_rate_the_queue_and_real_cpu_and_memory(
    cluster: Cluster, shop: Shop
) -> None:
    assert shop.products()

    def measured() -> dict[str, dict[str, Any]] | None:
        done = cluster.shop("top", "product", "--scrape", "--interval", "3", "-o", "json")
        assert done.returncode == 0, done.stderr
        rows = {each["workload"]: each for each in json.loads(done.stdout)}
        # The metrics API has a new pod after its second measurement.
        return rows if rows["web"]["ratePerSecond"] and rows["web"]["cpuCores"] else None

    rows = wait_for(measured, 90, what="the rate and the CPU of the product service")

    assert rows is not None
    web, consumer = rows["web"], rows["consumer"]
    assert 1 < web["ratePerSecond"] < 25
    assert web["errorRate"] == 0
    assert 0 < web["p95Seconds"] < 5
    assert web["cpuCores"] > 0.001
    requested = cluster.get("shopservice", "product", "-n", "shop")["spec"]["resources"]["requests"]["cpu"]
    assert f"{web['cpuRequestCores'] * 1000 / len(cluster.pods('product', 'web')):.0f}m" == requested
    assert web["memoryBytes"] > 30 * 2**20 * web["replicas"]
    assert consumer["queueMessages"] is not None
    assert consumer["memoryBytes"] > 30 * 2**20


def test_given_a_short_measurement_when_recommend_runs_then_it_refuses_to_guess(cluster: Cluster) -> None:
    done = cluster.shop("recommend", "product", "--sample", "1s")

    assert done.returncode == 6, done.stdout + done.stderr
    assert "metrics API has" in done.stderr
    assert "a recommendation needs at least 20" in done.stderr
