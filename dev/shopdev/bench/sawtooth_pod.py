"""The program of a pod that takes its share of a load: it burns CPU by the time of day. Standard library only.

The load of all pods together is a saw-tooth: it rises from LOW to HIGH thousandths of a CPU in PERIOD seconds, and falls at once. Each
pod takes an equal share, by the number of addresses that the headless Service PEERS has.
"""

import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Probe(BaseHTTPRequestHandler):
    """Answers every probe."""

    def do_GET(self) -> None:
        """Return 200."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the base class
        """Log nothing."""


def load(now: float) -> float:
    """The load of all pods in CPUs."""
    low, high, period = (float(os.environ[each]) for each in ("LOW", "HIGH", "PERIOD"))
    return (low + (high - low) * (now % period) / period) / 1000


def pods() -> int:
    """The number of pods that share the load."""
    try:
        return max(len({each[4][0] for each in socket.getaddrinfo(os.environ["PEERS"], 8080)}), 1)
    except OSError:
        return 1


def main() -> None:
    """Burn the share of every second at its start."""
    server = ThreadingHTTPServer(("", 8080), Probe)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        second = time.time()
        share = load(second) / pods()
        began = time.process_time()
        while time.process_time() - began < share:
            pass
        time.sleep(max(1 - (time.time() - second), 0))


if __name__ == "__main__":
    main()
