"""A new version of one service under traffic causes no errors in the others."""

import itertools
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import httpx
import pytest

from shopdev.checkout import ROOT
from shopdev.demo import target as targets
from shopdev.demo.images import SOURCES, Image, files
from tests.e2e.actors import Cluster, Shop
from tests.e2e.conftest import SignIn
from tests.waiting import wait_for

THREADS, PAUSE = 3, 0.1
LONGEST_TRAFFIC = 240.0
"""Seconds after which the traffic stops on its own."""
OTHERS = ("payment", "product", "shipping")
BEFORE = '"created_at": clock.rfc3339(order.created_at),'
AFTER = f'{BEFORE}\n        "gift": False,'


@dataclass
class Traffic:
    """Customers who order and look, each request once: what fails is written down and not tried again."""

    http: httpx.Client
    skus: list[str]
    accepted: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    answers: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._next_sku = itertools.cycle(self.skus)
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self) -> None:
        end = time.monotonic() + LONGEST_TRAFFIC
        shop = Shop(self.http)
        while not self._stop.wait(PAUSE) and time.monotonic() < end:
            placed = self._counted(lambda: shop.post_order(next(self._next_sku), key=str(uuid.uuid4())), 202)
            if placed is not None:
                order = placed.json()["id"]
                self.accepted.append(order)
                self._counted(partial(self.http.get, f"/orders/{order}"), 200)
            self._counted(lambda: self.http.get("/products", params={"limit": "5"}), 200)

    def _counted(self, ask: Callable[[], httpx.Response], expected: int) -> httpx.Response | None:
        try:
            answer = ask()
        except httpx.HTTPError as error:
            self.failures.append(repr(error))
            return None
        self.answers += 1
        if answer.status_code != expected:
            self.failures.append(
                f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
            )
            return None
        return answer


@pytest.fixture
def newer_order_service(target: targets.Target, tmp_path: Path) -> Image:
    """An image of the order service whose orders have a field more."""
    tree = tmp_path / "tree"
    for file in files(ROOT, "Dockerfile", ".dockerignore", *SOURCES["order"]):
        copy = tree / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    api = tree / "services" / "order" / "api.py"
    source = api.read_text()
    assert BEFORE in source
    api.write_text(source.replace(BEFORE, AFTER, 1))
    return target.deliver_images(tree, ["order"])["order"]


@pytest.fixture
def put_back(cluster: Cluster) -> Iterator[None]:
    """The release as it was, for the tests after this one."""
    revision = cluster.helm("history", "shop", "-n", "shop", "--max", "1", "-o", "json")
    yield
    if cluster.helm("history", "shop", "-n", "shop", "--max", "1", "-o", "json") != revision:
        cluster.helm("rollback", "shop", "-n", "shop", "--wait", "--timeout", "3m")
    cluster.kubectl(
        *("wait", "shopservices", "--all", "-n", "shop", "--for=condition=Ready", "--timeout=120s")
    )


def pods(cluster: Cluster, *services: str) -> dict[str, int]:
    """Uid of each pod of some services -> how often its containers were restarted."""
    selector = f"shopservice.dev/name in ({','.join(services)})"
    return {
        pod["metadata"]["uid"]: sum(each["restartCount"] for each in pod["status"]["containerStatuses"])
        for pod in cluster.get("pods", "-n", "shop", "-l", selector)["items"]
        if "deletionTimestamp" not in pod["metadata"]
    }


def orders_of(http: httpx.Client) -> list[str]:
    """The ids of all orders of a customer."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = http.get("/orders", params={"limit": "100", **({"cursor": cursor} if cursor else {})}).json()
        found += [order["id"] for order in page["items"]]
        cursor = page["next"]
    return found


@pytest.mark.usefixtures("put_back", "shop")
def test_given_traffic_when_a_new_version_of_one_service_is_deployed_then_no_request_fails(
    cluster: Cluster, sign_in: SignIn, newer_order_service: Image
) -> None:
    bob = sign_in("bob")
    shop = Shop(bob)
    orders_before = set(orders_of(bob))
    untouched, replaced = pods(cluster, *OTHERS), pods(cluster, "order")
    skus = [product["sku"] for product in shop.products(limit="100") if product["available"] > 20]

    with Traffic(bob, skus) as traffic:
        wait_for(lambda: len(traffic.accepted) > 10, 60, what="traffic")
        assert "gift" not in shop.order(traffic.accepted[0])
        cluster.helm(
            *("upgrade", "shop", str(ROOT / "charts" / "shop"), "-n", "shop", "--reuse-values", "--wait"),
            *("--set-string", f"order.image.tag={newer_order_service.tag}", "--timeout", "3m"),
        )
        wait_for(lambda: not replaced.keys() & pods(cluster, "order").keys(), 120, what="no old pod of order")
        since = len(traffic.accepted)
        wait_for(lambda: len(traffic.accepted) > since + 10, 60, what="traffic on the new version")

    assert traffic.failures == [], f"of {traffic.answers} requests"
    assert shop.order(traffic.accepted[0])["gift"] is False, "the new version answers"
    assert pods(cluster, *OTHERS) == untouched
    listed = [order for order in orders_of(bob) if order not in orders_before]
    assert sorted(listed) == sorted(traffic.accepted), "none lost, none twice"
    for order in traffic.accepted:
        finished = shop.finished(order)
        assert finished["state"] == "SHIPPED"
        assert bob.get(f"/payments/{order}").json()["charged"] == finished["total"], "charged exactly once"
