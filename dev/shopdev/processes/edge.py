"""The gateway of the APIs: Traefik as a process, with the routes that the chart of the shop declares.

As in a cluster, the response is 404 for a path that no ShopService declares, and for a method that the route does not list.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from shopdev.checkout import ROOT
from shopdev.cluster import tools
from shopdev.processes.process import Process, Sink

READY_WITHIN = 20.0
NOT_FOUND = 404


class Edge:
    """The gateway.

    Args:
        sink: receives its output.
        port: port on which it listens.
        services: service -> the port of its API on loopback.
        folder: folder of its configuration.
    """

    def __init__(self, sink: Sink, port: int, services: Mapping[str, int], folder: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        routes = folder / "edge.yaml"
        routes.write_text(yaml.safe_dump(configuration(services)), encoding="utf-8")
        self.process = Process(
            "edge",
            [
                tools.traefik(),
                f"--entryPoints.web.address=127.0.0.1:{port}",
                f"--providers.file.filename={routes}",
                "--providers.file.watch=false",
                "--global.checkNewVersion=false",
                "--global.sendAnonymousUsage=false",
                "--log.level=ERROR",
                "--log.noColor=true",
            ],
            {"PATH": "", "HOME": str(folder)},
            sink,
            folder,
        )

    def start(self) -> None:
        """Start it and wait until it has its routes, even if the services are not ready yet.

        Raises:
            ProcessError: when it does not become ready.
        """
        self.process.start()
        self.process.wait_until(self._routes, READY_WITHIN)

    def _routes(self) -> bool:
        try:
            return (
                httpx.get(self.url + declared_routes("product")[0]["path"], timeout=2).status_code
                != NOT_FOUND
            )
        except httpx.TransportError:
            return False


def configuration(services: Mapping[str, int]) -> dict[str, Any]:
    """The routers and services of Traefik, in the format of its file provider."""
    routers = {
        f"{service}-{number}": {"rule": _rule(route), "service": service, "entryPoints": ["web"]}
        for service in services
        for number, route in enumerate(declared_routes(service))
    }
    backends = {
        service: {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{port}"}]}}
        for service, port in services.items()
    }
    return {"http": {"routers": routers, "services": backends}}


def declared_routes(service: str) -> Sequence[Mapping[str, Any]]:
    """The `routes` of a service in the chart of the shop: `[{"path": "/orders", "methods": ["GET"]}]`."""
    values = yaml.safe_load((ROOT / "charts" / "shop" / "values.yaml").read_text(encoding="utf-8"))
    routes: Sequence[Mapping[str, Any]] = values[service]["routes"]
    return routes


def _rule(route: Mapping[str, Any]) -> str:
    """A rule that matches complete path elements, as PathPrefix of an HTTPRoute does."""
    path = route["path"].rstrip("/")
    return " && ".join(_alternatives(f"(Path(`{path}`) || PathPrefix(`{path}/`))", route.get("methods", [])))


def _alternatives(path: str, methods: Sequence[str]) -> Iterator[str]:
    yield path
    if methods:
        yield "(" + " || ".join(f"Method(`{method}`)" for method in methods) + ")"
