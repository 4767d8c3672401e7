"""A gunicorn worker whose threads receive complete requests: `front` receives them and sends the responses.

The threaded worker of gunicorn reads a request in the thread that handles it, so eight silent clients block it. This worker
only finds the end of a request; the parser of gunicorn still interprets it.
"""

import io
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from gunicorn.http import RequestParser
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import (
    ExpectationFailed,
    ForbiddenProxyRequest,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import ThreadWorker

from services.common.http import streams
from services.common.http.front import (
    ANY,
    LARGEST_BODY,
    LARGEST_HEAD,
    Answer,
    Front,
    Interim,
    Job,
    Limits,
    Opened,
    Step,
)
from services.common.telemetry import logs

END_OF_HEAD, END_OF_LINE = b"\r\n\r\n", b"\r\n"
CONTINUE = Interim(b"HTTP/1.1 100 Continue\r\n\r\n")
# Longer than any line with the size of a chunk, which has a few digits.
LONGEST_SIZE = 64
# Path -> lane. /healthz has a thread of its own, so that no other request delays it.
LANES = {"/healthz": "liveness", "/readyz": "readiness", "/metrics": "readiness"}
LANE_THREADS = {"liveness": 1, "readiness": 2}
# Shorter than Python's default of 5 ms, for which the thread of the sockets would wait at each step while others compute.
SWITCH_SECONDS = 0.0005
# Seconds between two heartbeats without connections: a fraction of the `timeout` of gunicorn.
UNCONNECTED_SECONDS = 5.0

_REFUSALS: dict[type[ParseException], HTTPStatus] = {
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    ForbiddenProxyRequest: HTTPStatus.FORBIDDEN,
}
log = logs.logger(__name__)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A threaded gunicorn worker with `front.Front` in front of its threads."""

    front: Front | None = None

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ARG002 - a signal handler
        """Starts the graceful shutdown."""
        self.alive = False
        if self.front is not None:
            self.front.wake()

    def handle_error(self, _req: Any, client: Any, _addr: Any, error: BaseException) -> None:
        """Rejects a request that gunicorn cannot parse.

        The response and the log line name only the type of the error: its message contains the text of the client.
        """
        kind = type(error).__name__
        if isinstance(error, ParseException):
            status = _REFUSALS.get(type(error), HTTPStatus.BAD_REQUEST)
            log.warning("request_malformed", error=kind)
            client.sendall(refusal(status, f"the request is malformed ({kind})"))
        else:
            log.error("request_not_answered", exc_info=error)
            client.sendall(refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"))

    def run(self) -> None:
        """Serves until shutdown, then completes the requests in progress."""
        sys.setswitchinterval(SWITCH_SECONDS)
        lanes = {
            ANY: self.tpool,
            **{lane: ThreadPoolExecutor(threads, lane) for lane, threads in LANE_THREADS.items()},
        }
        limits = Limits(connections=self.cfg.worker_connections, idle_seconds=self.cfg.keepalive)
        sockets = [listener.sock for listener in self.sockets]
        self.front = front = Front(sockets, partial(RequestReader, self), lanes, limits)
        while self.alive and self.is_parent_alive():
            self.notify()
            front.turn(1.0 if front.connections else UNCONNECTED_SECONDS)
        front.stop_accepting()
        end = time.monotonic() + self.cfg.graceful_timeout
        while front.connections and time.monotonic() < end:
            self.notify()
            front.turn(0.1)
        front.close()
        for pool in lanes.values():
            pool.shutdown(wait=False)
        for listener in self.sockets:
            listener.close()

    def answered(self, request: Any, client: Any, server: Any, *, whole: bool) -> Answer | Opened:
        """The response of the application, or the error response of gunicorn."""
        exchange = _Exchange(client, server, partial(self._stream, request))
        keep = False
        if not whole:
            request.force_close()
        try:
            if isinstance(request.body.reader, ChunkedReader):
                # A malformed chunk is detected here as an error of the client, instead of in the application.
                request.body = io.BytesIO(request.body.read())
            keep = self.handle_request(request, exchange)
        except StopIteration:  # part of the response was sent: it cannot be replaced
            pass
        except NoMoreData:
            exchange.sock.sendall(refusal(HTTPStatus.BAD_REQUEST, "the body does not match the headers"))
        except Exception as error:  # noqa: BLE001 - gunicorn has a response for each error
            self.handle_error(request, exchange.sock, client, error)
        return exchange.sock.response(keep=keep)

    def _stream(self, request: Any) -> streams.Stream | None:
        """A stream for the response to a request, which then ends the connection."""
        if self.front is None or request.method != "GET" or request.version < (1, 1):
            return None
        stream = self.front.streams.open()
        if stream is not None:
            request.force_close()
        return stream


class RequestReader:
    """Parses the requests of one connection, as `front.Reader`.

    Args:
        worker: handles the requests.
        client: address of the client.
        server: address of the listener.
    """

    def __init__(self, worker: Worker, client: Any, server: Any) -> None:
        self._worker = worker
        self._client = client
        self._server = server
        self._request: Any = None
        self._searched = 0
        self._body: Callable[[bytearray], int | None] = len

    def read(self, received: bytearray) -> Step:
        """As `front.Reader.read`."""
        if self._request is None:
            step = self._read_head(received)
            if self._request is None or step is not None:
                return step
        length = self._body(received)
        if length is None:
            return None
        if length > LARGEST_BODY and isinstance(self._request.body.reader, ChunkedReader):
            return Answer(
                refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send a body of at most {LARGEST_BODY} bytes")
            )
        request, self._request, self._searched = self._request, None, 0
        # The application rejects a body that is too large by its Content-Length.
        whole = length <= LARGEST_BODY
        body = bytes(received[:length]) if whole else b""
        del received[:length]
        request.unreader.unread(body)
        work = partial(self._worker.answered, request, self._client, self._server, whole=whole)
        return Job(LANES.get(request.path, ANY), work)

    def late(self) -> bytes:
        """As `front.Reader.late`."""
        return refusal(HTTPStatus.REQUEST_TIMEOUT, "the rest of the request did not arrive in time")

    def busy(self) -> bytes:
        """As `front.Reader.busy`."""
        return refusal(
            HTTPStatus.SERVICE_UNAVAILABLE, "the server is receiving too much data; retry the request"
        )

    def _read_head(self, received: bytearray) -> Step:
        end = received.find(END_OF_HEAD, self._searched)
        if max(end, len(received) if end < 0 else 0) > LARGEST_HEAD:
            return Answer(
                refusal(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"send headers of at most {LARGEST_HEAD} bytes",
                )
            )
        if end < 0:
            self._searched = max(0, len(received) - len(END_OF_HEAD) + 1)
            return None
        head = bytes(received[: end + len(END_OF_HEAD)])
        del received[: len(head)]
        try:
            request = next(RequestParser(self._worker.cfg, [head], self._client))
        except Exception as error:  # noqa: BLE001 - gunicorn has a response for each error
            exchange = _Exchange(self._client, self._server)
            self._worker.handle_error(None, exchange.sock, self._client, error)
            return Answer(exchange.sock.content)
        self._request, self._body = request, _body_of(request)
        waits = ("EXPECT", "100-continue") in request.headers and self._body(received) is None
        return CONTINUE if waits else None


class _Chunks:
    """Finds the end of a chunked body that arrives in any number of pieces. Reads each byte once (RFC 9112, 7.1)."""

    def __init__(self) -> None:
        self._next = 0
        self._is_last = False

    def __call__(self, received: bytearray) -> int | None:
        """Length of the body; of a body that is too long or malformed, the number of received bytes."""
        while not self._is_last:
            end = received.find(END_OF_LINE, self._next, self._next + LONGEST_SIZE)
            if end < 0:
                return len(received) if len(received) - self._next >= LONGEST_SIZE else None
            try:
                size = int(received[self._next : end].partition(b";")[0], 16)
            except ValueError:
                return len(received)
            if end + size > LARGEST_BODY:
                return LARGEST_BODY + 1
            self._is_last = size <= 0
            self._next = end if self._is_last else end + size + 2 * len(END_OF_LINE)
        # The empty line after the last chunk, or after the trailer fields.
        end = received.find(END_OF_HEAD, self._next)
        if end >= 0:
            return end + len(END_OF_HEAD)
        self._next = max(self._next, len(received) - len(END_OF_HEAD) + 1)
        return LARGEST_BODY + 1 if len(received) > LARGEST_BODY else None


def _body_of(request: Any) -> Callable[[bytearray], int | None]:
    """Returns the length of a body once it is complete, or at once if it is too long."""
    if isinstance(request.body.reader, ChunkedReader):
        return _Chunks()
    length: int = request.body.reader.length
    return lambda received: length if len(received) >= length or length > LARGEST_BODY else None


class _Exchange:
    """A connection as gunicorn expects it, for one request."""

    def __init__(
        self, client: Any, server: Any, open_stream: Callable[[], streams.Stream | None] | None = None
    ) -> None:
        self.sock = _Sent(open_stream)
        self.client = client
        self.server = server


class _Sent:
    """A socket as gunicorn expects it, which stores the sent bytes."""

    def __init__(self, open_stream: Callable[[], streams.Stream | None] | None) -> None:
        self._parts: list[bytes] = []
        self._open_stream = open_stream
        self._stream: streams.Stream | None = None

    @property
    def content(self) -> bytes:
        return b"".join(self._parts)

    def offer(self) -> streams.Stream | None:
        """As `streams.offered`."""
        if self._stream is None and self._open_stream is not None:
            self._stream = self._open_stream()
        return self._stream

    def response(self, *, keep: bool) -> Answer | Opened:
        """The complete response, or the beginning of one that stays open. gunicorn has sent the last chunk of what it received."""
        if self._stream is None:
            return Answer(self.content, keep=keep)
        if self._parts[-1:] == [streams.END]:
            return Opened(b"".join(self._parts[:-1]), self._stream)
        self._stream.close()
        return Answer(self.content)

    def sendall(self, data: bytes) -> None:
        self._parts.append(bytes(data))

    def send(self, data: bytes) -> int:
        """Ignores the interim response to `Expect`, which was already sent."""
        return len(data)

    def gettimeout(self) -> float:
        return 0.0

    def shutdown(self, how: int) -> None:  # noqa: ARG002 - as a socket's
        """Not supported: `front` ends the connection."""
        raise OSError

    def close(self) -> None:
        """As `shutdown`."""


def refusal(status: HTTPStatus, detail: str) -> bytes:
    """A response that ends the connection, with a problem document (RFC 9457)."""
    body = orjson.dumps({"type": "about:blank", "title": status.phrase, "status": status, "detail": detail})
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
