import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shopdev.checkout import SERVICES
from shopdev.ports import free_port
from shopdev.processes.edge import Edge, declared_routes

pytestmark = pytest.mark.emulator


class Backend(http.server.BaseHTTPRequestHandler):
    """Answers with the name of its service."""

    service = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.service.encode())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    servers = {
        service: http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), type(service, (Backend,), {"service": service})
        )
        for service in SERVICES
    }
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = {service: server.server_port for service, server in servers.items()}
    edge = Edge(lambda *_: None, free_port(), ports, tmp_path_factory.mktemp("edge"))
    edge.start()
    yield edge
    edge.process.stop()
    for server in servers.values():
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_declared_route_when_requested_then_its_service_responds(edge: Edge, service: str) -> None:
    for route in declared_routes(service):
        for method in route["methods"]:
            for path in (route["path"], route["path"] + "/some/id"):
                assert httpx.request(method, edge.url + path).text == service


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/readyz"),
        ("GET", "/openapi.json"),
        ("GET", "/ordersandmore"),
        ("DELETE", "/orders"),
        ("POST", "/products"),
    ],
)
def test_given_no_declared_route_when_requested_then_no_service_responds(
    edge: Edge, method: str, path: str
) -> None:
    assert httpx.request(method, edge.url + path).status_code == 404


def test_given_the_gateway_when_stopped_then_its_port_is_free(tmp_path: Path) -> None:
    edge = Edge(lambda *_: None, free_port(), dict.fromkeys(SERVICES, 1), tmp_path)
    edge.start()
    edge.process.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(edge.url)
