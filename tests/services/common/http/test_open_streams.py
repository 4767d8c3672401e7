"""Responses that stay open, in a real process: they delay no other client, and end with their client and with the process."""

import os
import re
import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from services.common.http.front import MOST_STREAMS
from shopdev.checkout import ROOT
from shopdev.ports import free_port
from shopdev.processes.process import Process
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

IDLE = 200
STREAM = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
# A kubelet's probe waits this long by default.
PROBE_SECONDS = 1.0
COMMAND = (
    "gunicorn",
    "--config",
    "python:services.common.http.gunicorn",
    "tests.services.common.http.streaming:app",
)


class Server:
    """The process, and connections to it.

    Args:
        process: its process.
        port: its port.
        connections: closes the connections at the end.
    """

    def __init__(self, process: Process, port: int, connections: ExitStack) -> None:
        self.process = process
        self.port = port
        self._connections = connections

    def get(self, path: str, timeout: float = PROBE_SECONDS) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=timeout)

    def post(self, path: str, content: bytes = b"") -> str:
        return httpx.post(f"http://127.0.0.1:{self.port}{path}", content=content, timeout=10).text

    def sends(self, request: bytes) -> socket.socket:
        client = self._connections.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", self.port))
        client.sendall(request)
        return client

    def opens(self, number: int) -> list[socket.socket]:
        clients = [self.sends(STREAM) for _ in range(number)]
        for client in clients:
            assert b"begin" in until(client, b"begin\n\r\n")
        return clients


@contextmanager
def running() -> Iterator[tuple[Process, int]]:
    """A process, and its port."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "LISTEN_HOST": "127.0.0.1", "PORT": str(port)}
    process = Process("streaming", [sys.executable, "-m", *COMMAND], environment, print, ROOT)
    process.start()
    try:
        process.wait_until(lambda: is_up(port), 60)
        yield process, port
    finally:
        process.stop(grace=30)


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Process, int]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with running() as (process, port):
        yield process, port
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def server(started: tuple[Process, int]) -> Iterator[Server]:
    """The process without open streams."""
    with ExitStack() as connections:
        server = Server(*started, connections)
        yield server
    wait_for(lambda: server.post("/write", b"the last one") == "0")


def is_up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=PROBE_SECONDS).status_code == 200
    except httpx.TransportError:
        return False


def until(client: socket.socket, end: bytes) -> bytes:
    """The received bytes up to an end."""
    received = b""
    while not received.endswith(end):
        data = client.recv(65536)
        assert data, f"ended after {received!r}"
        received += data
    return received


def rest(client: socket.socket) -> bytes:
    """All bytes until the connection ends."""
    received = b""
    while data := client.recv(65536):
        received += data
    return received


def test_given_200_idle_streams_when_others_send_requests_then_they_get_responses(server: Server) -> None:
    clients = server.opens(IDLE)

    assert [server.get("/healthz").status_code for _ in range(20)] == [200] * 20
    assert server.post("/write", b"hello") == str(IDLE)
    assert {until(client, b"\r\n") for client in clients} == {b"5\r\nhello\r\n"}


def test_given_a_stream_when_its_response_begins_then_its_head_says_how_it_ends(server: Server) -> None:
    client = server.sends(STREAM)
    head = until(client, b"begin\n\r\n")
    server.post("/end")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert re.search(rb"(?i)transfer-encoding: chunked\r\n", head)
    assert re.search(rb"(?i)connection: close\r\n", head)
    assert rest(client) == b"0\r\n\r\n"


def test_given_a_client_that_leaves_when_others_stay_then_its_stream_is_released(server: Server) -> None:
    first, *others = server.opens(3)

    first.close()

    wait_for(lambda: server.post("/write", b"hello") == str(len(others)))
    assert {until(client, b"\r\n")[:10] for client in others} == {b"5\r\nhello\r\n"}


def test_given_a_client_that_reads_nothing_when_its_backlog_is_too_large_then_it_is_closed(
    server: Server,
) -> None:
    _slow, fast = server.opens(2)

    def slow_is_closed() -> bool:
        open_streams = server.post("/write", b"x" * 8192)
        until(fast, b"\r\n")
        return open_streams == "1"

    wait_for(slow_is_closed)
    assert server.get("/healthz").status_code == 200


def test_given_a_duration_when_it_is_over_then_the_stream_ends(server: Server) -> None:
    client = server.sends(STREAM.replace(b"/stream", b"/stream?seconds=1"))

    assert rest(client).endswith(b"begin\n\r\n0\r\n\r\n")


def test_given_the_largest_number_of_streams_when_one_more_is_opened_then_it_is_declined(
    server: Server,
) -> None:
    clients = server.opens(MOST_STREAMS)

    assert server.get("/stream").status_code == 204
    clients[0].close()
    wait_for(lambda: b" 200 OK" in server.sends(STREAM).recv(65536))


def test_given_an_error_after_a_stream_was_taken_then_its_response_is_complete_and_the_stream_released(
    server: Server,
) -> None:
    server.opens(MOST_STREAMS - 1)

    assert [server.get("/failing").status_code for _ in range(3)] == [500] * 3
    assert b" 200 OK" in server.sends(STREAM).recv(65536)


@pytest.mark.parametrize(
    "request_line", [b"GET /stream HTTP/1.0", b"HEAD /stream HTTP/1.1"], ids=["HTTP/1.0", "HEAD"]
)
def test_given_a_request_that_cannot_have_a_stream_then_it_is_declined(
    server: Server, request_line: bytes
) -> None:
    assert b" 204 " in server.sends(request_line + b"\r\nHost: x\r\n\r\n").recv(65536)


def test_given_open_streams_when_the_process_is_terminated_then_they_end_and_it_does_too() -> None:
    with running() as (process, port), ExitStack() as connections:
        clients = Server(process, port, connections).opens(IDLE)
        begun = time.monotonic()

        process.stop(grace=30)

        assert time.monotonic() - begun < 10
        assert process.returncode == 0
        assert {rest(client) for client in clients} == {b"0\r\n\r\n"}
