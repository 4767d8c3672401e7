"""Silent and slow clients of real processes do not delay probes and other clients."""

import contextlib
import re
import resource
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from services.common.http.front import Limits
from shopdev.processes.shop import Shop
from tests.waiting import wait_for

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(240)]

CLIENTS = 5000
MOST = Limits().connections
# A kubelet's probe waits this long by default.
PROBE_SECONDS = 1.0
OTHER_SECONDS = 5.0
POST = b"POST /orders HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\n"
# What each client sends, and leaves at that.
SLOW = {
    "silent": b"",
    "half a request line": b"GET /prod",
    "half a head": b"GET /orders HTTP/1.1\r\nHost: x\r\nX-",
    "half a body": POST + b"Content-Length: 200\r\n\r\n{",
    "half a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nc8\r\n{",
    "no last chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n",
    "waits for 100 Continue": POST + b"Expect: 100-continue\r\nContent-Length: 200\r\n\r\n",
}
OPENAPI = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(autouse=True)
def files() -> Iterator[None]:
    """Room for the sockets of all clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@dataclass(frozen=True)
class Server:
    port: int
    path: str
    expected: int
    token: str

    def status(self, path: str, timeout: float = PROBE_SECONDS) -> int | None:
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            return httpx.get(
                f"http://127.0.0.1:{self.port}{path}", timeout=timeout, headers=headers
            ).status_code
        except httpx.TransportError:
            return None

    def serves(self, times: int) -> bool:
        """Whether probes are answered within their time, and others within a few seconds."""
        probes = [self.status(path) for path in ("/healthz", "/metrics") for _ in range(times)]
        others = [self.status(self.path, OTHER_SECONDS) for _ in range(times)]
        assert (probes, others) == ([200, 200] * times, [self.expected] * times)
        return True


@pytest.fixture(params=["order", "order-relay"])
def server(request: pytest.FixtureRequest, shop: Shop) -> Server:
    """An API, and a worker, which serves probes only."""
    path, expected = ("/nothing", 404) if "-" in request.param else ("/orders", 200)
    return Server(shop.programs[request.param].port, path, expected, shop.token())


@pytest.fixture
def api(shop: Shop) -> Server:
    return Server(shop.programs["order"].port, "/orders", 200, shop.token())


def connect(port: int, number: int, sent: bytes) -> list[socket.socket]:
    clients = []
    for _ in range(number):
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        client.sendall(sent)
        clients.append(client)
    return clients


@contextlib.contextmanager
def kept(port: int, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    clients = connect(port, number, sent)
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def said(client: socket.socket) -> bytes:
    """All bytes until the connection ends."""
    client.settimeout(40)
    content = b""
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(65536):
            content += data
    return content


def test_given_5000_idle_connections_when_probes_and_clients_send_requests_then_they_get_responses(
    server: Server,
) -> None:
    with kept(server.port, CLIENTS, b""):
        assert server.serves(10)


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_given_clients_that_stop_within_a_request_when_others_send_requests_then_they_get_responses(
    server: Server, sent: bytes
) -> None:
    with kept(server.port, 200, sent):
        assert server.serves(5)


def test_given_clients_that_send_byte_by_byte_when_others_send_requests_then_they_get_responses(
    server: Server,
) -> None:
    with kept(server.port, 50, b"GET / HTTP/1.1\r\nX: ") as clients:
        for _ in range(20):
            for client in clients:
                client.sendall(b"x")
            assert server.status("/healthz") == 200


def test_given_clients_that_read_nothing_when_others_send_requests_then_they_get_responses(
    api: Server,
) -> None:
    clients = [socket.socket() for _ in range(50)]
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", api.port))
        client.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            client.send(OPENAPI * 10)
    assert api.serves(10)
    for client in clients:
        client.close()


def test_given_more_connections_than_the_limit_when_another_client_connects_then_it_gets_a_response(
    server: Server,
) -> None:
    with kept(server.port, MOST + 100, b"GET / HTTP/1.1\r\n"):
        assert server.serves(1)


def test_given_an_incomplete_request_when_it_times_out_then_the_client_gets_a_408(
    api: Server,
) -> None:
    with kept(api.port, 1, SLOW["half a body"]) as [client]:
        started = time.monotonic()
        answer = said(client)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 15 < time.monotonic() - started < 30


def test_given_a_silent_connection_when_it_times_out_then_it_is_closed(server: Server) -> None:
    with kept(server.port, 1, b"") as [client]:
        assert said(client) == b""


def test_given_many_incomplete_large_bodies_when_they_exceed_the_limit_then_memory_stays_bounded(
    api: Server,
) -> None:
    body = POST + b"Content-Length: 65000\r\n\r\n" + b" " * 60_000
    with kept(api.port, 400, b"") as clients:  # 24 MB; at most 16 MiB are held
        for client in clients:
            with contextlib.suppress(OSError):
                client.sendall(body)
        wait_for(lambda: closed(clients) > 50, what="the oldest connections are closed")
        assert api.status("/healthz") == 200
        assert closed(clients) < 300


def closed(clients: list[socket.socket]) -> int:
    """How many of the connections the server has ended."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        return len(selector.select(0))


CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    "whole": (OPENAPI, 200),
    "empty lines and no more": (b"\r\n\r\n", 400),
    "not HTTP": (b"hello\r\n\r\n", 400),
    "no method": (b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    "a length and chunks": (
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a length that is no number": (POST + b"Content-Length: many\r\n\r\n", 400),
    "a length below zero": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "no size of a chunk": (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk longer than its size": (CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", 400),
    "an endless size of a chunk": (CHUNKED + b"1" * 100, 400),
    "an unknown coding": (POST + b"Transfer-Encoding: magic\r\n\r\n", 501),
    "a length too large": (POST + b"Content-Length: 70000\r\n\r\n", 401),
    "a chunk too large": (CHUNKED + b"11170\r\n", 413),
    "many chunks": (CHUNKED + 5 * (b"4000\r\n" + b" " * 0x4000 + b"\r\n"), 413),
    "an endless trailer": (CHUNKED + b"0\r\nX: " + b"x" * 70_000, 413),
    "a head too large": (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000, 431),
    "a chunked body": (CHUNKED + b"2\r\n{}\r\n0\r\n\r\n", 401),
    "a chunked body with a trailer": (CHUNKED + b"2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n", 401),
    "a length that is there": (POST + b"Content-Length: 2\r\n\r\n{}", 401),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_given_a_request_in_any_form_when_it_is_complete_then_the_response_is_sent_at_once(
    api: Server, name: str
) -> None:
    sent, expected = ANSWERS[name]
    with kept(api.port, 1, sent) as [client]:
        assert first(client).startswith(f"HTTP/1.1 {expected} ".encode())


@pytest.mark.parametrize("name", ["whole", "a chunked body with a trailer", "a length that is there"])
def test_given_a_request_sent_byte_by_byte_when_its_last_byte_arrives_then_the_response_is_sent(
    api: Server, name: str
) -> None:
    sent, expected = ANSWERS[name]
    with kept(api.port, 1, b"") as [client]:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in sent:
            client.sendall(bytes([byte]))
        assert first(client).startswith(f"HTTP/1.1 {expected} ".encode())


def test_given_pipelined_requests_when_they_arrive_then_the_responses_are_sent_in_order(api: Server) -> None:
    paths = ["/healthz", "/nothing", "/metrics", "/healthz"]
    sent = b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths)
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with kept(api.port, 1, sent + last) as [client]:
        statuses = re.findall(rb"HTTP/1.1 (\d+) ", said(client))

    assert statuses == [b"200", b"404", b"200", b"200", b"200"]


def test_given_a_request_that_expects_100_continue_when_its_head_arrives_then_100_is_sent_once(
    api: Server,
) -> None:
    head = POST + b"Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
    with kept(api.port, 1, head) as [client]:
        assert first(client) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        answer = said(client)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"100 Continue" not in answer


def test_given_a_persistent_connection_when_the_client_sends_more_requests_then_it_is_reused(
    api: Server,
) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}") as client:
        streams = {id(client.get("/healthz").extensions["network_stream"]) for _ in range(3)}

    assert len(streams) == 1


def test_given_slow_clients_when_the_process_is_terminated_then_it_ends_within_its_grace_period(
    shop: Shop,
) -> None:
    with kept(shop.programs["order"].port, 100, SLOW["half a body"]):
        begun = time.monotonic()
        shop.process("order").stop(grace=30)

    assert time.monotonic() - begun < 25


def first(client: socket.socket) -> bytes:
    """The first bytes of the response."""
    client.settimeout(5)
    return client.recv(65536)
