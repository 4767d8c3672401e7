"""Spans reach a collector in batches, and a collector that is away costs neither time nor memory."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from typing import Final
from unittest.mock import Mock

import pytest
from flask import Flask, request
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_QUEUE_SIZE
from opentelemetry.trace import SpanContext

from services.common.http import spans
from services.common.telemetry import exporting, invocation, tracing
from shopdev.checkout import ROOT
from shopdev.ports import free_port
from shopdev.processes.process import Process
from tests.collector import Collector
from tests.services.test_processes import API, SETTINGS, status
from tests.waiting import wait_for

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
QUEUE: Final = 64
# The queue, and a batch on its way.
MOST_GROWTH: Final = 1_000_000
MANY: Final = 5_000
SLOWEST: Final = 1.0
# Of the export of a batch, with its retries. Longer than a process waits for it when it stops.
ATTEMPT_SECONDS: Final = 5
# Threads of `exporting` and of the SDK.
EXPORTING: Final = {"spans", "OtelBatchSpanRecordProcessor"}


@pytest.fixture(autouse=True)
def _stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Afterwards, no thread retries an export: it would use the random numbers that Hypothesis controls in other tests."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # most tests have no collector
    exporting.stop()  # a function of another test never stops
    yield
    exporting.stop()
    wait_for(lambda: not any(each.name in EXPORTING for each in threading.enumerate()))


@pytest.fixture(params=["closed", "silent"])
def away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A collector whose port is closed, or that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "silent":
            listener.listen(8)
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv(OTEL_BSP_MAX_QUEUE_SIZE, str(QUEUE))
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", str(QUEUE))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(ATTEMPT_SECONDS))
        yield


def work(times: int) -> None:
    for _ in range(times):
        with tracing.traced("work"), tracing.span("step"):
            pass


def test_given_a_collector_when_work_is_traced_then_its_spans_arrive_with_the_name_of_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Collector() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=shop")
        exporting.start("things")
        work(1)
        exporting.stop()

        step, whole = wait_for(lambda: collector.spans)
    assert (step.service, step.name, step.parent_id) == ("things", "step", whole.span_id)
    assert (whole.name, whole.parent_id) == ("work", "")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://c:4318", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: "http://c:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_given_no_collector_in_the_settings_when_a_process_starts_then_it_records_no_spans(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    exporting.start("things")

    assert not tracing.is_recording()


@pytest.mark.parametrize("settings", [{}, {ENDPOINT: "http://127.0.0.1:9"}], ids=["off", "on"])
def test_given_a_function_when_it_is_invoked_repeatedly_then_it_loads_the_settings_of_tracing_once(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    loaded = Mock(wraps=exporting.TracingSettings.load)
    monkeypatch.setattr(exporting.TracingSettings, "load", loaded)
    invoked = invocation.traced("things", "other")(lambda event, _context: event)

    assert [invoked(number, None) for number in range(3)] == [0, 1, 2]

    assert loaded.call_count == 1


def test_given_no_collector_when_a_service_is_loaded_then_the_sdk_is_not() -> None:
    program = "import sys, services.payment.consumer; print('opentelemetry.sdk' in sys.modules, 'requests' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout.split() == ["False", "False"]


def test_given_a_share_of_zero_when_a_trace_begins_then_it_is_not_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Collector() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
        exporting.start("things")
        with tracing.traced("work"):
            assert not tracing.current().trace_flags.sampled
        exporting.stop()

        assert collector.spans == []


@pytest.mark.parametrize(
    "gateway", [{"X-Forwarded-For": "192.0.2.1"}, {"Forwarded": "for=192.0.2.1"}], ids=str
)
@pytest.mark.parametrize(
    "cause",
    [
        {"traceparent": "00-00000000000000000000000000000001-00f067aa0ba902b7-01"},
        {"traceparent": "00-00000000000000000000000000000001-00f067aa0ba902b7-00"},
        {"X-Amzn-Trace-Id": "Root=1-00000000-000000000000000000000001;Parent=00f067aa0ba902b7;Sampled=1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("ratio", ["0", "1"])
def test_given_a_client_behind_a_gateway_when_it_sends_a_trace_then_the_ratio_decides_about_recording(
    monkeypatch: pytest.MonkeyPatch, ratio: str, cause: dict[str, str], gateway: dict[str, str]
) -> None:
    record_share(monkeypatch, ratio)

    found = received({**cause, **gateway})

    assert (found.trace_id, found.trace_flags.sampled) == (1, ratio == "1")


@pytest.mark.parametrize("flag", ["00", "01"])
def test_given_another_service_when_it_sends_a_trace_then_its_decision_about_recording_holds(
    monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    record_share(monkeypatch, "0" if flag == "01" else "1")

    found = received({"traceparent": f"00-00000000000000000000000000000001-00f067aa0ba902b7-{flag}"})

    assert (found.trace_id, found.trace_flags.sampled) == (1, flag == "01")


@pytest.mark.parametrize("sampled", [0, 1])
def test_given_a_function_behind_a_gateway_when_it_is_invoked_then_the_decision_of_lambda_holds(
    monkeypatch: pytest.MonkeyPatch, sampled: int
) -> None:
    record_share(monkeypatch, str(1 - sampled))
    span = f"Root=1-00000000-000000000000000000000001;Parent=00f067aa0ba902b7;Sampled={sampled}"
    monkeypatch.setenv(invocation.XRAY_VARIABLE, span)

    found = received({"X-Amzn-Trace-Id": span, "X-Forwarded-For": "192.0.2.1"})

    assert (found.trace_id, found.trace_flags.sampled) == (1, sampled == 1)


def test_given_no_collector_when_a_client_sends_a_trace_then_its_id_is_kept_and_no_process_records_it() -> (
    None
):
    found = received(
        {
            "traceparent": "00-00000000000000000000000000000001-00f067aa0ba902b7-01",
            "X-Forwarded-For": "192.0.2.1",
        }
    )

    assert (found.trace_id, found.trace_flags.sampled) == (1, False)


def record_share(monkeypatch: pytest.MonkeyPatch, ratio: str) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
    exporting.start("things")


def received(headers: dict[str, str]) -> SpanContext:
    """The span of a request with these headers."""
    with Flask("things").test_request_context("/", headers=headers), spans.received(request):
        return tracing.current()


def test_given_ids_of_x_ray_when_a_trace_begins_then_its_id_begins_with_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_PYTHON_ID_GENERATOR", "xray")
    exporting.start("things")

    with tracing.traced("work"):
        began = int(tracing.trace_id()[:8], 16)

    assert abs(began - time.time()) < 60


@pytest.mark.slow
@pytest.mark.usefixtures("away")
def test_given_a_collector_that_is_away_when_work_is_traced_then_it_waits_for_nothing_and_memory_is_bounded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporting.start("things")
    work(QUEUE)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    slowest = 0.0
    for _ in range(MANY):
        began = time.perf_counter()
        work(1)
        slowest = max(slowest, time.perf_counter() - began)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert slowest < SLOWEST
    assert after - before < MOST_GROWTH
    complaints = [record for record in caplog.records if record.name.startswith("opentelemetry")]
    assert len(complaints) <= len(exporting.NOISY)


@pytest.mark.slow
@pytest.mark.usefixtures("away")
def test_given_a_collector_that_is_away_when_the_process_stops_then_it_waits_for_two_seconds_at_most() -> (
    None
):
    exporting.start("things")
    work(QUEUE)

    began = time.monotonic()
    exporting.flush()
    exporting.stop()

    assert time.monotonic() - began < exporting.FLUSH_SECONDS + exporting.STOP_SECONDS + SLOWEST
    assert not tracing.is_recording()


def test_given_repeated_complaints_of_the_exporter_when_they_are_logged_then_one_a_minute_is_kept() -> None:
    quiet = exporting.AtTimes()
    record = logging.makeLogRecord({})

    assert [quiet.filter(record) for _ in range(3)] == [True, False, False]


@pytest.mark.slow
def test_given_a_web_server_when_it_forks_its_worker_then_the_spans_of_the_worker_are_exported() -> None:
    port = free_port()
    command = [sys.executable, "-m", *API, "services.product.app:create_app()"]
    with Collector() as collector:
        environment = {**SETTINGS, "PATH": os.environ["PATH"], "PORT": str(port), ENDPOINT: collector.url}
        process = Process("product api", command, environment, print, ROOT)
        process.start()
        process.wait_until(lambda: status(port, "/healthz") == 200, 60)
        status(port, "/products")
        process.stop(grace=30)

        # The last span of the worker is exported before it ends.
        assert "GET /products" in {span.name for span in collector.spans}
    assert process.returncode == 0
