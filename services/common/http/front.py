"""The sockets of an HTTP server: one thread receives complete requests and sends responses, without blocking on a client.

A slow or silent client occupies no thread of the application. It uses a bounded amount of memory for a bounded time. If
connections or memory run out, the connection that has kept the server waiting for longest is closed, so that new ones are
always accepted. Requests are dispatched to lanes with separate threads, so that slow requests do not delay probes.

An application may keep a response open as a `Stream`, which also occupies no thread. A `Reader` parses the requests: this module
handles bytes only. See docs/adr/0014 and docs/adr/0026.
"""

import contextlib
import os
import queue
import resource
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Protocol, TypeVar

from services.common.http.streams import Stream, Streams

LARGEST_BODY = 64 * 1024
LARGEST_HEAD = 32 * 1024
# The lane of all requests without a lane of their own.
ANY = ""
MOST_STREAMS = 1024
ACCEPTED_AT_ONCE = 64
RECEIVED_AT_ONCE = 64 * 1024
LINGER_SECONDS = 2.0
CHECK_SECONDS = 0.5
# Open files that are not connections of clients: listeners, logs, connections to AWS.
OTHER_FILES = 256
# Bytes that a client of a stream may leave unread, in this process and about as many in the kernel.
LARGEST_BACKLOG = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of what clients can use.

    Args:
        connections: open connections; fewer if the process may open fewer files.
        held_bytes: bytes of all requests and responses in memory. One request and one response are always allowed.
        first_seconds: seconds until the first byte on a new connection.
        request_seconds: seconds from the first byte of a request to the last one.
        answer_seconds: seconds until the client has received a response.
        idle_seconds: seconds between a response and the next request.
        streams: responses that stay open, at most a quarter of the connections.
    """

    connections: int = 8192
    held_bytes: int = 16 * 1024 * 1024
    first_seconds: float = 10.0
    request_seconds: float = 20.0
    answer_seconds: float = 20.0
    idle_seconds: float = 75.0
    streams: int = MOST_STREAMS


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of a response, and whether the connection stays open."""

    content: bytes
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """The first bytes of a response that stays open, and the rest."""

    content: bytes
    stream: Stream


