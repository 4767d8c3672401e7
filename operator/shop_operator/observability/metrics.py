"""The Prometheus metrics of the operator, with the names of controller-runtime and client-go where these have the metric.

The queue, the client and the reconciler report through protocols of their own, and do not know this module.

A ShopService has series only while it exists and this process leads. They are stored as plain numbers and become text when
Prometheus scrapes them, because metric objects or samples for thousands of ShopServices would need most of the memory and, at each
scrape, four times the CPU.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

CONTROLLER: Final = "shopservice"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_RESULTS: Final = ("success", "error", "requeue", "requeue_after")


class Metrics:
    """All metrics of the process.

    Args:
        lease: the name of the Lease.
        clock: a steady clock in seconds.
        wall: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        lease: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._resources = _Resources(wall)
        reconciles = self._counter(
            "controller_runtime_reconcile", "Completed reconciles by result.", ("controller", "result")
        )
        # The rate of the first event requires a zero before it.
        self._reconciles = {result: reconciles.labels(CONTROLLER, result) for result in _RESULTS}
        self._errors = self._counter(
            "controller_runtime_reconcile_errors", "Reconciles that failed and are retried.", ("controller",)
        ).labels(CONTROLLER)
        self._terminal = self._counter(
            "controller_runtime_terminal_reconcile_errors",
            "Reconciles that failed with a non-retryable error.",
            ("controller",),
        ).labels(CONTROLLER)
        self._reconcile_seconds = self._histogram(
            "controller_runtime_reconcile_time_seconds", "Duration of a reconcile.", ("controller",)
        ).labels(CONTROLLER)
        self._active = self._gauge(
            "controller_runtime_active_workers", "Workers that are currently reconciling.", ("controller",)
        ).labels(CONTROLLER)
        self._workers = self._gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Maximum number of concurrent reconciles.",
            ("controller",),
        ).labels(CONTROLLER)
        # Cached, because prometheus_client needs several microseconds to find a child.
        self._requests = cache(
            self._counter("rest_client_requests", "Requests to the API server.", ("code", "method")).labels
        )
        self._request_seconds = cache(
            self._histogram(
                "rest_client_request_duration_seconds",
                "Time until the first byte of the API server's response.",
                ("verb",),
            ).labels
        )
        self._depth = self._gauge("workqueue_depth", "ShopServices waiting in the queue.", ("name",)).labels(
            CONTROLLER
        )
        self._adds = self._counter("workqueue_adds", "ShopServices added to the queue.", ("name",)).labels(
            CONTROLLER
        )
        self._retries = self._counter(
            "workqueue_retries", "ShopServices added to the queue after a failure.", ("name",)
        ).labels(CONTROLLER)
        self._waited = self._histogram(
            "workqueue_queue_duration_seconds", "Time that a ShopService waited in the queue.", ("name",)
        ).labels(CONTROLLER)
        self._worked = self._histogram(
            "workqueue_work_duration_seconds", "Time that a worker spent on a ShopService.", ("name",)
        ).labels(CONTROLLER)
        self._started: list[float] = []
        self._gauge(
            "workqueue_unfinished_work_seconds", "Total age of the work in progress.", ("name",)
        ).labels(CONTROLLER).set_function(lambda: sum(self._ages()))
        self._gauge(
            "workqueue_longest_running_processor_seconds", "Age of the oldest work in progress.", ("name",)
        ).labels(CONTROLLER).set_function(lambda: max(self._ages(), default=0.0))
        self._leading = self._gauge(
            "leader_election_master_status", "1 while this process holds the Lease, otherwise 0.", ("name",)
        ).labels(lease)
        self._leading.set(0)
        self._shops = self._gauge("shop_operator_shopservices", "ShopServices in the cache.", ())
        self._writes = self._counter(
            "shop_operator_child_writes", "Children created, updated or deleted.", ("kind", "operation")
        )
        self._drift = self._counter(
            "shop_operator_drift", "Children reverted after another client changed them.", ("kind",)
        )
        self._unreadable = self._gauge(
            "shop_operator_unreadable_objects",
            "Objects that the operator cannot read and skips.",
            ("kind",),
        )
        self._rollbacks = self._counter(
            "shop_operator_rollbacks", "Releases that were rolled back automatically.", ()
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...]) -> Histogram:
        return Histogram(name, text, labels, registry=self._registry, buckets=_SECONDS)

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry) + self._resources.exposition().encode()

    def request(self, method: str, code: int) -> None:
        """Count a response of the API server."""
        self._requests(str(code), method).inc()

    def answered(self, method: str, took: float) -> None:
        """Record the seconds until the first byte of a response; that of a watch comes at once."""
        self._request_seconds(method).observe(took)

    def unanswered(self, method: str) -> None:
        """Count a request without a response: refused, reset or timed out. client-go uses the same code."""
        self._requests("<error>", method).inc()

    def workers(self, number: int) -> None:
        """Set the maximum number of concurrent reconciles."""
        self._workers.set(number)

    def leading(self, *, leads: bool) -> None:
        """Record that the Lease was acquired or lost, and drop all series of ShopServices."""
        self._leading.set(int(leads))
        self._resources.lead(leads=leads)

    def shops(self, number: int) -> None:
        """Set the number of ShopServices in the cache."""
        self._shops.set(number)

    def unreadable(self, kind: str, number: int) -> None:
        """Set the number of unreadable objects of a kind."""
        self._unreadable.labels(kind).set(number)

    def listen(self, silence: Callable[[], Mapping[str, float]]) -> None:
        """Expose the seconds since the last message about each kind, which `silence` returns."""
        self._registry.register(_Silence(silence))

    def wrote(self, kind: str, operation: str) -> None:
        """Count a write of a child; the operation is create, update or delete."""
        self._writes.labels(kind, operation).inc()

    def drifted(self, kind: str) -> None:
        """Count a child that was reverted after another client changed it."""
        self._drift.labels(kind).inc()

    def rolled_back(self) -> None:
        """Count an automatic rollback."""
        self._rollbacks.inc()

    def terminal(self) -> None:
        """Count a pass with a non-retryable error."""
        self._terminal.inc()

    def reconciled(self, result: str, took: float) -> None:
        """Count a pass; its result is success, error, requeue or requeue_after."""
        self._reconciles[result].inc()
        if result == "error":
            self._errors.inc()
        self._reconcile_seconds.observe(took)

    def succeeded(self, namespace: str, name: str) -> None:
        """Record a successful pass over a ShopService."""
        self._resources.of(namespace, name).succeed(self._resources.now())

    def failed(self, namespace: str, name: str) -> None:
        """Record a failed pass over a ShopService, which is retried."""
        self._resources.of(namespace, name).retries += 1

    def status(self, namespace: str, name: str, *, ready: bool | None, stalled: str | None) -> None:
        """Record the conditions of a ShopService.

        Args:
            namespace: of the ShopService.
            name: of the ShopService.
            ready: whether its condition Ready is True; None if it need not be, for example while it is suspended.
            stalled: the reason of its condition Stalled, None if that is not True.
        """
        resource = self._resources.of(namespace, name)
        resource.ready, resource.stalled = ready, stalled

    def gone(self, namespace: str, name: str) -> None:
        """Drop the series of a deleted ShopService."""
        self._resources.drop(namespace, name)

    def added(self, depth: int) -> None:
        """Count an added key (queue.QueueObserver)."""
        self._adds.inc()
        self._depth.set(depth)

    def depth(self, depth: int) -> None:
        """Set the number of waiting keys (queue.QueueObserver)."""
        self._depth.set(depth)

    def started(self, depth: int, waited: float) -> None:
        """Record that a worker has taken a key (queue.QueueObserver)."""
        self._depth.set(depth)
        self._waited.observe(waited)
        self._active.inc()
        self._started.append(self._clock())

    def finished(self, took: float) -> None:
        """Record that a worker is done with a key (queue.QueueObserver)."""
        self._worked.observe(took)
        self._active.dec()
        # The queue does not name the key; the pass that started nearest to that time is as old.
        began = self._clock() - took
        self._started.remove(min(self._started, key=lambda start: abs(start - began)))

    def retried(self) -> None:
        """Count a key that has failed and is retried (queue.QueueObserver)."""
        self._retries.inc()

    def _ages(self) -> list[float]:
        now = self._clock()
        return [now - start for start in self._started]


