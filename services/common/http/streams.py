"""Responses that stay open: the application writes to a `Stream` at any time, and the thread of the sockets sends it.

A stream occupies no thread and a connection only. See docs/adr/0026.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

# The last chunk of a chunked body (RFC 9112, 7.1).
END: Final = b"0\r\n\r\n"
# The connection, as the web server passes it to the application.
_CONNECTION: Final = "gunicorn.socket"
HEARTBEAT_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 300.0


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body. There is none without data: it would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class Stream:
    """The rest of a response that stays open. Safe to use from several threads, and never blocks.

    Args:
        released: called once, when the connection has ended.
    """

    def __init__(self, released: Callable[[], None]) -> None:
        self._released = released
        self._lock = threading.Lock()
        self._written = bytearray()
        self._has_ended = False
        self._is_closed = False
        self._changed: Callable[[], None] = _nothing
        self._heartbeat = b""
        self._next_heartbeat = self._end_at = float("inf")

    @property
    def is_open(self) -> bool:
        """Whether the client still receives what is written."""
        return not (self._has_ended or self._is_closed)

    # ---- for the application
    def last(self, heartbeat: bytes, seconds: float, now: float | None = None) -> "Stream":
        """Limits its duration, and keeps proxies from closing the connection in the meantime.

        Args:
            heartbeat: bytes without a meaning for the client, which are sent every 15 seconds.
            seconds: maximum duration, up to 5 minutes.
            now: monotonic time.
        """
        now = time.monotonic() if now is None else now
        self._heartbeat = heartbeat
        self._next_heartbeat = now + HEARTBEAT_SECONDS
        self._end_at = now + min(seconds, LONGEST_SECONDS)
        return self

    def write(self, data: bytes) -> None:
        """Sends bytes. Has no effect after the end."""
        with self._lock:
            if not self.is_open:
                return
            self._written += chunk(data)
        self._changed()

    def end(self) -> None:
        """Ends the response after everything that was written."""
        with self._lock:
            if not self.is_open:
                return
            self._has_ended = True
            self._written += END
        self._changed()

    # ---- for the thread of the sockets
    def begin(self, changed: Callable[[], None]) -> None:
        """Calls a function after each change from now on."""
        self._changed = changed

    def take(self) -> tuple[bytes, bool]:
        """The bytes that were written since the last call, and whether they are the last ones."""
        with self._lock:
            written, self._written = bytes(self._written), bytearray()
            return written, self._has_ended

    def age(self, now: float) -> None:
        """Writes a heartbeat if one is due, and ends after the maximum duration."""
        if now >= self._end_at:
            self.end()
        elif now >= self._next_heartbeat:
            self._next_heartbeat = now + HEARTBEAT_SECONDS
            self.write(self._heartbeat)

    def close(self) -> None:
        """The connection has ended."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._written.clear()
        self._changed = _nothing
        self._released()


class Streams:
    """The open streams of a server. Their number is limited.

    Args:
        most: maximum number.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open = 0

    def open(self) -> Stream | None:
        """A new stream; None if there are too many."""
        with self._lock:
            if self._open >= self._most:
                return None
            self._open += 1
        return Stream(self._release)

    def _release(self) -> None:
        with self._lock:
            self._open -= 1


def offered(environ: Mapping[str, Any]) -> Stream | None:
    """The stream of the response to the current request; None if the server has none to offer.

    The response starts with the body that the application returns, which must not have a `Content-Length`. If it has one, such as that of
    an error, the response ends with it, and so does the stream.

    Args:
        environ: WSGI environment.
    """
    offer: Callable[[], Stream | None] | None = getattr(environ.get(_CONNECTION), "offer", None)
    return None if offer is None else offer()


def _nothing() -> None:
    """Before the beginning and after the end, the server needs no notice of a change."""