@dataclass(frozen=True, slots=True)
class Interim:
    """An interim response that the client waits for before it sends the rest of a request."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Job:
    """A complete request: its lane, and the function that returns the response and raises no exception."""

    lane: str
    work: Callable[[], Answer | Opened]


Content = TypeVar("Content")
Step = Job | Answer | Interim | None


class Reader(Protocol):
    """Parses the requests of one connection."""

    def read(self, received: bytearray) -> Step:
        """Removes the bytes of a request from `received`. Returns None if more bytes are needed. Never blocks.

        An `Answer` rejects the request and ends the connection.
        """

    def late(self) -> bytes:
        """The response to a client that did not send the rest of a request in time."""

    def busy(self) -> bytes:
        """The response to a request that exceeds the memory limit."""


Readers = Callable[[Any, Any], Reader]
"""Returns the reader of a connection from a client address to a server address."""


@dataclass(eq=False, slots=True)
class _Connection:
    sock: socket.socket
    reader: Reader
    deadline: float
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    keep: bool = False
    # The share of this connection in `held_bytes`, including the request that is being handled.
    held: int = 0
    is_watched: bool = False


class Front:
    """Serves listening sockets. Only `wake` may be called from several threads.

    Args:
        listeners: listening sockets.
        readers: creates the reader of a connection.
        lanes: executors by lane. `ANY` is the default lane.
        limits: limits of what clients can use.
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
        # Each sorted by age, oldest first.
        self._reading: dict[_Connection, None] = {}
        self._working: dict[_Connection, None] = {}
        self._sending: dict[_Connection, None] = {}
        self._streaming: dict[_Connection, Stream] = {}
        self.streams = Streams(min(self._limits.streams, self._most // 4))
        self._held = 0
        self._stopping = False
        self._next_check = 0.0
        self._done: queue.SimpleQueue[tuple[_Connection, Future[Answer | Opened]]] = queue.SimpleQueue()
        self._written: queue.SimpleQueue[_Connection] = queue.SimpleQueue()
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
        """Number of open connections."""
        return len(self._reading) + len(self._working) + len(self._sending) + len(self._streaming)

    def turn(self, seconds: float = 1.0) -> None:
        """Handles pending events. Waits up to `seconds` for the first one."""
        for key, _ in self._selector.select(seconds):
            key.data()
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + CHECK_SECONDS
            self._end_late(now)

    def wake(self) -> None:
        """Ends the wait of `turn`. Can be called from any thread and from signal handlers."""
        with contextlib.suppress(BlockingIOError):  # the pipe is full: a wake-up is pending
            os.write(self._waker, b"\0")

    def stop_accepting(self) -> None:
        """Accepts no more connections, and ends all streams. Other connections are served for one more request within a short time."""
        self._stopping = True
        for listener in self._listeners:
            self._selector.unregister(listener)
        soon = time.monotonic() + LINGER_SECONDS
        for connection in self._reading:
            if not connection.received:
                connection.deadline = min(connection.deadline, soon)
        for stream in self._streaming.values():
            stream.end()

    def close(self) -> None:
        """Closes every connection. The caller closes the listeners."""
        for connection in [*self._reading, *self._working, *self._sending, *self._streaming]:
            self._drop(connection)
        self._selector.close()
        os.close(self._woken)
        os.close(self._waker)

    # ---- events
    def _on_client(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, client = listener.accept()
            except OSError:  # no client is waiting, it has disconnected, or no more files can be opened
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
        self._limit_memory()
        if connection in self._reading:
            self._advance(connection)

    def _on_woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        for connection, future in _taken(self._done):
            if connection in self._working:
                self._on_done(connection, future)
        for connection in dict.fromkeys(_taken(self._written)):
            if connection in self._streaming:
                self._flow(connection)

    def _on_done(self, connection: _Connection, future: "Future[Answer | Opened]") -> None:
        self._hold(connection, len(connection.received) - connection.held)
        if future.exception() is not None:
            self._drop(connection)
            return
        self._forget(connection)
        response = future.result()
        if isinstance(response, Opened):
            self._open(connection, response)
        else:
            self._send(connection, response)

    def _on_room(self, connection: _Connection) -> None:
        """Sends as much as the client accepts."""
        if not self._is_sent(connection):
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

    def _on_stream(self, connection: _Connection) -> None:
        """The client of a stream has left, or accepts more. A client has nothing to say before the end."""
        try:
            has_left = not connection.sock.recv(RECEIVED_AT_ONCE)
        except BlockingIOError:
            has_left = False
        except OSError:
            has_left = True
        if has_left:
            self._drop(connection)
        else:
            self._flow(connection)

    # ---- actions
    def _wait_for_request(self, connection: _Connection) -> None:
        self._reading[connection] = None
        self._watch(connection, selectors.EVENT_READ, self._on_bytes)

    def _advance(self, connection: _Connection) -> None:
        """Handles the received request if it is complete."""
        step = connection.reader.read(connection.received)
        while isinstance(step, Interim):
            with contextlib.suppress(OSError):  # a client that cannot receive 25 bytes continues without them
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

    def _tell(self, connection: _Connection, done: "Future[Answer | Opened]") -> None:
        self._done.put((connection, done))
        self.wake()

    def _send(self, connection: _Connection, answer: Answer) -> None:
        connection.unsent = memoryview(answer.content)
        connection.keep = answer.keep
        connection.deadline = time.monotonic() + self._limits.answer_seconds
        self._hold(connection, len(answer.content))
        self._sending[connection] = None
        self._on_room(connection)
        # Most responses fit into the buffer of the socket, and are sent by now.
        if connection.unsent and connection in self._sending and not connection.is_watched:
            self._watch(connection, selectors.EVENT_WRITE, self._on_room)

    def _is_sent(self, connection: _Connection) -> bool:
        """Sends as much as the client accepts. Returns whether this was everything. Drops a connection that fails."""
        try:
            while connection.unsent:
                sent = connection.sock.send(connection.unsent)
                connection.unsent = connection.unsent[sent:]
                self._hold(connection, -sent)
        except BlockingIOError:
            return False
        except OSError:
            self._drop(connection)
            return False
        return True

    def _open(self, connection: _Connection, opened: Opened) -> None:
        self._streaming[connection] = opened.stream
        connection.unsent = memoryview(opened.content)
        connection.deadline = time.monotonic() + self._limits.answer_seconds
        self._hold(connection, len(opened.content))
        # By default, the kernel would keep megabytes for a client that reads nothing.
        with contextlib.suppress(OSError):
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_BACKLOG // 2)
        self._watch(connection, selectors.EVENT_READ, self._on_stream)
        opened.stream.begin(partial(self._tell_written, connection))
        if self._stopping:
            opened.stream.end()
        self._flow(connection)

    def _tell_written(self, connection: _Connection) -> None:
        self._written.put(connection)
        self.wake()

    def _flow(self, connection: _Connection) -> None:
        """Sends what the application has written. Closes a connection that receives it too slowly."""
        stream = self._streaming[connection]
        written, has_ended = stream.take()
        if not connection.unsent:
            connection.deadline = time.monotonic() + self._limits.answer_seconds
        if written:
            connection.unsent = memoryview(bytes(connection.unsent) + written)
            self._hold(connection, len(written))
        is_sent = self._is_sent(connection)
        self._limit_memory()
        if connection not in self._streaming:
            return
        if len(connection.unsent) > LARGEST_BACKLOG:
            self._drop(connection)
        elif is_sent and has_ended:
            self._forget(connection)
            self._linger(connection)
        else:
            awaited = selectors.EVENT_READ if is_sent else selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(connection.sock, awaited, partial(self._on_stream, connection))

    def _linger(self, connection: _Connection) -> None:
        """Ends a connection so that the client receives the response even while it is still sending (RFC 9112, 9.6)."""
        connection.deadline = time.monotonic() + LINGER_SECONDS
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(connection)
            return
        self._sending[connection] = None
        self._watch(connection, selectors.EVENT_READ, self._discard)

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
        for connection, stream in list(self._streaming.items()):
            if connection.unsent and connection.deadline <= now:
                self._drop(connection)
            else:
                stream.age(now)

    def _limit_memory(self) -> None:
        while self._held > self._limits.held_bytes and self._make_room(holding=True):
            pass

    def _make_room(self, *, holding: bool = False) -> bool:
        """Closes the connection that has kept the server waiting for longest. Returns whether there was one.

        Args:
            holding: close only a connection that uses memory.
        """
        # A stream waits for the application, unless its client is slow: then it uses memory.
        waiting = (
            chain(self._streaming, self._reading, self._sending)
            if holding
            else chain(self._reading, self._sending, self._streaming)
        )
        longest = next((each for each in waiting if each.held or not holding), None)
        if longest is None:
            return False
        self._drop(longest)
        return True

    def _hold(self, connection: _Connection, size: int) -> None:
        connection.held += size
        self._held += size

    def _forget(self, connection: _Connection) -> None:
        """Removes a connection from all states."""
        self._reading.pop(connection, None)
        self._working.pop(connection, None)
        self._sending.pop(connection, None)
        stream = self._streaming.pop(connection, None)
        if stream is not None:
            stream.close()
        if connection.is_watched:
            connection.is_watched = False
            self._selector.unregister(connection.sock)

    def _watch(self, connection: _Connection, events: int, handle: "Callable[[_Connection], None]") -> None:
        """Handles events of a connection until `_forget`."""
        connection.is_watched = True
        self._selector.register(connection.sock, events, partial(handle, connection))

    def _drop(self, connection: _Connection) -> None:
        self._forget(connection)
        self._hold(connection, -connection.held)
        connection.sock.close()


def _taken(waiting: "queue.SimpleQueue[Content]") -> Iterator[Content]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield waiting.get_nowait()


def _open_files() -> int:
    """The maximum number of open files of this process, after raising the soft limit to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20
