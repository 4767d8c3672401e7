"""The sockets of an HTTP server: one thread reads every request whole and sends every answer, and waits for no client.

A client that is slow, or silent, holds no thread of the application: it costs a bounded amount of memory for a bounded
time. When connections or memory run out, the connection that has kept the server waiting longest is closed, so that new
ones are always accepted. Work is dealt out by lanes, each with threads of its own: requests that take long leave the
lane of the probes free.

What a request is, and how it is answered, is for the `Reader`: this module knows bytes only. docs/adr/0014 says why.
"""

import contextlib
import os
import queue
import resource
import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Protocol

LARGEST_BODY = 64 * 1024
LARGEST_HEAD = 32 * 1024
# The lane of requests that no other lane is for.
ANY = ""
ACCEPTED_AT_ONCE = 64
RECEIVED_AT_ONCE = 64 * 1024
LINGER_SECONDS = 2.0
CHECK_SECONDS = 0.5
# Files of a process that are no connections of clients: listeners, logs, connections to AWS.
OTHER_FILES = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may use up.

    Args:
        connections: how many are open at once; fewer where the process may open fewer files.
        held_bytes: of all requests and answers that are in memory, one of each at least.
        first_seconds: until a new connection has sent its first byte.
        request_seconds: from the first byte of a request to its last.
        answer_seconds: until an answer has been taken.
        idle_seconds: between an answer and the next request.
    """

    connections: int = 8192
    held_bytes: int = 16 * 1024 * 1024
    first_seconds: float = 10.0
    request_seconds: float = 20.0
    answer_seconds: float = 20.0
    idle_seconds: float = 75.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it is sent, and whether the connection may be used again."""

    content: bytes
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Interim:
    """What the client waits for before it sends the rest of a request."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Job:
    """A whole request: the lane whose threads answer it, and how, without an exception."""

    lane: str
    work: Callable[[], Answer]


Step = Job | Answer | Interim | None


class Reader(Protocol):
    """Makes requests of the bytes of one connection."""

    def read(self, received: bytearray) -> Step:
        """Takes what it uses out of `received`; None when it needs more. Never waits.

        An `Answer` refuses what was sent, and ends the connection.
        """

    def late(self) -> bytes:
        """The answer to a client that did not send the rest of a request in time."""

    def busy(self) -> bytes:
        """The answer to a request that there is no memory for."""


Readers = Callable[[Any, Any], Reader]
"""A reader for a connection from a client's address to a server's."""


@dataclass(eq=False, slots=True)
class _Connection:
    sock: socket.socket
    reader: Reader
    deadline: float
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    keep: bool = False
    # What of `held_bytes` is this connection's, the request included that is being worked on.
    held: int = 0


class Front:
    """Serves listening sockets. Every method but `wake` is for one thread.

    Args:
        listeners: the sockets, bound and listening.
        readers: make requests of bytes.
        lanes: threads by the name of the lane; those of `ANY` take what has no other.
        limits: what clients may use up.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        readers: Readers,
        lanes: Mapping[str, Executor],
        limits: Limits | None = None,
    ) -> None:
        self._listeners = tuple(listeners)
        self._readers = readers
        self._lanes = dict(lanes)
        self._limits = limits or Limits()
        self._most = min(self._limits.connections, max(1, _open_files() - OTHER_FILES))
        # Each in the order of how long it has been there.
        self._reading: dict[_Connection, None] = {}
        self._working: dict[_Connection, None] = {}
        self._sending: dict[_Connection, None] = {}
        self._held = 0
        self._stopping = False
        self._next_check = 0.0
        self._done: queue.SimpleQueue[tuple[_Connection, Future[Answer]]] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)
        self._selector.register(self._woken, selectors.EVENT_READ, self._on_woken)
        for listener in self._listeners:
            listener.settimeout(0)
            self._selector.register(listener, selectors.EVENT_READ, partial(self._on_client, listener))

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._reading) + len(self._working) + len(self._sending)

    def turn(self, seconds: float = 1.0) -> None:
        """Deals with what has happened; waits up to `seconds` when nothing has."""
        for key, _ in self._selector.select(seconds):
            key.data()
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + CHECK_SECONDS
            self._end_late(now)

    def wake(self) -> None:
        """Ends the wait of `turn`; from any thread, and from signal handlers."""
        with contextlib.suppress(BlockingIOError):  # full: it is awake
            os.write(self._waker, b"\0")

    def stop_accepting(self) -> None:
        """Takes no more connections. Those that are open are served for a moment longer, each for one request."""
        self._stopping = True
        for listener in self._listeners:
            self._selector.unregister(listener)
        soon = time.monotonic() + LINGER_SECONDS
        for connection in self._reading:
            if not connection.received:
                connection.deadline = min(connection.deadline, soon)

    def close(self) -> None:
        """Closes every connection; the listeners are the caller's."""
        for connection in [*self._reading, *self._working, *self._sending]:
            self._drop(connection)
        self._selector.close()
        os.close(self._woken)
        os.close(self._waker)

    # ---- what happens
    def _on_client(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, client = listener.accept()
            except OSError:  # no client waits, or it is gone, or there are no more files
                return
            if self.connections >= self._most and not self._make_room():
                sock.close()
                return
            sock.settimeout(0)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = self._readers(client, listener.getsockname())
            connection = _Connection(sock, reader, time.monotonic() + self._limits.first_seconds)
            self._wait_for_request(connection)

    def _on_bytes(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(RECEIVED_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        if not connection.received:
            connection.deadline = time.monotonic() + self._limits.request_seconds
        connection.received += data
        self._hold(connection, len(data))
        while self._held > self._limits.held_bytes and self._make_room(holding=True):
            pass
        if connection in self._reading:
            self._advance(connection)

    def _on_woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        while True:
            try:
                connection, future = self._done.get_nowait()
            except queue.Empty:
                return
            if connection not in self._working:
                continue
            self._hold(connection, len(connection.received) - connection.held)
            if future.exception() is None:
                self._forget(connection)
                self._send(connection, future.result())
            else:
                self._drop(connection)

    def _on_room(self, connection: _Connection) -> None:
        """Sends what the client takes."""
        try:
            while connection.unsent:
                sent = connection.sock.send(connection.unsent)
                connection.unsent = connection.unsent[sent:]
                self._hold(connection, -sent)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)
            return
        self._forget(connection)
        if connection.keep:
            connection.deadline = time.monotonic() + (
                LINGER_SECONDS if self._stopping else self._limits.idle_seconds
            )
            self._wait_for_request(connection)
            if connection.received:
                connection.deadline = time.monotonic() + self._limits.request_seconds
                self._advance(connection)
        else:
            self._linger(connection)

    # ---- what is done about it
    def _wait_for_request(self, connection: _Connection) -> None:
        self._reading[connection] = None
        self._selector.register(connection.sock, selectors.EVENT_READ, partial(self._on_bytes, connection))

    def _advance(self, connection: _Connection) -> None:
        """Has the request answered that is there; there may be none yet."""
        step = connection.reader.read(connection.received)
        while isinstance(step, Interim):
            with contextlib.suppress(OSError):  # a client that takes no 25 bytes will do without
                connection.sock.send(step.content)
            step = connection.reader.read(connection.received)
        if step is None:
            return
        self._forget(connection)
        if isinstance(step, Answer):
            self._send(connection, step)
            return
        if self._held > self._limits.held_bytes:
            self._send(connection, Answer(connection.reader.busy()))
            return
        self._working[connection] = None
        future = self._lanes.get(step.lane, self._lanes[ANY]).submit(step.work)
        future.add_done_callback(lambda done: self._tell(connection, done))

    def _tell(self, connection: _Connection, done: "Future[Answer]") -> None:
        self._done.put((connection, done))
        self.wake()

    def _send(self, connection: _Connection, answer: Answer) -> None:
        connection.unsent = memoryview(answer.content)
        connection.keep = answer.keep
        connection.deadline = time.monotonic() + self._limits.answer_seconds
        self._hold(connection, len(answer.content))
        self._sending[connection] = None
        self._selector.register(connection.sock, selectors.EVENT_WRITE, partial(self._on_room, connection))
        self._on_room(connection)

    def _linger(self, connection: _Connection) -> None:
        """Ends a connection so that the client gets what was sent, even while it still sends (RFC 9112, 9.6)."""
        connection.deadline = time.monotonic() + LINGER_SECONDS
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(connection)
            return
        self._sending[connection] = None
        self._selector.register(connection.sock, selectors.EVENT_READ, partial(self._discard, connection))

    def _discard(self, connection: _Connection) -> None:
        try:
            over = not connection.sock.recv(RECEIVED_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            over = True
        if over:
            self._drop(connection)

    def _end_late(self, now: float) -> None:
        for connection in [each for each in self._reading if each.deadline <= now]:
            if connection.received:
                with contextlib.suppress(OSError):
                    connection.sock.send(connection.reader.late())
            self._drop(connection)
        for connection in [each for each in self._sending if each.deadline <= now]:
            self._drop(connection)

    def _make_room(self, *, holding: bool = False) -> bool:
        """Closes the connection that has kept the server waiting longest, of those that hold memory; false if none does."""
        waiting = chain(self._reading, self._sending)
        longest = next((each for each in waiting if each.held or not holding), None)
        if longest is None:
            return False
        self._drop(longest)
        return True

    def _hold(self, connection: _Connection, size: int) -> None:
        connection.held += size
        self._held += size

    def _forget(self, connection: _Connection) -> None:
        """Takes a connection out of where it is."""
        self._reading.pop(connection, None)
        self._working.pop(connection, None)
        self._sending.pop(connection, None)
        with contextlib.suppress(KeyError, ValueError):  # one that is worked on is not listened to
            self._selector.unregister(connection.sock)

    def _drop(self, connection: _Connection) -> None:
        self._forget(connection)
        self._hold(connection, -connection.held)
        connection.sock.close()


def _open_files() -> int:
    """How many files this process may open, once it may open as many as it can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20
