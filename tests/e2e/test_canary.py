"""Canary releases on the node: Traefik splits real requests, Prometheus measures them, and Argo Rollouts decides.

The tests release one service, from one version to the next, under a steady load. `-s` prints how many requests a bad version got.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from shopdev.demo.addons import argo_rollouts as addon
from shopdev.demo.observing import Backends
from shopdev.demo.target import Target
from tests.e2e.actors import Cluster
from tests.e2e.load import RATE, Load, load
from tests.waiting import wait_for

NAME: Final = "measured"
PROGRAM: Final = Path(__file__).with_name("measured.py")
FIRST_WEIGHT: Final = 20
SLOWEST_MS: Final = 200
STEPS: Final = [{"weight": FIRST_WEIGHT, "pause": "25s"}, {"weight": 50, "pause": "5s"}]
ANALYSIS: Final = {"maxErrorRate": "1%", "maxLatencyMs": SLOWEST_MS, "slos": ["availability"]}
AVAILABILITY: Final = {
    "name": "availability",
    "objective": "99",
    "indicator": {"availability": {}},
}
SECONDS: Final = 90.0


def shopservice(image: str) -> dict[str, Any]:
    """The service, which runs the program in the image of a service of the shop."""
    serve = ["gunicorn", "--config", "python:services.common.http.gunicorn", "--pythonpath", "/program"]
    pod = {
        "containers": [{"name": "app", "volumeMounts": [{"name": "program", "mountPath": "/program"}]}],
        "volumes": [{"name": "program", "configMap": {"name": NAME}}],
    }
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": NAME, "namespace": "shop"},
        "spec": {
            "image": image,
            "command": [*serve, f"{NAME}:application()"],
            "env": [{"name": "VERSION", "value": "1"}],
            "replicas": 2,
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "192Mi"}},
            "gateway": {"name": "shop"},
            "routes": [{"path": f"/{NAME}"}],
            "monitoring": {"interval": "5s", "slos": [AVAILABILITY]},
            "rollout": {"autoRollback": True, "canary": {"steps": STEPS, "analysis": ANALYSIS}},
            "podTemplate": {"spec": pod},
        },
    }


class Service:
    """The service under release.

    Args:
        cluster: the cluster.
        load: the requests of its customers.
    """

    def __init__(self, cluster: Cluster, load: Load) -> None:
        self._cluster = cluster
        self.load = load

    def release(self, version: str, **fault: str) -> float:
        """Change the version in the spec; returns the time."""
        variables = {"VERSION": version, **fault}
        env = [{"name": name, "value": value} for name, value in variables.items()]
        self._cluster.kubectl(
            *("patch", "shopservice", NAME, "-n", "shop", "--type=merge"),
            *("-p", json.dumps({"spec": {"env": env}})),
        )
        return time.monotonic()

    def get(self, kind: str) -> dict[str, Any]:
        return self._cluster.get(kind, NAME, "-n", "shop")

    def ready(self) -> dict[str, Any]:
        """The Ready condition, once it is about the newest spec."""
        found = self.get("shopservice")
        ready: dict[str, Any] = next(
            each for each in found["status"]["conditions"] if each["type"] == "Ready"
        )
        assert ready["observedGeneration"] == found["metadata"]["generation"], ready
        return ready

    def weights(self) -> dict[str, int]:
        (rule,) = self.get("httproute")["spec"]["rules"]
        return {each["name"]: each["weight"] for each in rule["backendRefs"]}

    def failed_measurements(self) -> dict[str, float]:
        """The metrics that exceeded their limit in the newest analysis -> the value."""
        runs = self._cluster.get("analysisruns", "-n", "shop")["items"]
        newest = max(runs, key=lambda each: each["metadata"]["creationTimestamp"])
        return {
            each["name"]: float(json.loads(each["measurements"][-1]["value"])[0])
            for each in newest["status"]["metricResults"]
            if each["phase"] == "Failed"
        }

    def wait_for_message(self, text: str) -> None:
        def said() -> bool:
            message = self.ready()["message"]
            assert text in message, message
            return True

        wait_for(said, SECONDS, what=text)

    def wait_until_split(self) -> None:
        """Wait until no release is in progress."""
        whole = {f"{NAME}-stable": 100, f"{NAME}-canary": 0}

        def settled() -> bool:
            assert self.ready()["status"] == "True", self.ready()
            assert self.weights() == whole
            return True

        wait_for(settled, SECONDS, what="no release in progress")

    def wait_until_rolled_back(self, version: str, cause: str) -> None:
        """Wait until Argo Rollouts has withdrawn the version, and the operator has restored the pod template."""

        def restored() -> bool:
            ready = self.ready()
            assert ready["reason"] == "RolledBack", ready
            assert cause in ready["message"], ready
            assert "which is available" in ready["message"], ready
            pod = self.get("deployment")["spec"]["template"]["spec"]
            assert {"name": "VERSION", "value": version} in pod["containers"][0]["env"]
            return True

        wait_for(restored, SECONDS, what=f"version {version} restored")

    def wait_until_all_are_answered_by(self, version: str) -> None:
        """Wait for a second in which one version answered all requests: Traefik follows an EndpointSlice after a moment."""

        def alone() -> bool:
            answered = self.load.versions(time.monotonic() - 1)
            assert set(answered) == {version}, answered
            return answered[version] > RATE / 2

        wait_for(alone, 10, what=f"all requests answered by version {version}")

    def answered_by(self, version: str, since: float) -> float:
        """The time of the first request that a version answered."""

        def first() -> float | None:
            return min(
                (each.began for each in self.load.since(since) if each.version == version), default=None
            )

        found = wait_for(first, SECONDS, what=f"a request answered by version {version}")
        assert found is not None
        return found


@pytest.fixture(scope="module")
def _argo_rollouts(target: Target, backends: Backends) -> Iterator[None]:
    addon.install(target)
    yield
    addon.remove(target)


@pytest.fixture(scope="module")
def service(_argo_rollouts: None, target: Target, cluster: Cluster, shop_url: str) -> Iterator[Service]:
    image = cluster.get("shopservice", "shipping", "-n", "shop")["spec"]["image"]
    data = {PROGRAM.name: PROGRAM.read_text()}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": "shop"},
            "data": data,
        }
    )
    cluster.apply(shopservice(image))
    try:
        with load(f"{shop_url}/{NAME}") as requests:
            found = Service(cluster, requests)
            found.wait_until_split()
            yield found
    finally:
        cluster.kubectl("delete", "shopservice", NAME, "-n", "shop")
        cluster.kubectl("delete", "configmap", NAME, "-n", "shop")


def all_succeeded(service: Service, since: float) -> None:
    lost = [each for each in service.load.since(since) if each.status != 200]
    assert lost == []


def test_given_a_good_version_when_the_spec_changes_and_both_controllers_restart_midway_then_the_newest_gets_all_requests(
    service: Service, cluster: Cluster
) -> None:
    began = service.release("2")
    service.answered_by("2", began)

    changed = service.release("3")
    first = service.answered_by("3", changed)
    service.wait_for_message(f"the new version gets {FIRST_WEIGHT} % of the requests (step 1 of 2)")
    status = cluster.shop("status", NAME).stdout
    assert (
        f"the new version gets {FIRST_WEIGHT} % of the requests (step 1 of 2); this step lasts 25s" in status
    )
    for namespace in ("argo-rollouts", "shop-operator"):
        cluster.kubectl("delete", "pods", "--all", "-n", namespace, "--wait=false")
    service.wait_until_split()

    assert time.monotonic() - first > 30, "the pauses of both steps"
    service.wait_until_all_are_answered_by("3")
    all_succeeded(service, began)


@pytest.mark.parametrize(
    ("version", "fault", "metric", "lowest"),
    [
        ("4", {"FAIL_EVERY": "50"}, "error-rate", 1.0),
        ("5", {"DELAY_SECONDS": "0.2"}, "latency", float(SLOWEST_MS)),
    ],
    ids=["2 % errors", "+200 ms"],
)
def test_given_a_bad_version_then_it_is_withdrawn_and_few_customers_have_met_it(
    service: Service, version: str, fault: dict[str, str], metric: str, lowest: float
) -> None:
    began = service.release(version, **fault)

    first = service.answered_by(version, began)
    service.wait_until_rolled_back("3", f'Metric "{metric}" assessed Failed')

    measured = service.failed_measurements()
    assert set(measured) == {metric}
    assert measured[metric] > lowest
    service.wait_until_all_are_answered_by("3")
    seen = service.load.since(first)
    bad = [each for each in seen if each.version == version]
    during = [each for each in seen if each.began <= bad[-1].began]
    failed = [each for each in bad if each.status != 200]
    sys.stdout.write(
        f"\n{metric} {measured[metric]:.1f}: version {version} got {len(bad)} of {len(during)} requests in"
        f" {bad[-1].began - first:.1f} s, {len(failed)} of them failed; released {first - began:.1f} s before\n"
    )
    assert len(bad) < 0.3 * len(during)
    assert [each for each in seen if each.status != 200 and each.version != version] == []
    assert bool(failed) is (metric == "error-rate")


def test_given_a_release_when_a_user_aborts_it_then_the_previous_version_gets_all_requests(
    service: Service, cluster: Cluster
) -> None:
    began = service.release("6")
    service.answered_by("6", began)

    cluster.kubectl(
        *("patch", "rollout", NAME, "-n", "shop", "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": {"abort": True}})),
    )

    service.wait_until_rolled_back("3", "Rollout aborted update")
    service.wait_until_all_are_answered_by("3")
    all_succeeded(service, began)
