#!/usr/bin/env python3
"""How fast and how small the operator is, beside a bare loop that sends the same requests.

A real etcd and kube-apiserver on loopback, TLS, no controller-manager; everything in one run, so that its ratios mean
something on a machine that others use too. CPU time is the kernel's own account of each process. `make bench` runs it all,
in about a quarter of an hour; `--quick` a hundred ShopServices in a minute. It prints tables in Markdown.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "dev"), str(ROOT / "operator")]

import aiohttp  # noqa: E402  found through the line above, as are those below
import orjson  # noqa: E402
import yaml  # noqa: E402

from bench.hotspots import shares  # noqa: E402
from localcluster.controlplane import ControlPlane  # noqa: E402
from shop_operator.crd import crd  # noqa: E402
from shop_operator.kube import _path, encoded  # noqa: E402  the very bytes and paths of the operator
from shop_operator.render import KINDS, render  # noqa: E402
from shop_operator.spec import GROUP, PLURAL, VERSION, ShopService  # noqa: E402

AT_ONCE: Final = 16
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
BY_KIND: Final = {kind.kind: kind for kind in KINDS}
SHOPS: Final = f"/apis/{GROUP}/{VERSION}"
DEADLINE: Final = 900.0
TICKS: Final = os.sysconf("SC_CLK_TCK")


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> dict[str, float]:
    """Resident memory now and at its highest, in MB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) / 1000 for name in ("VmRSS", "VmHWM")}


