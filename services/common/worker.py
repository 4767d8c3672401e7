"""A process without an API: loops that work until they are told to stop, and the port that says how they are."""

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.common import telemetry
from services.common.settings import ServiceSettings

log = telemetry.logger(__name__)
Check = Callable[[], object]


class Worker(Protocol):
    """A loop of a process."""

    name: str

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, then finishes what it has begun and returns. Survives every failure of others."""

    def alive(self) -> bool:
        """Whether the loop still turns; false has the process restarted."""

    def ready(self) -> None:
        """Returns when it can work.

        Raises:
            Exception: what keeps it from that.
        """


def run_workers(settings: ServiceSettings, workers: Sequence[Worker]) -> None:
    """Runs loops until SIGTERM or SIGINT, with /healthz, /readyz and /metrics at the settings' port.

    Raises:
        SystemExit: with status 1 when a loop ended by itself, which none does for want of a dependency.
    """
    telemetry.configure(settings.service, settings.log_level)
    stop = threading.Event()
    signals: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        signals.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    server = health_server(settings.listen_host, settings.port, workers)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    threads = [
        threading.Thread(target=_run, args=(worker, stop), name=worker.name, daemon=True)
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    log.info("started", port=server.server_port, workers=[worker.name for worker in workers])
    stop.wait()
    for thread in threads:
        thread.join()
    server.shutdown()
    server.server_close()
    log.info("stopped", signal=signal.Signals(signals[0]).name if signals else None)
    if not signals:
        raise SystemExit(1)


def health_server(host: str, port: int, workers: Sequence[Worker]) -> ThreadingHTTPServer:
    """A server of the workers' health, not serving yet; with port 0 its `server_port` is a free one."""

    class Handler(_HealthHandler):
        loops = workers

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    return server


def failing(checks: Mapping[str, Check]) -> dict[str, str]:
    """The checks that raise, each with the kind of error."""
    failures = {}
    for name, check in checks.items():
        try:
            check()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is why the process is not ready
            log.warning("not_ready", check=name, error=str(error))
            failures[name] = type(error).__name__
    return failures


def _run(worker: Worker, stop: threading.Event) -> None:
    try:
        worker.run(stop)
    except Exception:
        log.exception("worker_ended", worker=worker.name)
    finally:
        stop.set()


class _HealthHandler(BaseHTTPRequestHandler):
    loops: ClassVar[Sequence[Worker]] = ()

    def do_GET(self) -> None:
        """Answers a probe or a scrape."""
        match urlsplit(self.path).path:
            case "/healthz":
                self._report({worker.name: "stuck" for worker in self.loops if not worker.alive()})
            case "/readyz":
                self._report(failing({worker.name: worker.ready for worker in self.loops}))
            case "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest())
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "application/json", b"{}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Says nothing: a probe every few seconds is no news."""

    def _report(self, failures: Mapping[str, str]) -> None:
        status = HTTPStatus.SERVICE_UNAVAILABLE if failures else HTTPStatus.OK
        body = {"status": "failing" if failures else "ok", **({"failing": failures} if failures else {})}
        self._answer(status, "application/json", orjson.dumps(body))

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
