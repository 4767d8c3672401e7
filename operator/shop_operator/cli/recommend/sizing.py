"""Requests of a container from samples of its use, and the patch that sets them. Pure."""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.cli import workloads
from shop_operator.cli.top.rows import cpu, memory, resources

LEAST_SAMPLES: Final = 20
"""Fewer samples have no 95th percentile that differs from their highest value."""
_CPU_STEP: Final = 0.005
_LEAST_CPU: Final = 0.010
_MEMORY_STEP: Final = 4 * 1024**2
_LEAST_MEMORY: Final = 16 * 1024**2


@dataclass(frozen=True)
class History:
    """The use of a container over time, in all pods of its workload.

    Args:
        source: name of the source, for the output.
        window: seconds between the first and the last sample.
        pods: number of different pods.
        cpu: samples in cores.
        memory: samples in bytes.
    """

    source: str
    window: float
    pods: int
    cpu: Sequence[float]
    memory: Sequence[float]

    @property
    def samples(self) -> int:
        """The number of samples of the resource with fewer of them."""
        return min(len(self.cpu), len(self.memory))


@dataclass(frozen=True)
class Policy:
    """The rule for a request.

    Args:
        percentile: percentile of the CPU that the request covers, from 1 to 100. A container that needs more CPU is slowed
            down only if the node is busy; one that needs more memory is killed, so its highest use counts.
        headroom: share to add, such as 0.15.
    """

    percentile: float = 95.0
    headroom: float = 0.15


@dataclass(frozen=True)
class Advice:
    """The recommended requests of a workload, and their basis.

    Args:
        worker: name of the worker; None for the web workload.
        current: its resources in the spec, such as {"requests": {"cpu": "50m"}}.
        history: the samples.
        policy: the rule.
    """

    worker: str | None
    current: Mapping[str, Any]
    history: History
    policy: Policy

    @property
    def workload(self) -> str:
        """The name of the workload in the output."""
        return workloads.title(self.worker)

    @property
    def cpu(self) -> str:
        """The recommended CPU request."""
        wanted = quantile(self.history.cpu, self.policy.percentile) * (1 + self.policy.headroom)
        return cpu(_up(max(wanted, _LEAST_CPU), _CPU_STEP))

    @property
    def memory(self) -> str:
        """The recommended memory request."""
        wanted = max(self.history.memory) * (1 + self.policy.headroom)
        return memory(_up(max(wanted, _LEAST_MEMORY), _MEMORY_STEP))

    @property
    def recommended(self) -> dict[str, Any]:
        """The resources of the spec with the recommended requests. A limit below its request is raised to it."""
        found = {key: dict(value) for key, value in self.current.items() if value}
        found["requests"] = {**found.get("requests", {}), "cpu": self.cpu, "memory": self.memory}
        wanted, limits = resources(found["requests"]), resources(found.get("limits", {}))
        if limits.cpu is not None and limits.cpu < (wanted.cpu or 0):
            found["limits"]["cpu"] = self.cpu
        if limits.memory is not None and limits.memory < (wanted.memory or 0):
            found["limits"]["memory"] = self.memory
        return found

    def lines(self) -> list[str]:
        """The recommendation as text."""
        now = (self.current or {}).get("requests") or {}
        history, share = self.history, f"{self.policy.headroom:.0%}"
        pods = "1 pod" if history.pods == 1 else f"{history.pods} pods"
        percentile = f"p{self.policy.percentile:g}"
        return [
            f"{self.workload}: cpu {now.get('cpu', 'unset')} → {self.cpu}, memory {now.get('memory', 'unset')} → {self.memory}",
            f"  basis: {history.source}, {duration(history.window)}, {history.samples} samples of {pods}",
            f"  cpu: {percentile} {cpu(quantile(history.cpu, self.policy.percentile))} + {share}, highest {cpu(max(history.cpu))}",
            f"  memory: highest {memory(max(history.memory))} + {share}",
        ]

    def to_dict(self) -> dict[str, Any]:
        """For `-o json`."""
        history = self.history
        return {
            "workload": self.workload,
            "current": dict(self.current),
            "recommended": self.recommended,
            "basis": {
                "source": history.source,
                "windowSeconds": round(history.window),
                "samples": history.samples,
                "pods": history.pods,
                "percentile": self.policy.percentile,
                "headroom": self.policy.headroom,
                "cpuPercentileCores": quantile(history.cpu, self.policy.percentile),
                "cpuHighestCores": max(history.cpu),
                "memoryHighestBytes": max(history.memory),
            },
        }


def too_few(history: History) -> str | None:
    """The reason why there is no recommendation; None if there are enough samples."""
    if history.samples >= LEAST_SAMPLES:
        return None
    return (
        f"{history.source} has {history.samples} samples, and a recommendation needs at least {LEAST_SAMPLES}"
    )


def patch(shop: Mapping[str, Any], advice: Sequence[Advice]) -> list[dict[str, Any]]:
    """The JSON patch (RFC 6902) that sets the recommended resources.

    A merge patch would replace the whole list of workers. The patch fails if the workers were reordered in the meantime.
    """
    workers = [each["name"] for each in (shop.get("spec") or {}).get("workers") or ()]
    operations: list[dict[str, Any]] = []
    for each in advice:
        path = "/spec"
        if each.worker is not None:
            path = f"/spec/workers/{workers.index(each.worker)}"
            operations.append({"op": "test", "path": f"{path}/name", "value": each.worker})
        operations.append({"op": "add", "path": f"{path}/resources", "value": each.recommended})
    return operations


def command(shop: Mapping[str, Any], advice: Sequence[Advice]) -> str:
    """The command that applies the patch."""
    metadata = shop["metadata"]
    operations = json.dumps(patch(shop, advice), separators=(",", ":"))
    named = f"{metadata['name']} -n {metadata['namespace']}"
    return f"kubectl patch shopservice {named} --type json -p {shlex.quote(operations)}"


def quantile(values: Sequence[float], percentile: float) -> float:
    """The smallest of the values that is not exceeded by this percentage of them."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percentile / 100) - 1)]


def duration(seconds: float) -> str:
    """A duration in the largest unit that fits."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s"


def _up(value: float, step: float) -> float:
    return math.ceil(round(value / step, 6)) * step
