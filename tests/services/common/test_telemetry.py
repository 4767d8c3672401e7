"""Logs are JSON, contain the trace, and contain no payment data."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from services.common.telemetry import logs, tracing
from services.common.values import trace
from services.common.values.trace import Trace

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Logged]:
    logs.configure("things", "INFO")

    def lines() -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]

    yield lines
    logs.configure("test", "INFO")


def test_given_a_trace_when_a_message_is_logged_then_the_line_is_json_with_the_trace_and_fields(
    logged: Logged,
) -> None:
    with tracing.traced(TRACEPARENT, order_id="1"):
        logs.logger("test").info("happened", amount=3)

    (line,) = logged()
    assert line["event"] == "happened"
    assert line["service"] == "things"
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert (line["order_id"], line["amount"]) == ("1", 3)


def test_given_a_library_when_it_logs_a_message_then_the_line_is_json(logged: Logged) -> None:
    logging.getLogger("some.library").warning("disk %s", "full")

    (line,) = logged()
    assert (line["event"], line["level"]) == ("disk full", "warning")


def test_given_payment_data_at_any_depth_when_it_is_logged_then_it_is_redacted(logged: Logged) -> None:
    log = logs.logger("test")
    log.info(
        "a", token="secret-1", body={"payment": {"card_number": "secret-2"}, "list": [{"cvc": "secret-3"}]}
    )
    log.info("b", text="paid with tok_secret4")
    log.error("c", exc_info=ValueError("tok_secret5 was declined"))

    lines = logged()
    assert len(lines) == 3
    assert "secret" not in repr(lines)


def test_given_a_traceparent_when_a_trace_is_continued_then_it_has_a_new_span() -> None:
    trace = Trace.continued(TRACEPARENT)

    assert trace.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert trace.span_id != "b7ad6b7169203331"


@given(
    st.text() | st.none() | st.sampled_from(["00-" + "0" * 32 + "-" + "1" * 16 + "-01", TRACEPARENT + "\n"])
)
def test_given_an_invalid_traceparent_when_a_trace_is_continued_then_a_new_trace_starts(
    traceparent: str | None,
) -> None:
    trace = Trace.continued(traceparent)

    assert Trace.continued(str(trace)).trace_id == trace.trace_id
    assert trace.trace_id not in (traceparent or "")


def test_given_a_traced_block_when_it_ends_then_its_trace_is_no_longer_current() -> None:
    with tracing.traced(TRACEPARENT) as outer:
        with tracing.traced(None):
            pass
        assert trace.current() is outer

    assert trace.current().trace_id != outer.trace_id
    assert "trace_id" not in structlog.contextvars.get_contextvars()
