"""One front door for the services' APIs: Traefik as a process, with the routes that the shop's chart declares.

So a path that no ShopService declares answers 404 here too, and a method that it does not list as well.
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
    """The front door.

    Args:
        sink: gets what it prints.
        port: where it listens.
        services: service -> the port of its API on loopback.
        folder: where its configuration is written.
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
        """Start it and wait until it knows its routes, whether or not a service answers yet.

        Raises:
            ProcessError: when it does not.
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
    """Traefik's routers and services, as its file provider reads them."""
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
    """The `routes` of a service in the shop's chart: `[{"path": "/orders", "methods": ["GET"]}]`."""
    values = yaml.safe_load((ROOT / "charts" / "shop" / "values.yaml").read_text(encoding="utf-8"))
    routes: Sequence[Mapping[str, Any]] = values[service]["routes"]
    return routes


def _rule(route: Mapping[str, Any]) -> str:
    """The rule that means what the HTTPRoute's PathPrefix does: whole path elements only."""
    path = route["path"].rstrip("/")
    return " && ".join(_alternatives(f"(Path(`{path}`) || PathPrefix(`{path}/`))", route.get("methods", [])))


def _alternatives(path: str, methods: Sequence[str]) -> Iterator[str]:
    yield path
    if methods:
        yield "(" + " || ".join(f"Method(`{method}`)" for method in methods) + ")"
