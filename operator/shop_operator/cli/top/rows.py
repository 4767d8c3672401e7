"""The rows of `kubectl shop top`: one for the web workload and one for each worker of a ShopService. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shop_operator.cli import workloads
from shop_operator.cli.top.traffic import MESSAGES, REQUESTS, Family, Traffic
from shop_operator.names import NAME_LABEL
from shop_operator.objects.quantities import exact

Object = Mapping[str, Any]
Pod = tuple[str, str]
"""Namespace and name of a pod."""
HEAD: Final = (
    "NAMESPACE",
    "NAME",
    "WORKLOAD",
    "READY",
    "RATE",
    "ERRORS",
    "P95",
    "QUEUE",
    "AGE",
    "CPU",
    "MEMORY",
)
UNKNOWN: Final = "-"


@dataclass(frozen=True)
class Resources:
    """CPU in cores and memory in bytes; None if unknown."""

    cpu: float | None = None
    memory: float | None = None

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(_sum((self.cpu, other.cpu)), _sum((self.memory, other.memory)))


@dataclass(frozen=True)
class Queue:
    """A queue: the number of its messages, and the age of the oldest in seconds; None if unknown."""

    messages: float | None = None
    age: float | None = None


@dataclass(frozen=True)
class Known:
    """The state of a cluster as far as it could be read.

    Args:
        deployments: Deployments of ShopServices.
        pods: pods of ShopServices.
        autoscalers: HorizontalPodAutoscalers.
        traffic: rates by pod and family.
        queues: queues by pod and name, according to the metrics of the pod.
        usage: use of resources by pod.
    """

    deployments: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    autoscalers: Sequence[Object] = ()
    traffic: Mapping[Pod, Mapping[Family, Traffic]] = field(default_factory=dict)
    queues: Mapping[Pod, Mapping[str, Queue]] = field(default_factory=dict)
    usage: Mapping[Pod, Resources] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One workload of a ShopService.

    Args:
        namespace: namespace of the ShopService.
        name: name of the ShopService.
        workload: web, or the name of the worker, as `workloads.title` returns it.
        ready: number of ready pods.
        replicas: number of pods that the Deployment wants.
        traffic: requests of the web workload, or messages of a worker, per second.
        queue: backlog of the worker.
        used: resources that the pods use.
        requested: resources that the pods request.
    """

    namespace: str
    name: str
    workload: str
    ready: int
    replicas: int
    traffic: Traffic | None = None
    queue: Queue = Queue()
    used: Resources = Resources()
    requested: Resources = Resources()

    def cells(self) -> tuple[str, ...]:
        """The cells in the order of HEAD."""
        traffic = self.traffic or Traffic()
        return (
            self.namespace,
            self.name,
            self.workload,
            f"{self.ready}/{self.replicas}",
            UNKNOWN if self.traffic is None else f"{traffic.total:.1f}/s",
            UNKNOWN if traffic.error_rate is None else f"{traffic.error_rate:.1%}",
            UNKNOWN if traffic.p95 is None else _seconds(traffic.p95),
            UNKNOWN if self.queue.messages is None else f"{self.queue.messages:.0f}",
            UNKNOWN if self.queue.age is None else _seconds(self.queue.age),
            _against(self.used.cpu, self.requested.cpu, cpu),
            _against(self.used.memory, self.requested.memory, memory),
        )

    def to_dict(self) -> dict[str, Any]:
        """For `-o json`: null where a value is unknown."""
        traffic = self.traffic
        return {
            "namespace": self.namespace,
            "name": self.name,
            "workload": self.workload,
            "readyReplicas": self.ready,
            "replicas": self.replicas,
            "ratePerSecond": traffic and traffic.total,
            "errorRate": traffic and traffic.error_rate,
            "p95Seconds": traffic and traffic.p95,
            "queueMessages": self.queue.messages,
            "queueAgeSeconds": self.queue.age,
            "cpuCores": self.used.cpu,
            "cpuRequestCores": self.requested.cpu,
            "memoryBytes": self.used.memory,
            "memoryRequestBytes": self.requested.memory,
        }