class Api:
    """The API server as its administrator."""

    def __init__(self, plane: ControlPlane, session: aiohttp.ClientSession) -> None:
        self.plane = plane
        self.session = session
        self.pid = int(json.loads((plane.run_dir / "proc" / "kube-apiserver.json").read_text())["pid"])

    async def call(
        self, method: str, path: str, body: Any = None, content: str = "application/json", **params: str
    ) -> Any:
        """One request; its answer."""
        data = None if body is None else encoded(body)
        headers = {"Content-Type": content} if body is not None else {}
        url = self.plane.server + path
        async with self.session.request(method, url, data=data, headers=headers, params=params) as response:
            raw = await response.read()
            if response.status >= 400:  # noqa: PLR2004  an error
                raise RuntimeError(f"{method} {path}: {response.status} {raw[:300]!r}")
            return orjson.loads(raw)

    async def merge(self, path: str, patch: Any, **params: str) -> Any:
        """A merge patch."""
        return await self.call("PATCH", path, patch, "application/merge-patch+json", **params)

    @asynccontextmanager
    async def watching(self, path: str, seen: Callable[[dict[str, Any]], None]) -> AsyncIterator[None]:
        """Every change of a collection, from now on."""
        version = (await self.call("GET", path, limit="1"))["metadata"]["resourceVersion"]
        params = {"watch": "1", "resourceVersion": version}

        async def follow() -> None:
            rest = b""
            async with self.session.get(self.plane.server + path, params=params) as response:
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        seen(orjson.loads(line)["object"])

        task = asyncio.create_task(follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def shopservice(namespace: str, number: int) -> dict[str, Any]:
    """One of many."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "ShopService",
        "metadata": {"namespace": namespace, "name": f"shop-{number:04}"},
        "spec": SPEC,
    }


def path_of(kind: str, namespace: str, name: str | None = None) -> str:
    """Where a child is."""
    return _path(BY_KIND[kind], namespace, name)


def shop_path(namespace: str, name: str = "") -> str:
    """Where a ShopService is."""
    return f"{SHOPS}/namespaces/{namespace}/{PLURAL}" + (f"/{name}" if name else "")


async def at_once(work: Sequence[Callable[[], Any]]) -> None:
    """All of it, sixteen at a time."""
    left = iter(work)

    async def take() -> None:
        for each in left:
            await each()

    await asyncio.gather(*(take() for _ in range(AT_ONCE)))


@dataclass
class Run:
    """What it took to make so many ShopServices true.

    Args:
        number: of ShopServices.
        seconds: until all had their children and their status.
        server: seconds of CPU of the API server.
        own: seconds of CPU of the operator; 0 for the floor, which is the program that measures.
        writes: requests that wrote.
        reads: uncached reads.
    """

    number: int
    seconds: float
    server: float
    own: float = 0.0
    writes: float = 0.0
    reads: float = 0.0

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.number / self.seconds


class Arrivals:
    """Waits until every ShopService of a namespace has a status for its generation."""

    def __init__(self, number: int) -> None:
        self._missing = number
        self._there: set[str] = set()
        self.all = asyncio.Event()

    def seen(self, obj: dict[str, Any]) -> None:
        """A ShopService has changed."""
        metadata = obj["metadata"]
        if (obj.get("status") or {}).get("observedGeneration") == metadata["generation"]:
            self._there.add(metadata["name"])
        if len(self._there) >= self._missing:
            self.all.set()


async def floor(api: Api, number: int) -> Run:
    """The bare loop: create, apply six children, write one status."""
    namespace = await fresh(api)

    async def one(index: int) -> None:
        created = await api.call("POST", shop_path(namespace), shopservice(namespace, index))
        for child in render(ShopService.from_object(created), live=None):
            path = path_of(child["kind"], namespace, child["metadata"]["name"])
            await api.call(
                "PATCH", path, child, "application/apply-patch+yaml", fieldManager="floor", force="true"
            )
        status = {"status": {"observedGeneration": 1, "conditions": []}}
        await api.merge(f"{shop_path(namespace, created['metadata']['name'])}/status", status)

    arrivals = Arrivals(number)
    async with api.watching(shop_path(namespace), arrivals.seen):
        before, started = cpu(api.pid), time.perf_counter()
        await at_once([partial(one, index) for index in range(number)])
        await arrivals.all.wait()
        run = Run(number, time.perf_counter() - started, cpu(api.pid) - before, writes=8.0 * number)
    await emptied(api, namespace)
    return run


async def fresh(api: Api) -> str:
    """A namespace of its own."""
    namespace = f"bench-{time.time_ns():x}"
    await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    return namespace


async def emptied(api: Api, namespace: str) -> None:
    """Nothing is left of a run: there is no garbage collector."""
    await api.call("DELETE", shop_path(namespace))
    for kind in CHILDREN:
        if kind != "Service":
            await api.call("DELETE", path_of(kind, namespace))
    services = await api.call("GET", path_of("Service", namespace))
    names = [each["metadata"]["name"] for each in services["items"]]
    await at_once([partial(api.call, "DELETE", path_of("Service", namespace, name)) for name in names])


class Operator:
    """One process of it, or of what it is compared with."""

    def __init__(self, command: Sequence[str], kubeconfig: Path, log: Path) -> None:
        env = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(kubeconfig)}
        self._log = log
        self._process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=log.open("wb"))
        self.pid = self._process.pid
        self._port: int | None = None

    def _metrics(self) -> str:
        if self._port is None:
            started = [line for line in self._log.read_text().splitlines() if '"msg": "started"' in line]
            if not started:
                raise OSError("it has not started")
            self._port = int(json.loads(started[0])["port"])
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    async def ready(self) -> None:
        """Its caches are synced and it leads."""
        await self.until(lambda: self.metric("leader_election_master_status") == 1)

    async def until(self, condition: Callable[[], bool], every: float = 0.1) -> None:
        """Wait for something that its metrics say."""
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    if condition():
                        return
                except OSError:
                    if self._process.poll() is not None:
                        raise RuntimeError(self._log.read_text()[-3000:]) from None
                await asyncio.sleep(every)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a series."""
        total = 0.0
        for line in self._metrics().splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                total += float(value)
        return total

    def requests(self, *methods: str) -> float:
        """How many requests it has sent."""
        return sum(self.metric("rest_client_requests_total", method=each) for each in methods)

    @property
    def writes(self) -> float:
        """Children and statuses; its lease is renewed by PUT."""
        return self.requests("PATCH", "DELETE", "POST")

    @property
    def gets(self) -> float:
        """What it has read; a kind that is not installed is looked for now and then, and answered with 404."""
        return self.metric("rest_client_requests_total", method="GET", code="200")

    async def quiet(self, seconds: float = 1.0) -> None:
        """No pass has ended for a while and none waits."""
        last, since = -1.0, time.monotonic()
        async with asyncio.timeout(DEADLINE):
            while time.monotonic() - since < seconds:
                passes = self.metric("controller_runtime_reconcile_total")
                if passes != last or self.metric("workqueue_depth"):
                    last, since = passes, time.monotonic()
                await asyncio.sleep(0.25)

    def stop(self) -> None:
        """Ask it to, and insist."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Bench:
    """Everything that is measured on one API server."""

    def __init__(self, api: Api, folder: Path, python: Path) -> None:
        self.api = api
        self._folder = folder
        self._python = python
        self._logs = 0

    @contextmanager
    def operator(self, profile: Path | None = None) -> Iterator[Operator]:
        """Our operator, with the packages of its image; at its end it may tell where its time went."""
        profiled = () if profile is None else ("-m", "cProfile", "-o", str(profile))
        flags = ("run", "--metrics-port", "0", "--no-leader-elect")
        with self._running([str(self._python), *profiled, "-m", "shop_operator.main", *flags]) as started:
            yield started

    @contextmanager
    def plain(self) -> Iterator[Operator]:
        """The same by kopf as tutorials use it."""
        script = str(Path(__file__).with_name("plain_kopf.py"))
        with self._running([str(ROOT / ".venv/bin/python"), script]) as started:
            yield started

    @contextmanager
    def _running(self, command: Sequence[str]) -> Iterator[Operator]:
        self._logs += 1
        started = Operator(command, self.api.plane.kubeconfig, self._folder / f"operator-{self._logs}.log")
        try:
            yield started
        finally:
            started.stop()

    async def create(self, namespace: str, number: int) -> None:
        """So many ShopServices, as fast as the API server takes them."""
        path = shop_path(namespace)
        await at_once(
            [partial(self.api.call, "POST", path, shopservice(namespace, index)) for index in range(number)]
        )

    async def from_zero(
        self, operator: Operator, namespace: str, number: int, *, counted: bool = True
    ) -> Run:
        """Until every new ShopService is true."""
        arrivals = Arrivals(number)
        async with self.api.watching(shop_path(namespace), arrivals.seen):
            server, own, started = cpu(self.api.pid), cpu(operator.pid), time.perf_counter()
            writes = operator.writes if counted else 0.0
            reads = operator.gets if counted else 0.0
            await self.create(namespace, number)
            async with asyncio.timeout(DEADLINE):
                await arrivals.all.wait()
            run = Run(
                number, time.perf_counter() - started, cpu(self.api.pid) - server, cpu(operator.pid) - own
            )
        if counted:
            run.writes, run.reads = operator.writes - writes, operator.gets - reads
        return run

    async def changes(self, namespace: str, number: int, times: int) -> list[float]:
        """Milliseconds from a change of a spec to the child that follows it, one after the other."""
        arrived = asyncio.Event()
        wanted = ""

        def seen(obj: dict[str, Any]) -> None:
            env = obj["spec"]["template"]["spec"]["containers"][0].get("env", ())
            if any(each.get("value") == wanted for each in env):
                arrived.set()

        took = []
        async with self.api.watching(path_of("Deployment", namespace), seen):
            for index in range(times):
                arrived.clear()
                wanted = f"changed-{index}"
                patch = {"spec": {"env": [{"name": "CHANGED", "value": wanted}]}}
                started = time.perf_counter()
                await self.api.merge(shop_path(namespace, f"shop-{index * 7919 % number:04}"), patch)
                async with asyncio.timeout(30):
                    await arrived.wait()
                took.append((time.perf_counter() - started) * 1000)
        return took

    async def drift(self, namespace: str) -> dict[str, tuple[float, float]]:
        """Seconds from a deletion, and from an edit, of each kind of child to its repair."""
        edits: Mapping[str, Any] = {
            "ServiceAccount": {"automountServiceAccountToken": True},
            "Service": {"spec": {"selector": {"evil": "yes"}}},
            "Deployment": {"spec": {"revisionHistoryLimit": 9}},
            "HorizontalPodAutoscaler": {"spec": {"maxReplicas": 99}},
            "PodDisruptionBudget": {"spec": {"maxUnavailable": 2}},
            "NetworkPolicy": {"spec": {"policyTypes": ["Ingress"]}},
        }
        found = {}
        for index, (kind, edit) in enumerate(edits.items()):
            name = f"shop-{index:04}"
            path = path_of(kind, namespace, name)
            live = await self.api.call("GET", path)
            started = time.perf_counter()
            await self.api.call("DELETE", path)
            deleted = await self._repaired(path, partial(_is_another, live["metadata"]["uid"]), started)
            before = _content(await self.api.call("GET", path))
            started = time.perf_counter()
            await self.api.merge(path, edit, fieldManager="mallory")
            edited = await self._repaired(path, partial(_is_like, before), started)
            found[kind] = (deleted, edited)
        return found

    async def _repaired(self, path: str, is_well: Callable[[Any], bool], started: float) -> float:
        async with asyncio.timeout(30):
            while True:
                try:
                    if is_well(await self.api.call("GET", path)):
                        return time.perf_counter() - started
                except RuntimeError:
                    pass
                await asyncio.sleep(0.005)

    async def storm(self, operator: Operator, namespace: str, number: int, times: int) -> dict[str, float]:
        """Every Deployment's status changes so many times, as in a roll-out."""

        def state(index: int) -> dict[str, Any]:
            return {
                "status": {
                    "observedGeneration": 1,
                    "replicas": 3,
                    "updatedReplicas": 3,
                    "readyReplicas": index % 4,
                    "availableReplicas": index % 4,
                }
            }

        last: dict[str, float] = {}
        gaps: list[float] = []

        def seen(obj: dict[str, Any]) -> None:
            name, at = obj["metadata"]["name"], time.perf_counter()
            if name in last:
                gaps.append(at - last[name])
            last[name] = at

        applied = operator.metric("shop_operator_child_writes_total")
        writes, own, started = operator.writes, cpu(operator.pid), time.perf_counter()
        async with self.api.watching(shop_path(namespace), seen):
            await at_once(
                [
                    partial(
                        self.api.merge,
                        path_of("Deployment", namespace, f"shop-{index:04}") + "/status",
                        state(round_),
                    )
                    for round_ in range(times)
                    for index in range(number)
                ]
            )
            took = time.perf_counter() - started
            await operator.quiet()
        return {
            "events": float(times * number),
            "seconds": took,
            "applies": operator.metric("shop_operator_child_writes_total") - applied,
            "status writes": operator.writes - writes,
            "shortest gap": min(gaps, default=float("inf")),
            "CPU ms per event": (cpu(operator.pid) - own) * 1000 / times / number,
        }


def _is_another(uid: str, obj: dict[str, Any]) -> bool:
    return bool(obj["metadata"]["uid"] != uid)


def _is_like(before: Any, obj: dict[str, Any]) -> bool:
    return bool(_content(obj) == before)


def _content(obj: dict[str, Any]) -> Any:
    metadata = {key: obj["metadata"].get(key) for key in ("labels", "annotations", "ownerReferences")}
    rest = {key: value for key, value in obj.items() if key not in {"metadata", "status"}}
    return {**rest, "metadata": metadata}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of all is."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def met(value: float, must: float, aim: float, *, more: bool = False) -> str:
    """How a figure stands to what it must and what it is aimed to be."""
    if more:
        value, must, aim = -value, -must, -aim
    return "aim" if value <= aim else "must" if value <= must else "MISSED"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines) + "\n"


