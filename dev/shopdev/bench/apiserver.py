"""A real etcd and kube-apiserver without a controller-manager, and a client with the rights of an administrator.

The client is aiohttp with orjson, as in the operator, because a benchmark shares the CPU with the operator that it measures: a
GET costs 0.3 ms of CPU, and 1.3 ms with lightkube 1.0.
"""

import asyncio
import json
import os
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
import yaml

from shop_operator.api.v1alpha1.crd import crd
from shop_operator.kubernetes.client import _path, encoded
from shop_operator.names import GROUP, PLURAL, VERSION
from shop_operator.render import KINDS
from shopdev.cluster import tools
from shopdev.cluster.controlplane import ControlPlane

AT_ONCE: Final = 16
DEADLINE: Final = 900.0
BY_KIND: Final = {kind.kind: kind for kind in KINDS}
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_SHOPS: Final = f"/apis/{GROUP}/{VERSION}"
_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# Installed before the operator starts, as in a cluster with these APIs, so that the operator does not poll for them.
_OPTIONAL: Final = (
    ("gateway-api", "gateway.networking.k8s.io_httproutes.yaml"),
    ("keda-crds", "keda.sh_scaledobjects.yaml"),
    ("argo-rollouts-crds", "rollout-crd.yaml"),
    ("argo-rollouts-crds", "analysis-template-crd.yaml"),
    ("prometheus-operator-crds", "monitoring.coreos.com_servicemonitors.yaml"),
    ("prometheus-operator-crds", "monitoring.coreos.com_podmonitors.yaml"),
    ("prometheus-operator-crds", "monitoring.coreos.com_prometheusrules.yaml"),
)


def cpu(pid: int) -> float:
    """The CPU time of a process in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(pid: int) -> float:
    """Resident memory in MB (a million bytes)."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) * 1024 / 1e6


def path_of(kind: str, namespace: str, name: str | None = None) -> str:
    """The path of a child, or of the collection of its kind."""
    return _path(BY_KIND[kind], namespace, name)


def shop_path(namespace: str, name: str = "") -> str:
    """The path of a ShopService, or of the collection."""
    return f"{_SHOPS}/namespaces/{namespace}/{PLURAL}" + (f"/{name}" if name else "")


async def at_once(work: Sequence[Callable[[], Any]]) -> None:
    """Run all coroutine functions, sixteen at a time."""
    left = iter(work)

    async def take() -> None:
        for each in left:
            await each()

    await asyncio.gather(*(take() for _ in range(AT_ONCE)))


class Refused(Exception):
    """The API server returned an error."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class Api:
    """A client of the API server with the rights of an administrator."""

    def __init__(self, plane: ControlPlane, session: aiohttp.ClientSession) -> None:
        self.plane = plane
        self.session = session
        self.pid = int(json.loads((plane.run_dir / "proc" / "kube-apiserver.json").read_text())["pid"])
        self._namespaces = 0

    async def call(
        self, method: str, path: str, body: Any = None, content: str = "application/json", **params: str
    ) -> Any:
        """Send a request and return the response.

        Raises:
            Refused: when the response is an error.
        """
        data = body if body is None or isinstance(body, bytes) else encoded(body)
        headers = {"Content-Type": content} if body is not None else {}
        url = self.plane.server + path
        async with self.session.request(method, url, data=data, headers=headers, params=params) as response:
            raw = await response.read()
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise Refused(response.status, f"{method} {path}: {response.status} {raw[:300]!r}")
            return orjson.loads(raw)

    async def merge(self, path: str, patch: Any, **params: str) -> Any:
        """Send a merge patch."""
        return await self.call("PATCH", path, patch, "application/merge-patch+json", **params)

    @asynccontextmanager
    async def watching(self, path: str, seen: Callable[[dict[str, Any]], None]) -> AsyncIterator[None]:
        """Call `seen` with every object that changes in a collection, until the end of the context."""
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

    async def fresh(self) -> str:
        """Create a new namespace and return its name."""
        self._namespaces += 1
        namespace = f"bench-{self._namespaces}"
        await self.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        return namespace

    async def children(self, namespace: str) -> Counter[str]:
        """Kind -> number of children."""
        found: Counter[str] = Counter()
        for kind in BY_KIND:
            found[kind] = len((await self.call("GET", path_of(kind, namespace)))["items"])
        return +found

    async def emptied(self, namespace: str) -> None:
        """Delete everything that a run created, because no garbage collector runs."""
        await self.call("DELETE", shop_path(namespace))
        for kind in BY_KIND:
            if kind != "Service":
                await self.call("DELETE", path_of(kind, namespace))
        services = await self.call("GET", path_of("Service", namespace))
        names = [each["metadata"]["name"] for each in services["items"]]
        await at_once([partial(self.call, "DELETE", path_of("Service", namespace, name)) for name in names])

    async def until(self, condition: Callable[[], Any], every: float = 0.2) -> None:
        """Wait until a coroutine function returns true; refused requests count as false."""
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    if await condition():
                        return
                except Refused:
                    pass
                await asyncio.sleep(every)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Api]:
    """A running API server with the CRDs of ShopServices and of every kind of child."""
    with ControlPlane(folder, controller_manager=False) as plane:
        user = yaml.safe_load(plane.kubeconfig.read_text())["users"][0]["user"]
        context = ssl.create_default_context(cafile=str(plane.ca))
        context.load_cert_chain(user["client-certificate"], user["client-key"])
        connector = aiohttp.TCPConnector(limit=0, ssl=context)
        async with aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=None)
        ) as session:
            api = Api(plane, session)
            optional = [yaml.safe_load((tools.ensure(tool) / name).read_text()) for tool, name in _OPTIONAL]
            for definition in (crd(), *optional):
                await api.call("POST", _CRDS, definition)
            await api.until(partial(_served, api))
            yield api


async def _served(api: Api) -> Mapping[str, Any]:
    for kind in BY_KIND:
        await api.call("GET", path_of(kind, "default"))
    answer: Mapping[str, Any] = await api.call("GET", shop_path("default"))
    return answer
