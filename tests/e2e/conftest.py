"""The shop as `make demo` installs it, on the local node or on the cluster that CLUSTER=current means."""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from shopdev.demo import steps
from shopdev.demo import target as targets
from shopdev.demo.observing import Backends
from tests.e2e.actors import Cluster, Shop
from tests.waiting import wait_for

NAMESPACES = ("aws", "shop-operator", "shop")


@pytest.fixture(scope="session")
def installed() -> tuple[targets.Target, Backends | None]:
    """The shop, on the local node with the backends of its traces and metrics."""
    chosen = targets.choose(os.environ)
    if isinstance(chosen, targets.LocalNode) and (platform.system() != "Linux" or os.geteuid() != 0):
        reason = (
            "the local node needs Linux and root; point the tests at a cluster: CLUSTER=current make test-e2e"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(f"e2e may not be skipped in CI: {reason}")
        pytest.skip(reason)
    backends = Backends() if isinstance(chosen, targets.LocalNode) else None
    steps.install(chosen, backends)
    return chosen, backends


@pytest.fixture(scope="session")
def target(installed: tuple[targets.Target, Backends | None]) -> targets.Target:
    return installed[0]


@pytest.fixture(scope="session")
def backends(installed: tuple[targets.Target, Backends | None]) -> Backends:
    found = installed[1]
    if found is None:
        pytest.skip("Jaeger and Prometheus are installed on the local node only")
    return found


@pytest.fixture(scope="session")
def cluster(target: targets.Target) -> Iterator[Cluster]:
    """After the last test: every container had the memory that it needed, the emulator with its functions among them."""
    cluster = Cluster(target.env())
    yield cluster
    killed = [each for namespace in NAMESPACES for each in cluster.out_of_memory(namespace)]
    assert killed == []


@pytest.fixture(scope="session")
def shop_url(target: targets.Target) -> Iterator[str]:
    with target.shop_url() as url:
        yield url


SignIn = Callable[[str], httpx.Client]


@pytest.fixture(scope="session")
def sign_in(target: targets.Target) -> Iterator[SignIn]:
    """Answers a client of the API Gateway that has a user's token: alice, bob or ops."""
    with ExitStack() as stack:

        def client(user: str) -> httpx.Client:
            signed_in = stack.enter_context(steps.customer(target, user))
            return stack.enter_context(
                httpx.Client(base_url=signed_in.url, headers=signed_in.http.headers, timeout=10.0)
            )

        yield client


@pytest.fixture(scope="session")
def shop(sign_in: SignIn) -> Shop:
    """Alice at the API Gateway."""
    http = sign_in("alice")
    shop = Shop(http)
    wait_for(lambda: http.get("/products").status_code == 200, 60, what="the catalogue behind the gateway")
    wait_for(lambda: http.get("/orders").status_code == 200, 60, what="the orders behind the gateway")
    sku = shop.products()[0]["sku"]
    # The first order also shows that the product facts have reached the order service.
    wait_for(lambda: shop.post_order(sku).status_code == 202, 60, what="a first order accepted")
    return shop