async def measure(bench: Bench, number: int, growth: Sequence[int], idle: float) -> None:
    """Everything, printed as it comes."""
    api = bench.api
    say(f"warming up, then the floor with {number}")
    await floor(api, 50)
    bare = await floor(api, number)
    namespace = await fresh(api)
    rows: list[Sequence[object]] = []
    with bench.operator() as operator:
        await operator.ready()
        say(f"the operator from zero with {number}")
        run = await bench.from_zero(operator, namespace, number)
        await operator.quiet()
        beyond = run.writes / number - len(CHILDREN)
        rows += [
            (
                "rate ÷ floor's",
                f"{run.rate / bare.rate:.2f} ({run.rate:.0f}/s ÷ {bare.rate:.0f}/s)",
                "≥ 0.7",
                "0.9",
                met(run.rate / bare.rate, 0.7, 0.9, more=True),
            ),
            (
                "operator CPU per new one",
                f"{run.own / number * 1000:.1f} ms",
                "≤ 8 ms",
                "5 ms",
                met(run.own / number * 1000, 8, 5),
            ),
            (
                "API server CPU ÷ floor's",
                f"{run.server / bare.server:.2f} ({run.server / number * 1000:.1f} ms)",
                "≤ 1.4",
                "1.2",
                met(run.server / bare.server, 1.4, 1.2),
            ),
            ("writes beyond the children", f"{beyond:.2f}", "≤ 2", "1", met(round(beyond, 2), 2, 1)),
            ("uncached reads", f"{run.reads / number:.2f}", "0", "0", met(run.reads / number, 0.005, 0.005)),
        ]
        drift = await bench.drift(namespace)
        slowest = max(max(each) for each in drift.values())
        rows.append(
            (
                "drift of each kind, deleted and edited, slowest",
                f"{slowest:.2f} s",
                "≤ 1 s",
                "0.2 s",
                met(slowest, 1, 0.2),
            )
        )
        say("a storm of status events")
        storm = await bench.storm(operator, namespace, number, 20)
        rows.append(("storm: applies", f"{storm['applies']:.0f}", "0", "0", met(storm["applies"], 0, 0)))
        most = 1 / max(storm["shortest gap"], 0.001)
        rows.append(
            (
                f"storm of {storm['events']:.0f} events in {storm['seconds']:.1f} s: status writes of one ShopService a second",
                f"{most:.2f} at most",
                "≤ 1",
                "1",
                met(round(most, 1), 1, 1),
            )
        )
    await emptied(api, namespace)
    say("one that fails for ever")
    namespace = await fresh(api)
    foreign = {"metadata": {"name": f"shop-{number:04}"}, "spec": {"ports": [{"port": 1}]}}
    await api.call("POST", path_of("Service", namespace), foreign)
    with bench.operator() as operator:
        await operator.ready()
        await api.call("POST", shop_path(namespace), shopservice(namespace, number))
        await operator.quiet()
        failing = await bench.from_zero(operator, namespace, number)
    await emptied(api, namespace)
    rows.append(
        (
            "rate beside one that fails for ever ÷ without",
            f"{failing.rate / run.rate:.2f}",
            "≥ 0.9",
            "1",
            met(failing.rate / run.rate, 0.9, 1, more=True),
        )
    )
    say("kopf used plainly")
    namespace = await fresh(api)
    with bench.plain() as plain:
        await asyncio.sleep(5)
        plainly = await bench.from_zero(plain, namespace, number, counted=False)
    await emptied(api, namespace)
    grown: list[Sequence[object]] = []
    for size in growth:
        say(f"growth: {size}")
        grown.append(await grow(bench, size, idle, rows if size == growth[-1] else None))
    print(f"\n{number} new ShopServices, six children each:\n")
    print(table(("what", "measured", "must", "aim", "met"), rows))
    print(
        table(
            (
                "ShopServices",
                "from zero",
                "operator CPU",
                "API server CPU",
                "RSS",
                "restart: CPU",
                "restart: writes",
                "RSS after it",
            ),
            grown,
        )
    )
    print(
        table(
            ("", "ShopServices/s", "operator CPU-ms each", "API server CPU-ms each"),
            [
                ("the bare loop", f"{bare.rate:.0f}", "", f"{bare.server / number * 1000:.1f}"),
                (
                    "this operator",
                    f"{run.rate:.0f}",
                    f"{run.own / number * 1000:.1f}",
                    f"{run.server / number * 1000:.1f}",
                ),
                (
                    "kopf used plainly",
                    f"{plainly.rate:.0f}",
                    f"{plainly.own / number * 1000:.1f}",
                    f"{plainly.server / number * 1000:.1f}",
                ),
            ],
        )
    )
    print(
        table(
            ("drift", "deleted", "edited"), [(k, f"{d:.2f} s", f"{e:.2f} s") for k, (d, e) in drift.items()]
        )
    )


