"""Telemetry: JSON logs, W3C trace context, and Prometheus metrics.

Log lines must not contain payment data. Values with a sensitive name are redacted at any depth, and strings that look like a
payment token are redacted in the finished line.
"""

import logging
import logging.config
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
import structlog
from prometheus_client import Counter, Gauge, Histogram
from structlog.typing import EventDict, Processor

from services.common.values import trace
from services.common.values.trace import Trace

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(r"token|card|cvc|cvv|secret|password|authorization|credential", re.IGNORECASE)
_SECRET_VALUE = re.compile(rb"tok_[A-Za-z0-9_]+")

HTTP_REQUESTS = Counter("http_requests_total", "HTTP requests answered.", ["method", "route", "status"])
HTTP_DURATION = Histogram(
    "http_request_duration_seconds",
    "Time from a request's arrival in the application to its answer.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
MESSAGES = Counter("messages_processed_total", "Messages taken from a queue.", ["queue", "task", "result"])
MESSAGE_DURATION = Histogram(
    "message_duration_seconds",
    "Duration of handling a message.",
    ["queue", "task"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
OUTBOX_RELAYED = Counter("outbox_messages_relayed_total", "Outbox messages published.", ["kind", "result"])
UNREADABLE_ROWS = Counter("unreadable_rows_total", "Attempts to read a row that cannot be parsed.", ["kind"])
OUTBOX_AGE = Gauge("outbox_oldest_seconds", "Age of the oldest outbox record that has not been published.")
CALLS = Counter("guarded_calls_total", "Calls to external services, by outcome.", ["name", "result"])
CIRCUITS_OPEN = Gauge(
    "guarded_circuit_open",
    "Whether the circuit of an external service is open: 1 after repeated failures, until a call succeeds.",
    ["name"],
)


@contextmanager
def traced(traceparent: Any, **fields: str) -> Iterator[Trace]:
    """Continues a trace. Every log line inside has its `trace_id` and `fields`. An invalid `traceparent` is replaced."""
    with (
        trace.entered(Trace.continued(traceparent)) as entered,
        structlog.contextvars.bound_contextvars(trace_id=entered.trace_id, **fields),
    ):
        yield entered


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A structured logger: an event is a constant name, and its details are fields."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound


def configure(service: str, level: str) -> None:
    """Sends the logs of this process and its libraries to standard output, as one JSON object per line."""
    logging.config.dictConfig(logging_config(service, level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_enrich(service),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logging_config(service: str, level: str) -> dict[str, Any]:
    """The same configuration for the standard library, in the form of `logging.config.dictConfig`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _enrich(service),
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    redact,
                    _render,
                ],
            }
        },
        "handlers": {"stdout": {"()": _Stdout, "formatter": "json"}},
        "root": {"handlers": ["stdout"], "level": level},
        # Messages of these libraries below WARNING are not relevant.
        "loggers": {name: {"level": "WARNING"} for name in ("boto3", "botocore", "urllib3", "werkzeug")},
    }


class _Stdout(logging.Handler):
    """Writes to the current standard output, as `print` does."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 - a logging error must not fail the operation
            self.handleError(record)


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor that redacts values with a name such as `token` or `card_number`."""
    return {name: _redacted(name, value) for name, value in event.items()}


def _redacted(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(inner): _redacted(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    return value


def _enrich(service: str) -> list[Processor]:
    def name_service(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return [
        structlog.contextvars.merge_contextvars,
        name_service,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _render(_logger: Any, _method: str, event: EventDict) -> str:
    line = orjson.dumps(dict(event), default=str)
    return _SECRET_VALUE.sub(REDACTED.encode(), line).decode()
