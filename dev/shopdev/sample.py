"""The program of the sample image: responds to every request on one port, and stops gracefully. Standard library only.

    python3 -m sample [serve|work] [--port 8080] [--health-port PORT] [--verbose]

`serve` returns a small JSON document for any path, including /healthz and /readyz. `work` is a worker without a queue: it touches
/tmp/alive every few seconds and listens only if --port is set. After SIGTERM, running requests are completed.
"""

import argparse
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ALIVE = Path("/tmp/alive")  # noqa: S108  a pod's own folder, the only one that it may write
PROBES = ("/healthz", "/readyz")
MOST_READ = 64 * 1024
SECONDS = 5.0
"""Seconds between updates of /tmp/alive, and the timeout for reading a request."""


class Handler(BaseHTTPRequestHandler):
    """Handles requests."""

    timeout = SECONDS
    server_version = "sample"
    verbose = False

    def do_GET(self) -> None:
        """Return a document with the names of the pod and of the path."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Return the headers of GET."""
        self._answer(with_body=False)

    def do_POST(self) -> None:
        """Read the body, ignore it, and respond as to GET."""
        length = self.headers.get("Content-Length", "0")
        self.rfile.read(min(int(length), MOST_READ) if length.isdecimal() else 0)
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        text = json.dumps({"status": "ok", "pod": socket.gethostname(), "path": path}) + "\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if with_body:
            self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the base class
        """Log a JSON line per request; requests of probes only with --verbose."""
        if self.verbose or self.path.partition("?")[0] not in PROBES:
            line = {"message": format % args, "pod": socket.gethostname()}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


class Server(ThreadingHTTPServer):
    """A server that completes running requests when it is closed."""

    daemon_threads = False
    request_queue_size = 128


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT and return the exit code."""
    parser = argparse.ArgumentParser(prog="sample", description=__doc__)
    parser.add_argument("mode", nargs="?", choices=("serve", "work"), default="serve")
    parser.add_argument("--port", type=int, help="port (default: PORT, or 8080; none for work)")
    parser.add_argument("--health-port", type=int, help="second port with the same responses")
    parser.add_argument("--verbose", action="store_true", help="log the requests of probes too")
    options = parser.parse_args(argv)
    port = options.port
    if port is None and options.mode == "serve":
        port = int(os.environ.get("PORT", "8080"))
    Handler.verbose = options.verbose
    # A pipe instead of an Event, because a signal handler may interrupt the acquisition of a lock.
    ended, end = os.pipe()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: os.write(end, b"."))
    servers = [Server(("", each), Handler) for each in (port, options.health_port) if each is not None]
    threads = [threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.1}) for each in servers]
    for thread in threads:
        thread.start()
    _say(f"{options.mode}: listening on {', '.join(str(each.server_port) for each in servers) or 'no port'}")
    while True:
        if options.mode == "work":
            ALIVE.touch()
        if select.select([ended], [], [], SECONDS)[0]:
            break
    start = time.monotonic()
    for server in servers:
        server.shutdown()
        server.server_close()
    _say(f"ended in {time.monotonic() - start:.1f} s")
    return 0


def _say(message: str) -> None:
    sys.stdout.write(json.dumps({"message": message, "pod": socket.gethostname()}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
