"""A collector that counts spans: OTLP/HTTP on a port, as a process of its own. GET /spans returns the number so far.

python -m shopdev.bench.shop.sink PORT
"""

import gzip
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4}


def spans(body: bytes) -> int:
    """The number of spans in an ExportTraceServiceRequest (resource_spans 1, scope_spans 2, spans 2)."""
    return sum(
        1 for resource in members(body, 1) for scope in members(resource, 2) for _ in members(scope, 2)
    )


def members(message: bytes, wanted: int) -> Iterator[bytes]:
    """The length-delimited fields with a number in a message of Protocol Buffers."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == _LENGTH_DELIMITED:
            length, at = _varint(message, at)
            if number == wanted:
                yield message[at : at + length]
            at += length
        else:
            at += _FIXED[kind]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the bit that announces another byte
            return value, at


class Handler(BaseHTTPRequestHandler):
    """Counts, and accepts everything."""

    protocol_version = "HTTP/1.1"
    total = 0

    def do_POST(self) -> None:
        """Accept an export."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path.endswith("/v1/traces"):
            Handler.total += spans(body)
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        """The number of spans."""
        self._answer(str(Handler.total).encode(), "text/plain")

    def _answer(self, body: bytes, content: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the base class
        """Print nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
