"""Loads on an API server, and the time until every ShopService is reconciled."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.kubernetes.client import encoded
from shop_operator.names import GROUP, KIND, NAME_LABEL, VERSION
from shop_operator.render import render
from shopdev.bench.apiserver import DEADLINE, Api, Refused, at_once, cpu, path_of, resident, shop_path
from shopdev.bench.figures import Run
from shopdev.bench.processes import Operator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SPEC: Final[Mapping[str, Any]] = {
    "image": "registry.example/shop:1",
    "autoscaling": {"minReplicas": 2, "maxReplicas": 6, "cpu": 70},
    "networkPolicy": {},
    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
    "env": [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(5)],
}
CHILDREN: Final = (
    "ServiceAccount",
    "Service",
    "Deployment",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
)
REFUSED: Final = "refused"
_UID: Final = "00000000-0000-0000-0000-000000000000"
_SETTLE: Final = 1.0


def shopservice(namespace: str, name: str, spec: Mapping[str, Any] = SPEC) -> dict[str, Any]:
    """One of many."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"namespace": namespace, "name": name},
        "spec": spec,
    }


def name_of(number: int) -> str:
    """The names of the ShopServices of a run."""
    return f"shop-{number:04}"


class Arrivals:
    """Waits until every ShopService of a namespace has a status for its generation."""

    def __init__(self, number: int) -> None:
        self._missing = number
        self._there: set[str] = set()
        self.all = asyncio.Event()

    def seen(self, obj: dict[str, Any]) -> None:
        """Handle a changed ShopService."""
        metadata = obj["metadata"]
        if (obj.get("status") or {}).get("observedGeneration") == metadata["generation"]:
            self._there.add(metadata["name"])
        if len(self._there) >= self._missing:
            self.all.set()


async def floor(api: Api, number: int) -> Run:
    """Run the bare loop, sixteen at a time: create a ShopService, apply six children and write a status, without watches.

    The eight requests are prepared; only the UID is filled in.
    """
    namespace = await api.fresh()
    status = {"status": {"observedGeneration": 1, "conditions": []}}

    def prepared(index: int) -> tuple[bytes, list[tuple[str, bytes]], str]:
        obj = shopservice(namespace, name_of(index))
        known = {**obj, "metadata": {**obj["metadata"], "uid": _UID, "generation": 1}}
        children = render(ShopService.from_object(known), live=None)
        sent = [(path_of(c["kind"], namespace, c["metadata"]["name"]), encoded(c)) for c in children]
        return encoded(obj), sent, shop_path(namespace, name_of(index)) + "/status"

    async def one(shop: bytes, children: list[tuple[str, bytes]], status_path: str) -> None:
        uid = (await api.call("POST", shop_path(namespace), shop))["metadata"]["uid"].encode()
        for path, child in children:
            body = child.replace(_UID.encode(), uid)
            await api.call(
                "PATCH", path, body, "application/apply-patch+yaml", fieldManager="floor", force="true"
            )
        await api.merge(status_path, status)

    work = [partial(one, *prepared(index)) for index in range(number)]
    server, own, started = cpu(api.pid), cpu(os.getpid()), time.perf_counter()
    await at_once(work)
    seconds = time.perf_counter() - started
    own = cpu(os.getpid()) - own
    await asyncio.sleep(_SETTLE)
    run = Run(number, seconds, cpu(api.pid) - server, own, writes=8.0 * number)
    await _complete(api, namespace, number)
    await api.emptied(namespace)
    return run


async def create(
    api: Api, namespace: str, number: int, spec: Callable[[int], Mapping[str, Any]] = lambda _: SPEC
) -> None:
    """Create ShopServices at the rate that the API server accepts, with a spec that depends on the number."""
    path = shop_path(namespace)
    await at_once(
        [
            partial(api.call, "POST", path, shopservice(namespace, name_of(index), spec(index)))
            for index in range(number)
        ]
    )


async def answers(api: Api, namespace: str) -> None:
    """Wait until the operator is running: a ShopService gets a status."""
    await api.call("POST", shop_path(namespace), shopservice(namespace, "probe"))

    async def told() -> bool:
        return "status" in await api.call("GET", shop_path(namespace, "probe"))

    await api.until(told)


async def from_zero(api: Api, operator: Operator, namespace: str, number: int) -> Run:
    """Measure until every new ShopService is reconciled, with a running operator that is otherwise idle."""
    writes, reads, empty = operator.writes, operator.reads, resident(operator.pid)
    server, own = cpu(api.pid), cpu(operator.pid)
    seconds = await _all_true(api, namespace, number)
    # What comes late is counted, too.
    await operator.quiet(_SETTLE)
    server, own = cpu(api.pid) - server, cpu(operator.pid) - own
    run = Run(number, seconds, server, own, operator.writes - writes, operator.reads - reads, empty)
    await _complete(api, namespace, number)
    return run


async def plainly(api: Api, other: Operator, namespace: str, number: int) -> Run:
    """The same of one that measures nothing of itself."""
    server, own = cpu(api.pid), cpu(other.pid)
    seconds = await _all_true(api, namespace, number)
    await asyncio.sleep(_SETTLE)
    run = Run(number, seconds, cpu(api.pid) - server, cpu(other.pid) - own)
    await _complete(api, namespace, number)
    return run


