"""Real CPU, measured by metrics-server, moves the HPA that the operator wrote."""

import threading
import time

import httpx
import pytest

from tests.e2e.actors import Cluster, Shop
from tests.waiting import wait_for

LONGEST_LOAD = 240.0
"""Seconds after which the load stops on its own."""


def _load(url: str, stop: threading.Event) -> None:
    end = time.monotonic() + LONGEST_LOAD
    with httpx.Client(base_url=url, timeout=10.0) as http:
        while not stop.is_set() and time.monotonic() < end:
            http.get("/products", params={"limit": "100"})


@pytest.fixture
def load(shop_url: str) -> "threading.Event":
    stop = threading.Event()
    threads = [threading.Thread(target=_load, args=(shop_url, stop), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    return stop


def test_given_load_on_the_product_service_then_the_autoscaler_raises_its_replicas(
    cluster: Cluster, shop: Shop, load: threading.Event
) -> None:
    minimum = cluster.get("shopservice", "product", "-n", "shop")["spec"]["autoscaling"]["minReplicas"]

    def replicas() -> int:
        return int(cluster.get("deployment", "product", "-n", "shop")["spec"]["replicas"])

    try:
        wait_for(lambda: replicas() > minimum, LONGEST_LOAD, what="more replicas under load")
        wait_for(lambda: len(cluster.pods("product", "web")) > minimum, 30, what="their pods")
    finally:
        load.set()
    scaled = cluster.get("hpa", "product", "-n", "shop")["status"]["desiredReplicas"]
    assert scaled > minimum
    assert shop.products(), "still answering"
