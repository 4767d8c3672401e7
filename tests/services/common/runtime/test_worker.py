"""A process of loops reports its health, and shuts down gracefully."""

import os
import signal
import threading
from collections.abc import Iterator

import httpx
import pytest

from services.common.runtime.settings import ServiceSettings
from services.common.runtime.worker import HealthServer, run_workers
from services.common.telemetry import logs


class Loop:
    name = "loop"

    def __init__(self) -> None:
        self.turns = True
        self.missing: Exception | None = None

    def run(self, stop: threading.Event) -> None:
        stop.wait()

    def alive(self) -> bool:
        return self.turns

    def ready(self) -> None:
        if self.missing is not None:
            raise self.missing


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def health(loop: Loop) -> Iterator[httpx.Client]:
    server = HealthServer("127.0.0.1", 0, [loop])
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client
    server.stop()


def test_given_a_running_loop_when_the_probes_run_then_the_process_is_healthy_and_ready(
    health: httpx.Client,
) -> None:
    assert health.get("/healthz").json() == {"status": "ok"}
    assert health.get("/readyz").json() == {"status": "ok"}


def test_given_a_missing_dependency_when_the_probes_run_then_the_process_is_healthy_and_not_ready(
    health: httpx.Client, loop: Loop
) -> None:
    loop.missing = ConnectionError("a detail")

    assert health.get("/healthz").status_code == 200
    answer = health.get("/readyz")
    assert (answer.status_code, answer.json()["failing"]) == (503, {"loop": "ConnectionError"})


def test_given_a_stuck_loop_when_the_liveness_probe_runs_then_it_fails(
    health: httpx.Client, loop: Loop
) -> None:
    loop.turns = False

    assert health.get("/healthz").status_code == 503


def test_given_a_worker_when_its_metrics_are_requested_then_they_are_served_and_other_paths_are_not_found(
    health: httpx.Client,
) -> None:
    assert "messages_processed_total" in health.get("/metrics").text
    assert health.get("/other").status_code == 404


class Closing:
    """A loop that notes when it is asked to stop and when it ends; the first one begins the shutdown."""

    def __init__(self, name: str, noted: list[str]) -> None:
        self.name = name
        self.noted = noted

    def run(self, stop: threading.Event) -> None:
        if self.name == "consumer":
            os.kill(os.getpid(), signal.SIGTERM)
        stop.wait()
        self.noted += [f"{self.name} is asked", f"{self.name} ends"]

    def alive(self) -> bool:
        return True

    def ready(self) -> None:
        pass


@pytest.fixture
def _own_signals() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("_own_signals")
def test_given_a_relay_when_the_process_is_stopped_then_it_stops_after_the_consumer_whose_records_it_sends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    settings = ServiceSettings(
        table="t", tasks_queue_url="q", events_topic_arn="a", aws_region="r", listen_host="127.0.0.1", port=0
    )
    noted: list[str] = []

    run_workers(settings, [Closing("consumer", noted)], last=[Closing("relay", noted)])

    assert noted == ["consumer is asked", "consumer ends", "relay is asked", "relay ends"]
