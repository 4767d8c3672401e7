"""A process without an API: loops that run until shutdown, and an HTTP server for probes and metrics."""

import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from types import FrameType
from typing import Protocol

import orjson

from services.common.http import front
from services.common.runtime.settings import ServiceSettings
from services.common.telemetry import exporting, exposition, logs

log = logs.logger(__name__)
Check = Callable[[], object]

END_OF_HEAD = b"\r\n\r\n"
LARGEST_PROBE = 8 * 1024
# A connection and the shutdown wake the server, so it has no reason to turn without them.
UNCONNECTED_SECONDS = 60.0
BACKLOG = 2048
# The lane of /healthz. It has a thread of its own, so that no other request delays it.
LIVENESS = "/healthz"


class Worker(Protocol):
    """A loop of a process."""

    name: str

    def run(self, stop: threading.Event) -> None:
        """Runs until `stop` is set, then completes the work in progress and returns. Survives failures of dependencies."""

    def alive(self) -> bool:
        """Whether the loop is still running. If not, the process is restarted."""

    def ready(self) -> None:
        """Checks that the loop can work.

        Raises:
            Exception: the reason why it cannot.
        """


def run_workers(settings: ServiceSettings, workers: Sequence[Worker], *, last: Sequence[Worker] = ()) -> None:
    """Runs loops until SIGTERM or SIGINT, and serves /healthz, /readyz and /metrics on the port of the settings.

    Args:
        settings: settings of the service.
        workers: loops that are stopped at once.
        last: loops that are stopped after `workers` have ended, such as one that sends what they have written.

    Raises:
        SystemExit: status 1 if a loop ended unexpectedly, which an unavailable dependency does not cause.
    """
    logs.configure(settings.service, settings.log_level)
    exporting.start(settings.service)
    stop = threading.Event()
    signals: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        signals.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    everyone = [*workers, *last]
    server = HealthServer(settings.listen_host, settings.port, everyone)
    server.start()
    phases = [_Phase(workers, stop), _Phase(last, stop)]
    log.info("started", port=server.port, workers=[worker.name for worker in everyone])
    stop.wait()
    for phase in phases:
        phase.end()
    server.stop()
    exporting.stop()
    log.info("stopped", signal=signal.Signals(signals[0]).name if signals else None)
    if not signals:
        raise SystemExit(1)


class HealthServer:
    """An HTTP server for probes and metrics. A slow client does not delay others, see `front`.

    Args:
        host: address to listen on.
        port: port to listen on. With 0, the attribute `port` contains the chosen port.
        workers: loops to check.
    """

    def __init__(self, host: str, port: int, workers: Sequence[Worker]) -> None:
        self._listener = socket.create_server((host, port), backlog=BACKLOG)
        self._lanes = {front.ANY: ThreadPoolExecutor(2, "health"), LIVENESS: ThreadPoolExecutor(1, LIVENESS)}
        reports = {
            LIVENESS: lambda _: _report({worker.name: "stuck" for worker in workers if not worker.alive()}),
            "/readyz": lambda _: _report(failing({worker.name: worker.ready for worker in workers})),
            "/metrics": lambda accept: _answer(HTTPStatus.OK, *exposition.scrape(accept)),
        }
        self._front = front.Front([self._listener], lambda *_: _HealthReader(reports), self._lanes)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="health", daemon=True)
        self.port = int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Starts the server."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the server."""
        self._stop.set()
        self._front.wake()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._front.turn(1.0 if self._front.connections else UNCONNECTED_SECONDS)
        self._front.close()
        self._listener.close()
        for pool in self._lanes.values():
            pool.shutdown(wait=False, cancel_futures=True)


def failing(checks: Mapping[str, Check]) -> dict[str, str]:
    """The failing checks, with the type of the error."""
    failures = {}
    for name, check in checks.items():
        try:
            check()
        except Exception as error:  # noqa: BLE001 - any error makes the process unready
            log.warning("not_ready", check=name, error=str(error))
            failures[name] = type(error).__name__
    return failures


class _Phase:
    """Loops that are stopped at the same time, each in a thread.

    Args:
        workers: loops to run.
        ended: is set when one of them ends.
    """

    def __init__(self, workers: Sequence[Worker], ended: threading.Event) -> None:
        self._ended = ended
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(worker,), name=worker.name, daemon=True)
            for worker in workers
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stops the loops, and waits until they have ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, worker: Worker) -> None:
        try:
            worker.run(self._stop)
        except Exception:
            log.exception("worker_ended", worker=worker.name)
        finally:
            self._ended.set()


class _HealthReader:
    """Parses the requests of probes and scrapes, as `front.Reader`: one per connection.

    Args:
        reports: path -> function that returns the response to the header Accept of a request.
    """

    def __init__(self, reports: Mapping[str, Callable[[str], front.Answer]]) -> None:
        self._reports = reports

    def read(self, received: bytearray) -> front.Step:
        """As `front.Reader.read`."""
        if END_OF_HEAD not in received:
            return _answer(HTTPStatus.BAD_REQUEST) if len(received) > LARGEST_PROBE else None
        line, *headers = received.partition(END_OF_HEAD)[0].decode("latin-1").split("\r\n")
        received.clear()
        method, _, rest = line.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method != "GET":
            return _answer(HTTPStatus.METHOD_NOT_ALLOWED)
        if path not in self._reports:
            return _answer(HTTPStatus.NOT_FOUND)
        return front.Job(path, partial(self._reports[path], _accepted(headers)))

    def late(self) -> bytes:
        """As `front.Reader.late`."""
        return _answer(HTTPStatus.REQUEST_TIMEOUT).content

    def busy(self) -> bytes:
        """As `front.Reader.busy`."""
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE).content


def _accepted(headers: Sequence[str]) -> str:
    """The value of the header Accept."""
    named = (header.partition(":") for header in headers)
    return ",".join(value for name, _, value in named if name.strip().lower() == "accept")


def _report(failures: Mapping[str, str]) -> front.Answer:
    status = HTTPStatus.SERVICE_UNAVAILABLE if failures else HTTPStatus.OK
    body = {"status": "failing" if failures else "ok", **({"failing": failures} if failures else {})}
    return _answer(status, body=orjson.dumps(body))


def _answer(status: HTTPStatus, content_type: str = "application/json", body: bytes = b"{}") -> front.Answer:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return front.Answer(head.encode() + body)
