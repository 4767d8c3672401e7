"""The use of CPU and memory over time, from a Prometheus with the metrics of the kubelet or from the metrics API."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shop_operator.cli import workloads
from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import NotThere
from shop_operator.cli.recommend.sizing import History
from shop_operator.cli.top import prometheus
from shop_operator.cli.top.prometheus import Ask
from shop_operator.cli.top.rows import resources
from shop_operator.names import COMPONENT_LABEL, NAME_LABEL

MOST_POINTS: Final = 1000
"""Samples of one pod in a query of Prometheus, which returns at most 11,000."""
_LEAST_STEP: Final = 60
_RATE_WINDOW: Final = "5m"
_METRICS: Final = "/apis/metrics.k8s.io/v1beta1/namespaces"
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
    chosen = (
        f'{{namespace="{namespace}", pod=~"{deployment}-[0-9a-z]+-[0-9a-z]{{5}}", container="{container}"}}'
    )
    now = time.time()
    step = max(_LEAST_STEP, window / MOST_POINTS)

    def series(query: str) -> list[Any]:
        asked = {"query": query, "start": f"{now - window:.0f}", "end": f"{now:.0f}", "step": f"{step:.0f}"}
        return prometheus.result(ask, "/api/v1/query_range", asked)

    used = series(f"sum by (pod) (rate(container_cpu_usage_seconds_total{chosen}[{_RATE_WINDOW}]))")
    kept = series(f"max by (pod) (container_memory_working_set_bytes{chosen})")
    times = [float(at) for each in (*used, *kept) for at, _ in each["values"]]
    return History(
        "Prometheus",
        max(times, default=0.0) - min(times, default=0.0),
        len({each["metric"].get("pod", "") for each in kept}),
        [float(value) for each in used for _, value in each["values"]],
        [float(value) for each in kept for _, value in each["values"]],
    )


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
    seen: dict[str | None, dict[tuple[str, str], Any]] = {each: {} for each in wanted}
    began = time.monotonic()
    while True:
        try:
            answer = cluster.text(f"{_METRICS}/{namespace}/pods", {"labelSelector": f"{NAME_LABEL}={name}"})
        except NotThere as error:
            raise NotThere(
                "the cluster has neither a Prometheus that was found nor a metrics API; name one with --prometheus,"
                " or install metrics-server"
            ) from error
        for pod in json.loads(answer)["items"]:
            metadata = pod["metadata"]
            for worker, samples in seen.items():
                if metadata.get("labels", {}).get(COMPONENT_LABEL) != workloads.component(shop, worker):
                    continue
                used = _of_container(pod, workloads.container(worker))
                if used is not None:
                    samples[metadata["name"], pod["timestamp"]] = used
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


def _of_container(pod: Mapping[str, Any], container: str) -> Any:
    found = next((each for each in pod["containers"] if each["name"] == container), None)
    return None if found is None else resources(found["usage"])
