"""Structured logs, one JSON object per line."""

import logging
import logging.config
import sys
from contextlib import suppress
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

from services.common.telemetry.metrics import LOG_ERRORS
from services.common.telemetry.redaction import redact, redact_line
from services.common.telemetry.tracing import name_trace, note_order, of_order


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A structured logger: an event is a constant name, and its details are fields."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound


def concerns(**fields: str) -> None:
    """Adds fields, such as the ID of an order, to the following log lines of the request or message in progress.

    The ID of an order is added to the span in progress too.
    """
    order_id = fields.get("order_id")
    if order_id is not None and not of_order(order_id):
        # Text that a client sent in place of an ID.
        fields = {**fields, "order_id": "invalid"}
    structlog.contextvars.bind_contextvars(**fields)
    if order_id is not None:
        note_order(order_id)


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
        # Messages of these libraries below WARNING are not relevant. Those of httpx contain URLs, and thus text of clients.
        "loggers": {
            name: {"level": "WARNING"} for name in ("boto3", "botocore", "httpx", "urllib3", "werkzeug")
        },
    }


class _Stdout(logging.Handler):
    """Writes to the current standard output, as `print` does."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            LOG_ERRORS.inc()
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 - a logging error must not fail the operation
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - as logging.Handler.handleError
        """Reports a line that cannot be written. Its fields are left out, because they are not redacted yet."""
        kind = sys.exc_info()[0]
        with suppress(Exception):  # standard error may be closed too
            sys.stderr.write(
                f"a log line of {record.name} was lost: {kind.__name__ if kind else 'unknown'}\n"
            )


def _enrich(service: str) -> list[Processor]:
    def name_service(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return [
        structlog.contextvars.merge_contextvars,
        name_trace,
        name_service,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _render(_logger: Any, _method: str, event: EventDict) -> str:
    return redact_line(orjson.dumps(dict(event), default=str)).decode()
