"""A scrape: its formats, its exemplars, and its behavior while the worker of the web server restarts."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from services.common.telemetry import exposition, metrics, propagation, tracing
from shopdev.checkout import ROOT
from shopdev.ports import free_port
from shopdev.processes.process import Process
from tests.services.test_processes import API, SETTINGS, status
from tests.waiting import wait_for

# As Prometheus 3 sends it.
ACCEPT: Final = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
TRACEPARENT: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SCRAPE_SECONDS: Final = 10.0
STARTED: Final = "process_start_time_seconds"
ANSWERED: Final = 'http_requests_total{method="GET",route="/products",status="503"}'


def test_given_the_header_of_prometheus_when_it_scrapes_then_buckets_have_the_trace_as_exemplar() -> None:
    with tracing.traced("work", propagation.remote(TRACEPARENT)):
        metrics.HTTP_DURATION.labels("GET", "/exemplar").observe(0.07, tracing.exemplar())

    content_type, body = exposition.scrape(ACCEPT)

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    exemplars = [
        sample.exemplar
        for family in openmetrics(body.decode())  # type: ignore[no-untyped-call]  # prometheus_client left it out
        for sample in family.samples
        if sample.labels.get("route") == "/exemplar" and sample.exemplar
    ]
    assert [each.labels for each in exemplars] == [{"trace_id": "0af7651916cd43dd8448eb211c80319c"}]
    assert [each.value for each in exemplars] == [0.07]


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "text/plain", "application/openmetrics-texts", ";;;,,,=", "text/plain;version=x", "\xff" * 9],
)
def test_given_any_other_header_when_metrics_are_scraped_then_they_are_in_the_text_format(
    accept: str,
) -> None:
    content_type, body = exposition.scrape(accept)

    assert content_type.startswith("text/plain")
    assert "http_requests" in {family.name for family in text_format(body.decode())}


def test_given_no_trace_when_a_metric_is_observed_then_it_has_no_exemplar() -> None:
    assert tracing.exemplar() is None


def test_given_the_metrics_then_no_series_is_the_creation_time_of_another() -> None:
    assert b"_created" not in exposition.scrape("")[1]


@pytest.fixture(scope="module")
def web() -> Iterator[tuple[Process, int]]:
    """The product API under gunicorn, as in a pod."""
    port = free_port()
    environment = {**SETTINGS, "PATH": os.environ["PATH"], "PORT": str(port)}
    command = [sys.executable, "-m", *API, "services.product.app:create_app()"]
    process = Process("product api", command, environment, print, ROOT)
    process.start()
    process.wait_until(lambda: status(port, "/healthz") == 200, 60)
    yield process, port
    process.stop(grace=30)


def scraped(port: int) -> dict[str, float]:
    """The samples of one scrape within the timeout of Prometheus, by name and labels."""
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=SCRAPE_SECONDS)
    assert answer.status_code == 200
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    samples = {name: float(value) for name, _, value in lines}
    assert len(samples) == len(lines), "a series was exposed twice"
    return samples


def worker_of(process: Process) -> int:
    """The process ID of the only worker of gunicorn."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (worker,) = (int(child) for child in children)
    return worker


@pytest.mark.slow
def test_given_a_killed_worker_when_it_is_replaced_then_every_scrape_is_answered_and_counters_restart(
    web: tuple[Process, int],
) -> None:
    process, port = web
    for _ in range(3):
        status(port, "/products")
    before = scraped(port)
    killed = worker_of(process)

    os.kill(killed, signal.SIGKILL)
    # The connection of this scrape waits in the socket of the master until the new worker accepts it.
    first = wait_for(lambda: scraped_or_refused(port), what="a scrape after the worker was killed")
    wait_for(lambda: worker_of(process) != killed)
    status(port, "/products")
    after = scraped(port)

    assert before[ANSWERED] == 3
    assert first is not None
    assert first.get(ANSWERED, 0) == 0
    assert after[ANSWERED] == 1
    assert after[STARTED] > before[STARTED]
    assert set(before) <= set(after), "a series got lost"


def scraped_or_refused(port: int) -> dict[str, float] | None:
    """As `scraped`. None if the connection ended with the killed worker, which Prometheus reports as `up` 0."""
    try:
        return scraped(port)
    except httpx.TransportError:
        return None
