"""W3C trace context of the work in progress, which every log line names."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from services.common.values import trace
from services.common.values.trace import Trace


@contextmanager
def traced(traceparent: Any, **fields: str) -> Iterator[Trace]:
    """Continues a trace. Every log line inside has its `trace_id` and `fields`. An invalid `traceparent` is replaced."""
    with (
        trace.entered(Trace.continued(traceparent)) as entered,
        structlog.contextvars.bound_contextvars(trace_id=entered.trace_id, **fields),
    ):
        yield entered


def exemplar() -> dict[str, str] | None:
    """The labels of an exemplar of a metric: the ID of the current trace. None if there is no trace."""
    trace_id = structlog.contextvars.get_contextvars().get("trace_id")
    return {"trace_id": trace_id} if trace_id else None
