"""The operator's Prometheus series, under the names that controller-runtime users know.

One registry per process, made here and handed to whoever reports; queue.py and kube.py know nothing of it.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTROLLER: Final = "shopservice"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Every series of the process; also the queue's observer."""

    def __init__(self, *, lease: str) -> None:
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._reconciles = self._counter(
            "controller_runtime_reconcile", "Reconciles by result.", ("controller", "result")
        )
        self._reconcile_seconds = self._histogram(
            "controller_runtime_reconcile_time_seconds", "Length of a reconcile.", ("controller",)
        )
        self._active = self._gauge(
            "controller_runtime_active_workers", "Workers that are reconciling now.", ("controller",)
        ).labels(CONTROLLER)
        self._requests = self._counter(
            "rest_client_requests", "Requests to the API server.", ("code", "method")
        )
        self._depth = self._gauge("workqueue_depth", "Keys that wait.", ("name",)).labels(CONTROLLER)
        self._adds = self._counter("workqueue_adds", "Keys added.", ("name",)).labels(CONTROLLER)
        self._retries = self._counter("workqueue_retries", "Keys added after a failure.", ("name",)).labels(
            CONTROLLER
        )
        self._waited = self._histogram(
            "workqueue_queue_duration_seconds", "How long a key waited.", ("name",)
        ).labels(CONTROLLER)
        self._worked = self._histogram(
            "workqueue_work_duration_seconds", "How long a key was worked on.", ("name",)
        ).labels(CONTROLLER)
        self._leading = self._gauge(
            "leader_election_master_status", "1 while this process holds the lease.", ("name",)
        ).labels(lease)
        self._leading.set(0)
        self._shops = self._gauge("shop_operator_shopservices", "ShopServices in the cache.", ())
        self._writes = self._counter(
            "shop_operator_child_writes", "Children applied or pruned.", ("kind", "operation")
        )

        self._drift = self._counter(
            "shop_operator_drift", "Children put back after somebody had changed them.", ("kind",)
        )
        self._rollbacks = self._counter("shop_operator_rollbacks", "Images that were rolled back.", ())

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...]) -> Histogram:
        return Histogram(name, text, labels, registry=self._registry, buckets=_SECONDS)

    def exposition(self) -> bytes:
        """All series in the Prometheus text format."""
        return generate_latest(self._registry)

    def request(self, method: str, code: int) -> None:
        """The API server answered one request."""
        self._requests.labels(str(code), method).inc()

    def leading(self, *, leads: bool) -> None:
        """The lease was won or lost."""
        self._leading.set(int(leads))

    def shops(self, number: int) -> None:
        """So many ShopServices are known."""
        self._shops.set(number)

    def wrote(self, kind: str, operation: str) -> None:
        """A child was written; operation is create, update or delete."""
        self._writes.labels(kind, operation).inc()

    def drifted(self, kind: str) -> None:
        """A child was put back after somebody had changed it."""
        self._drift.labels(kind).inc()

    def rolled_back(self) -> None:
        """An image failed and the last good one was put back."""
        self._rollbacks.inc()

    def reconciled(self, result: str, took: float) -> None:
        """A pass ended; result is success, error, requeue or requeue_after."""
        self._reconciles.labels(CONTROLLER, result).inc()
        self._reconcile_seconds.labels(CONTROLLER).observe(took)

    def added(self, depth: int) -> None:
        """A key joined the queue (queue.QueueObserver)."""
        self._adds.inc()
        self._depth.set(depth)

    def started(self, depth: int, waited: float) -> None:
        """A worker took a key (queue.QueueObserver)."""
        self._depth.set(depth)
        self._waited.observe(waited)
        self._active.inc()

    def finished(self, took: float) -> None:
        """A worker is done with a key (queue.QueueObserver)."""
        self._worked.observe(took)
        self._active.dec()

    def retried(self) -> None:
        """A key failed and comes back (queue.QueueObserver)."""
        self._retries.inc()
