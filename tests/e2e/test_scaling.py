"""Real CPU, measured by metrics-server, moves the HPA that the operator wrote. A real queue moves workers from zero and back by KEDA."""

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx
import pytest

from shopdev.clients import Clients
from shopdev.demo.addons import keda as addon
from shopdev.demo.target import LocalNode, Target
from tests.e2e.actors import Cluster, Shop
from tests.e2e.backlog import AMOUNT, Backlog
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


MESSAGES: Final = 8000
MOST: Final = 4
# So that the first scale-in is due while messages are left for longer than the autoscaler waits between two decisions, 15 s.
PER_REPLICA: Final = 1500
BURST: Final = "burst"
WORKER: Final = f"{BURST}-consumer"
# One of them is active at any time.
ALWAYS: Final = [
    {"start": "0 0 * * *", "end": "59 23 * * *", "replicas": 2},
    {"start": "0 12 * * *", "end": "59 11 * * *", "replicas": 2},
]
# Without the default stabilization, so that pods are removed while the others, and they themselves, are busy.
AT_ONCE: Final = {
    "scaleDown": {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}],
    }
}


class Change(NamedTuple):
    """A replica count, and the messages that were left when it was set."""

    replicas: int
    left: int


class Changes:
    """The replica counts of a Deployment, from a watch: many requests would slow down the node that handles the messages.

    Args:
        cluster: the cluster.
        deployment: name of the Deployment.
        backlog: its messages.
    """

    def __init__(self, cluster: Cluster, deployment: str, backlog: Backlog) -> None:
        self.seen: list[Change] = []
        self._backlog = backlog
        count = 'jsonpath={.spec.replicas}{"\\n"}'
        self._watch = subprocess.Popen(
            ["kubectl", "get", "deployment", deployment, "-n", "shop", "--watch", "-o", count],
            env=cluster.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def now(self) -> int | None:
        """The latest count, None if it is unknown."""
        return self.seen[-1].replicas if self.seen else None

    def end(self) -> None:
        self._watch.terminate()
        self._watch.wait()

    def _read(self) -> None:
        for line in self._watch.stdout or ():
            if line.strip() and int(line) != self.now():
                self.seen.append(Change(int(line), self._backlog.left()))


@pytest.fixture(scope="module")
def _keda(target: Target, cluster: Cluster) -> Iterator[None]:
    if not isinstance(target, LocalNode):
        if not json.loads(
            cluster.kubectl(
                "get", "crds", "-o", "json", "--field-selector", "metadata.name=scaledobjects.keda.sh"
            )
        )["items"]:
            pytest.skip("the cluster has no KEDA")
        yield
        return
    addon.install(target)
    yield
    addon.remove(target)


@pytest.fixture(scope="module")
def settings(cluster: Cluster) -> dict[str, str]:
    """The environment of the payment service."""
    spec = cluster.get("shopservice", "payment", "-n", "shop")["spec"]
    return {each["name"]: each["value"] for each in spec["env"] if "value" in each}


@pytest.fixture(scope="module")
def backlog(target: Target) -> Iterator[Backlog]:
    with target.aws() as env:
        made = Backlog.create(Clients(env["AWS_ENDPOINT_URL"]), f"burst-{uuid.uuid4().hex[:8]}")
        yield made
        made.remove()


@pytest.fixture(scope="module")
def _burst(_keda: None, cluster: Cluster, settings: dict[str, str], backlog: Backlog) -> Iterator[None]:
    """The payment service a second time, with a consumer that KEDA scales by a queue of its own."""
    spec = cluster.get("shopservice", "payment", "-n", "shop")["spec"]
    queue = f"{settings['TASKS_QUEUE_URL'].rpartition('/')[0]}/{backlog.queue.rpartition('/')[2]}"
    (consumer,) = (each for each in spec["workers"] if each["name"] == "consumer")
    consumer.pop("replicas", None)
    consumer["autoscaling"] = {
        "minReplicas": 0,
        "maxReplicas": MOST,
        "behavior": AT_ONCE,
        "queue": {
            "urlFrom": "TASKS_QUEUE_URL",
            "region": settings["AWS_REGION"],
            "endpoint": settings["AWS_ENDPOINT_URL"],
            "messagesPerReplica": PER_REPLICA,
            "pollingSeconds": 2,
            "cooldownSeconds": 5,
            "fallback": {"replicas": 2, "failures": 1},
        },
    }
    for field in ("replicas", "routes", "gateway", "gateways", "discovery"):
        spec.pop(field, None)
    spec |= {
        "env": [
            *(each for each in spec["env"] if each["name"] != "TASKS_QUEUE_URL"),
            {"name": "TASKS_QUEUE_URL", "value": queue},
            # A slow machine must not make the sandbox time out, which would leave payments undecided.
            {"name": "PROVIDER_SECONDS", "value": "30"},
        ],
        "autoscaling": {"minReplicas": 1, "maxReplicas": 3, "schedule": ALWAYS},
    }
    document = {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": BURST, "namespace": "shop"},
        "spec": spec,
    }
    cluster.apply(document)
    yield
    cluster.kubectl("delete", "shopservice", BURST, "-n", "shop")
    # KEDA removes its finalizer from the ScaledObjects.
    wait_for(lambda: not _scaled_objects(cluster), 30, what="no ScaledObjects left")


def _scaled_objects(cluster: Cluster) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.get(
        "scaledobjects", "-n", "shop", "-l", f"shopservice.dev/name={BURST}"
    )["items"]
    return found


def _replicas(cluster: Cluster, name: str) -> int:
    return int(cluster.get("deployment", name, "-n", "shop")["spec"]["replicas"])


@pytest.fixture
def changes(_burst: None, cluster: Cluster, backlog: Backlog) -> Iterator[Changes]:
    wait_for(lambda: len(_scaled_objects(cluster)) == 2, 30, what="the ScaledObjects")
    watched = Changes(cluster, WORKER, backlog)
    yield watched
    watched.end()


def test_given_a_burst_of_messages_then_keda_scales_from_zero_and_back_and_none_is_received_twice(
    changes: Changes, settings: dict[str, str], backlog: Backlog
) -> None:
    orders = [str(uuid.uuid4()) for _ in range(MESSAGES)]
    wait_for(lambda: changes.now() == 0, what="no pods without messages")

    backlog.charge(orders, settings["TOKENS_TABLE"])

    wait_for(lambda: changes.now() == MOST, 120, what=f"{MOST} pods")
    wait_for(lambda: backlog.left() == 0, 600, what="all messages handled")
    wait_for(lambda: changes.now() == 0, 60, what="no pods")
    peak = next(at for at, each in enumerate(changes.seen) if each.replicas == MOST)
    removals = [each for each in changes.seen[peak:] if each.replicas < MOST]
    assert [each for each in removals if each.left], f"none while messages were left: {removals}"
    assert backlog.dead() == 0, "messages that were received a second time"
    payments = backlog.payments(settings["TABLE"], orders)
    assert len(payments) == MESSAGES
    assert {each["state"] for each in payments.values()} == {"CHARGED"}
    assert {len(each["attempts"]) for each in payments.values()} == {1}
    assert all(each["charge"]["amount"] == AMOUNT for each in payments.values())


@pytest.mark.usefixtures("_burst")
def test_given_a_known_peak_then_its_pods_run_whatever_the_load_is(cluster: Cluster) -> None:
    wait_for(lambda: _replicas(cluster, BURST) == 2, 60, what="the pods of the peak")


@pytest.mark.usefixtures("_burst")
def test_given_a_queue_that_is_gone_then_the_fallback_runs_and_the_status_names_it(
    cluster: Cluster, backlog: Backlog
) -> None:
    assert _replicas(cluster, WORKER) == 0

    backlog.remove()

    wait_for(lambda: _replicas(cluster, WORKER) == 2, 90, what="the pods of the fallback")
    status = cluster.get("shopservice", BURST, "-n", "shop")["status"]
    (child,) = (
        each for each in status["children"] if (each["kind"], each["name"]) == ("ScaledObject", WORKER)
    )
    assert (child["ready"], child["message"]) == (False, "is not scaling yet: FallbackExists")
