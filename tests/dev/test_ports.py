"""A free port has one caller, even with concurrent processes, and no process listens on it."""

import multiprocessing
import socket

import pytest

from shopdev import ports
from shopdev.ports import free_port

MANY = 300


def some(_: int) -> list[int]:
    return [free_port() for _ in range(MANY)]


def test_given_concurrent_processes_when_each_requests_free_ports_then_no_two_get_the_same() -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        given = [port for each in pool.map(some, range(2), chunksize=1) for port in each]
        given += some(0)

    assert len(set(given)) == len(given) == 3 * MANY


def test_when_a_free_port_is_requested_then_it_is_below_ephemeral_ports_and_node_ports() -> None:
    assert all(15_000 <= port < 30_000 for port in some(0))


def test_given_a_port_with_a_listener_when_a_free_port_is_requested_then_it_is_not_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(ports, "_FIRST", port)
        monkeypatch.setattr(ports, "_LAST", port)

        with pytest.raises(OSError, match="found no free port"):
            free_port()
