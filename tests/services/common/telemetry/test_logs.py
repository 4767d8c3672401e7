"""Logs are JSON, contain the trace, and contain no payment data."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from services.common.telemetry import logs, propagation, tracing

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
    with tracing.traced("work", propagation.remote(TRACEPARENT), order_id="1"):
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


def test_given_a_request_to_another_service_when_it_is_sent_then_its_url_with_text_of_a_client_is_not_logged(
    logged: Logged,
) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET http://api/products?q=secret")

    assert logged() == []


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


def test_given_a_line_that_cannot_be_written_when_it_is_lost_then_its_fields_appear_nowhere(
    capsys: pytest.CaptureFixture[str], logged: Logged
) -> None:
    logs.logger("test").info("a", token="secret-1", number=2**70)

    out, err = capsys.readouterr()
    assert (out, err) == ("", "a log line of test was lost: TypeError\n")
    assert not logged()