def rows(shops: Iterable[Object], known: Known) -> Iterator[Row]:
    """The rows of ShopServices, sorted by namespace and name; the web workload precedes the workers."""
    for shop in sorted(shops, key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"])):
        own = _of_shop(shop, known)
        yield _row(shop, None, own)
        for worker in (shop.get("spec") or {}).get("workers") or ():
            yield _row(shop, worker["name"], own)


def _of_shop(shop: Object, known: Known) -> Known:
    """The part that belongs to a ShopService."""
    namespace, name = shop["metadata"]["namespace"], shop["metadata"]["name"]

    def own(objects: Iterable[Object]) -> list[Object]:
        return [
            each
            for each in objects
            if each["metadata"]["namespace"] == namespace
            and (each["metadata"].get("labels") or {}).get(NAME_LABEL) == name
        ]

    here = [each for each in known.autoscalers if each["metadata"]["namespace"] == namespace]
    return Known(own(known.deployments), own(known.pods), here, known.traffic, known.queues, known.usage)


def _row(shop: Object, worker: str | None, own: Known) -> Row:
    component = workloads.component(shop, worker)
    deployments = workloads.of_component(own.deployments, component)
    pods = [each for each in workloads.of_component(own.pods, component) if not workloads.has_ended(each)]
    keys = [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in pods]
    families = (REQUESTS,) if worker is None else (MESSAGES, REQUESTS)
    queue = _queue([own.queues.get(each, {}) for each in keys])
    if queue.messages is None:
        queue = Queue(
            _backlog(own.autoscalers, {each["metadata"]["name"] for each in deployments}), queue.age
        )
    return Row(
        shop["metadata"]["namespace"],
        shop["metadata"]["name"],
        workloads.title(worker),
        sum((each.get("status") or {}).get("readyReplicas") or 0 for each in deployments),
        sum((each.get("spec") or {}).get("replicas", 1) for each in deployments),
        _traffic([own.traffic.get(each, {}) for each in keys], families),
        queue,
        sum((own.usage.get(each, Resources()) for each in keys), Resources()),
        sum((requests(each) for each in pods), Resources()),
    )


def _traffic(by_pod: Iterable[Mapping[Family, Traffic]], families: Sequence[Family]) -> Traffic | None:
    """The sum over the pods, of the first family that they have."""
    found = list(by_pod)
    for family in families:
        if parts := [each[family] for each in found if family in each]:
            return sum(parts, Traffic())
    return None


def _queue(by_pod: Iterable[Mapping[str, Queue]]) -> Queue:
    """All queues together. Every pod reports the same queue, so the largest report of a queue counts."""
    found: dict[str, Queue] = {}
    for queues in by_pod:
        for name, queue in queues.items():
            known = found.get(name, Queue())
            found[name] = Queue(_largest((known.messages, queue.messages)), _largest((known.age, queue.age)))
    return Queue(
        _sum([each.messages for each in found.values()]), _largest([each.age for each in found.values()])
    )


def _backlog(autoscalers: Iterable[Object], deployments: set[str]) -> float | None:
    """The messages of the queue that scales a Deployment, according to the current metric of its autoscaler."""
    for each in autoscalers:
        spec, status = each.get("spec") or {}, each.get("status") or {}
        if (spec.get("scaleTargetRef") or {}).get("name") not in deployments:
            continue
        for metric in status.get("currentMetrics") or ():
            current = (metric.get("external") or {}).get("current") or {}
            if (value := exact(current.get("value"))) is not None and value:
                return float(value)
            if (average := exact(current.get("averageValue"))) is not None:
                # An average of no replica is the value itself.
                return float(average) * max(1, status.get("currentReplicas") or 1)
    return None


def requests(pod: Object) -> Resources:
    """The resources that a pod requests: those of its containers and of its sidecars."""
    spec = pod.get("spec") or {}
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    containers = [*(spec.get("containers") or ()), *sidecars]
    parts = [(each.get("resources") or {}).get("requests") or {} for each in containers]
    return sum((resources(each) for each in parts), Resources())


def resources(quantities: Mapping[str, Any]) -> Resources:
    """The CPU and the memory of a list of quantities, as in `resources.requests` or in a PodMetrics object."""
    found = [exact(quantities.get(each)) for each in ("cpu", "memory")]
    return Resources(*(None if each is None else float(each) for each in found))


def cpu(cores: float) -> str:
    """CPU as a quantity in millicores."""
    return f"{cores * 1000:.0f}m"


def memory(found: float) -> str:
    """Memory as a quantity in mebibytes."""
    return f"{found / 1024**2:.0f}Mi"


def _against(used: float | None, requested: float | None, shown: Any) -> str:
    if used is None:
        return UNKNOWN if not requested else f"{UNKNOWN}/{shown(requested)}"
    return f"{shown(used)}/{shown(requested)} {used / requested:.0%}" if requested else shown(used)


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    minute, hour = 60, 3600
    if seconds < minute:
        return f"{seconds:.1f}s" if seconds < minute / 6 else f"{seconds:.0f}s"
    return f"{seconds / minute:.0f}m" if seconds < hour else f"{seconds / hour:.1f}h"


def _sum(values: Iterable[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) if known else None


def _largest(values: Iterable[float | None]) -> float | None:
    return max((each for each in values if each is not None), default=None)