async def _all_true(api: Api, namespace: str, number: int) -> float:
    """Create ShopServices, and return the seconds until all have their children and their status."""
    arrivals = Arrivals(number)
    async with api.watching(shop_path(namespace), arrivals.seen):
        started = time.perf_counter()
        await create(api, namespace, number)
        async with asyncio.timeout(DEADLINE):
            await arrivals.all.wait()
        return time.perf_counter() - started


async def _complete(api: Api, namespace: str, number: int) -> None:
    """Check that every ShopService has all six children, so that no result is fast because work is missing."""
    found = await api.children(namespace)
    wrong = {kind: found[kind] for kind in CHILDREN if found[kind] < number}
    if wrong:
        raise RuntimeError(f"{number} ShopServices have only {wrong} children")


@asynccontextmanager
async def refusing(api: Api) -> "AsyncIterator[None]":
    """Make the API server return 500 for every write of the Service of the ShopService `refused`."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["services"],
    }
    webhook = {
        "name": "away.bench.example",
        # No server listens on this port.
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "objectSelector": {"matchLabels": {NAME_LABEL: REFUSED}},
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    await api.call("POST", path, {"metadata": {"name": "away"}, "webhooks": [webhook]})
    service = {
        "metadata": {"generateName": "try-", "labels": {NAME_LABEL: REFUSED}},
        "spec": {"ports": [{"port": 1}]},
    }

    async def in_force() -> bool:
        try:
            await api.call("POST", path_of("Service", "default"), service, dryRun="All")
        except Refused as error:
            return error.status == 500  # noqa: PLR2004  internal error
        return False

    await api.until(in_force)
    try:
        yield
    finally:
        await api.call("DELETE", f"{path}/away")


async def changes(api: Api, namespace: str, number: int, times: int) -> list[float]:
    """Milliseconds from a change of a spec to the change of its child, for consecutive changes."""
    arrived = asyncio.Event()
    wanted = ""

    def seen(obj: dict[str, Any]) -> None:
        env = obj["spec"]["template"]["spec"]["containers"][0].get("env", ())
        if any(each.get("value") == wanted for each in env):
            arrived.set()

    took = []
    async with api.watching(path_of("Deployment", namespace), seen):
        for index in range(times):
            arrived.clear()
            wanted = f"changed-{index}"
            patch = {"spec": {"env": [{"name": "CHANGED", "value": wanted}]}}
            started = time.perf_counter()
            # A prime, so that the changes are spread over all ShopServices.
            await api.merge(shop_path(namespace, name_of(index * 7919 % number)), patch)
            async with asyncio.timeout(30):
                await arrived.wait()
            took.append((time.perf_counter() - started) * 1000)
    return took


@dataclass(frozen=True)
class Storm:
    """The result of many status events.

    Args:
        events: number of events.
        seconds: duration.
        applies: number of written children.
        rate: highest number of status writes of one ShopService per second.
        cpu: CPU seconds of the operator.
    """

    events: int
    seconds: float
    applies: float
    rate: float
    cpu: float


async def storm(api: Api, operator: Operator, namespace: str, number: int, times: int) -> Storm:
    """Change the status of every Deployment and of every autoscaler several times, as in a rollout."""
    pods = 3
    written: Counter[str] = Counter()
    shown: dict[str, int] = {}

    def seen(obj: dict[str, Any]) -> None:
        name = obj["metadata"]["name"]
        written[name] += 1
        shown[name] = obj["status"].get("readyReplicas", 0)

    async def event(round_: int, index: int) -> None:
        for kind, state in (
            ("Deployment", _rolling(round_ % (pods + 1), pods)),
            ("HorizontalPodAutoscaler", _measuring(round_, pods)),
        ):
            await api.merge(path_of(kind, namespace, name_of(index)) + "/status", {"status": state})

    applied, own = operator.metric("shop_operator_child_writes_total"), cpu(operator.pid)
    started = time.perf_counter()
    async with api.watching(shop_path(namespace), seen):
        await at_once([partial(event, round_, index) for round_ in range(times) for index in range(number)])
        took = time.perf_counter() - started
        await operator.quiet(2 * _SETTLE)
    last = (times - 1) % (pods + 1)
    wrong = [index for index in range(number) if shown.get(name_of(index)) != last]
    if wrong:
        raise RuntimeError(f"{len(wrong)} statuses do not report {last} ready pods at the end")
    return Storm(
        events=2 * times * number,
        seconds=took,
        applies=operator.metric("shop_operator_child_writes_total") - applied,
        # The first comes at once, and the last when all is over.
        rate=(max(written.values()) - 1) / took,
        cpu=cpu(operator.pid) - own,
    )


def _rolling(ready: int, pods: int) -> dict[str, Any]:
    return {
        "observedGeneration": 1,
        "replicas": pods,
        "updatedReplicas": pods,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": pods - ready,
    }


def _measuring(percent: int, pods: int) -> dict[str, Any]:
    said = f"the HPA was able to successfully calculate a replica count from {percent} %"
    return {
        "currentReplicas": pods,
        "desiredReplicas": pods,
        "currentMetrics": [
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}
        ],
        "conditions": [
            {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": said}
        ],
    }
