"""The use of CPU and memory over time, from a Prometheus with the metrics of the kubelet or from the metrics API."""

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shop_operator.cli import workloads
from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import NotThere
from shop_operator.cli.recommend.sizing import History
from shop_operator.cli.top import metrics_api, prometheus
from shop_operator.cli.top.prometheus import Ask
from shop_operator.cli.top.rows import Resources
from shop_operator.names import COMPONENT_LABEL, NAME_LABEL

MOST_POINTS: Final = 1000
"""Samples of one pod in a query of Prometheus, which returns at most 11,000."""
_LEAST_STEP: Final = 60
_RATE_WINDOW: Final = "5m"
_LONGEST_POD: Final = 63
_RANDOM: Final = 5
_LONGEST_HASH: Final = 10
_POLL: Final = 5.0


def from_prometheus(ask: Ask, namespace: str, deployment: str, container: str, window: float) -> History:
    """The samples of a container in all pods that a Deployment had within the window.

    Args:
        ask: sends a request to the Prometheus.
        namespace: namespace of the Deployment.
        deployment: name of the Deployment.
        container: name of the container.
        window: seconds until now.

    Raises:
        CliError: the Prometheus does not answer, or rejects the query.
    """
    chosen = f'{{namespace="{namespace}", pod=~"{pods_of(deployment)}", container="{container}"}}'
    now = time.time()
    step = max(_LEAST_STEP, window / MOST_POINTS)
    used, kept = (
        [
            (labels.get("pod", ""), _finite(points))
            for labels, points in prometheus.matrix(ask, query, now - window, now, step)
        ]
        for query in (
            f"sum by (pod) (rate(container_cpu_usage_seconds_total{chosen}[{_RATE_WINDOW}]))",
            f"max by (pod) (container_memory_working_set_bytes{chosen})",
        )
    )
    times = [at for _, points in (*used, *kept) for at, _ in points]
    return History(
        "Prometheus",
        max(times, default=0.0) - min(times, default=0.0),
        len({pod for pod, _ in kept}),
        [value for _, points in used for _, value in points],
        [value for _, points in kept for _, value in points],
    )


def pods_of(deployment: str) -> str:
    """A regular expression for the names of the pods of a Deployment.

    A name consists of that of the Deployment, the hash of a ReplicaSet and five random characters. Kubernetes cuts what precedes
    the random characters, so that a name has at most 63 characters.
    """
    start = f"{deployment}-"[: _LONGEST_POD - _RANDOM]
    whole = f"[0-9a-z]+-[0-9a-z]{{{_RANDOM}}}"
    rest = _LONGEST_POD - len(start)
    if rest >= _LONGEST_HASH + 1 + _RANDOM:
        return start + whole
    return f"{start}({whole}|[0-9a-z]{{{rest}}})"


def _finite(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    return [each for each in points if all(map(math.isfinite, each))]


def from_metrics_api(
    cluster: Cluster, shop: Mapping[str, Any], wanted: Iterable[str | None], seconds: float
) -> dict[str | None, History]:
    """The samples of the metrics API while this function waits. A sample that was read twice counts once.

    Args:
        cluster: the cluster.
        shop: the ShopService.
        wanted: names of workers; None for the web workload.
        seconds: duration of the measurement.

    Raises:
        NotThere: the cluster has no metrics API.
    """
    namespace, name = shop["metadata"]["namespace"], shop["metadata"]["name"]
    seen: dict[str | None, dict[tuple[str, str], Resources]] = {each: {} for each in wanted}
    began = time.monotonic()
    while True:
        try:
            found = metrics_api.of_pods(cluster, namespace, f"{NAME_LABEL}={name}")
        except NotThere as error:
            raise NotThere(
                "the cluster has no metrics API; install metrics-server, or name a Prometheus with --prometheus"
            ) from error
        for pod in found:
            for worker, samples in seen.items():
                used = pod.of(workloads.container(worker))
                if used is not None and pod.labels.get(COMPONENT_LABEL) == workloads.component(shop, worker):
                    samples[pod.name, pod.at] = used
        if time.monotonic() - began >= seconds:
            break
        time.sleep(min(_POLL, seconds))
    took = time.monotonic() - began
    return {
        worker: History(
            "metrics API",
            took,
            len({pod for pod, _ in samples}),
            [each.cpu for each in samples.values() if each.cpu is not None],
            [each.memory for each in samples.values() if each.memory is not None],
        )
        for worker, samples in seen.items()
    }