async def grow(bench: Bench, size: int, idle: float, rows: list[Sequence[object]] | None) -> Sequence[object]:
    """One size: from zero, a restart, and with the largest also what a change costs and what nothing costs."""
    api = bench.api
    namespace = await fresh(api)
    with bench.operator() as operator:
        await operator.ready()
        run = await bench.from_zero(operator, namespace, size)
        await operator.quiet()
        first = memory(operator.pid)
    with bench.operator() as operator:
        await operator.ready()
        await operator.until(lambda: operator.metric("controller_runtime_reconcile_total") >= size, 0.5)
        await operator.quiet()
        restart, writes, again = cpu(operator.pid), operator.writes, memory(operator.pid)
        if rows is not None:
            say(f"with {size}: changes, then {idle:.0f} s of nothing")
            took = await bench.changes(namespace, size, 200)
            p95 = percentile(took, 0.95)
            await operator.quiet()
            before = cpu(operator.pid)
            await asyncio.sleep(idle)
            share = (cpu(operator.pid) - before) / idle * 100
            rows += [
                (f"restart over {size}: writes", f"{writes:.0f}", "0", "0", met(writes, 0, 0)),
                (f"restart over {size}: CPU", f"{restart:.1f} s", "≤ 10 s", "4 s", met(restart, 10, 4)),
                (
                    f"RSS with {size}, after a restart",
                    f"{again['VmRSS']:.0f} MB",
                    "≤ 110 MB",
                    "80 MB",
                    met(again["VmRSS"], 110, 80),
                ),
                (
                    f"RSS with {size}, from zero",
                    f"{first['VmRSS']:.0f} MB",
                    "≤ 110 MB",
                    "80 MB",
                    met(first["VmRSS"], 110, 80),
                ),
                (
                    f"a change with {size}, p95",
                    f"{p95:.0f} ms (median {statistics.median(took):.0f})",
                    "≤ 150 ms",
                    "50 ms",
                    met(p95, 150, 50),
                ),
                (f"idle with {size}", f"{share:.2f} % of a core", "≤ 1 %", "0.3 %", met(share, 1, 0.3)),
            ]
    await emptied(api, namespace)
    return (
        size,
        f"{run.rate:.0f}/s",
        f"{run.own / size * 1000:.1f} ms each",
        f"{run.server / size * 1000:.1f} ms each",
        f"{first['VmRSS']:.0f} MB",
        f"{restart:.1f} s",
        f"{writes:.0f}",
        f"{again['VmRSS']:.0f} MB",
    )