@dataclass(slots=True)
class _Resource:
    """The series of one ShopService.

    Attributes:
        success: the time of the last successful pass, in seconds since the epoch; None before the first.
        retries: the number of failures since then.
        ready: whether its condition Ready is True; None if it is unknown or need not be.
        stalled: the reason of its condition Stalled; None if that is not True.
    """

    success: float | None = None
    retries: int = 0
    ready: bool | None = None
    stalled: str | None = None

    def succeed(self, now: float) -> None:
        self.success, self.retries = now, 0


class _Resources:
    """The metrics with a series for each ShopService; those of retries and Stalled only while they apply."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self.now = wall
        self._leads = False
        self._known: dict[tuple[str, str], _Resource] = {}

    def of(self, namespace: str, name: str) -> _Resource:
        # A pass may end after the Lease was lost; the new leader exposes the series then.
        return self._known.setdefault((namespace, name), _Resource()) if self._leads else _Resource()

    def drop(self, namespace: str, name: str) -> None:
        self._known.pop((namespace, name), None)

    def lead(self, *, leads: bool) -> None:
        self._leads = leads
        self._known.clear()

    def exposition(self) -> str:
        """The series in the Prometheus text format."""
        success = [
            "shop_operator_reconcile_last_success_timestamp_seconds",
            "Time of the last successful reconcile.",
        ]
        retries = [
            "shop_operator_reconcile_retries",
            "Failed reconciles since the last successful one; absent if none.",
        ]
        ready = ["shop_operator_shopservice_ready", "1 while the ShopService is ready, otherwise 0."]
        stalled = [
            "shop_operator_shopservice_stalled",
            "1 while the ShopService is stalled and requires intervention.",
        ]
        # Names and reasons have no character that must be escaped.
        for (namespace, name), resource in self._known.items():
            labels = f'name="{name}",namespace="{namespace}"'
            if resource.success is not None:
                date = floatToGoString(resource.success)  # type: ignore[no-untyped-call]
                success.append(f"{{{labels}}} {date}")
            if resource.retries:
                retries.append(f"{{{labels}}} {resource.retries:.1f}")
            if resource.ready is not None:
                ready.append(f"{{{labels}}} {resource.ready:.1f}")
            if resource.stalled is not None:
                stalled.append(f'{{{labels},reason="{resource.stalled}"}} 1.0')
        return "".join(_family(*each) for each in (success, retries, ready, stalled))


def _family(name: str, text: str, *samples: str) -> str:
    head = f"# HELP {name} {text}\n# TYPE {name} gauge\n"
    return head + "".join(f"{name}{each}\n" for each in samples)


class _Silence(Collector):
    """The metric of the silence of each watch."""

    def __init__(self, silence: Callable[[], Mapping[str, float]]) -> None:
        self._silence = silence

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "shop_operator_watch_silence_seconds",
            "Time since the last watch event or bookmark of a kind.",
            labels=("kind",),
        )
        for kind, seconds in self._silence().items():
            family.add_metric((kind,), seconds)
        yield family