async def profile(bench: Bench, number: int, path: Path) -> None:
    """Where the operator's time goes while it makes new ShopServices true. Profiled, it is about twice as slow."""
    namespace = await fresh(bench.api)
    with bench.operator(path) as operator:
        await operator.ready()
        await bench.from_zero(operator, namespace, number)
    await emptied(bench.api, namespace)
    rows = [(name, f"{share:.1%}") for name, share in shares(path)[:20]]
    print(table(("code of", "share of its time"), rows))


def own_python(folder: Path) -> Path:
    """An interpreter with the packages of the operator's image and no others: what else is installed is imported too."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--require-hashes", "-r"]
    subprocess.run([*pip, str(ROOT / "requirements/operator.txt")], check=True)
    return folder / "bin/python"


async def main(arguments: argparse.Namespace) -> None:
    """Start, measure, stop."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        say("an interpreter with the operator's packages")
        python = own_python(folder / "venv")
        with ControlPlane(folder / "plane", controller_manager=False) as plane:
            config = yaml.safe_load(plane.kubeconfig.read_text())
            context = ssl.create_default_context(cafile=str(plane.ca))
            user = config["users"][0]["user"]
            context.load_cert_chain(user["client-certificate"], user["client-key"])
            connector = aiohttp.TCPConnector(limit=0, ssl=context)
            async with aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=None)
            ) as session:
                api = Api(plane, session)
                crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
                await api.call("POST", crds, crd())
                async with asyncio.timeout(60):
                    while True:
                        try:
                            await api.call("GET", shop_path("default"))
                            break
                        except RuntimeError:
                            await asyncio.sleep(0.2)
                print(
                    f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}"
                )
                bench = Bench(api, folder, python)
                await measure(bench, arguments.number, arguments.growth, arguments.idle)
                say("where the time goes")
                await profile(bench, arguments.number, folder / "profile")


def parsed() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description="Measure the operator beside a bare loop.")
    parser.add_argument(
        "--number", type=int, default=300, help="ShopServices of the comparison (default: 300)"
    )
    parser.add_argument(
        "--growth", type=int, nargs="+", default=[100, 300, 1000, 3000], help="sizes to show growth with"
    )
    parser.add_argument("--idle", type=float, default=30, help="seconds of nothing (default: 30)")
    parser.add_argument("--quick", action="store_true", help="a hundred ShopServices only")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.number, arguments.growth, arguments.idle = 100, [100], 5
    return arguments


if __name__ == "__main__":
    asyncio.run(main(parsed()))
