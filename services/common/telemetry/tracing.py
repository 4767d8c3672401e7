"""Traces: the spans of this process, and their connection to those of other processes.

`traced` begins the part of a trace that one request, message or record causes. `span` adds a step to it. Spans are recorded
after `exporting.start`. Before, and without a collector, only the trace ID is known: log lines, error responses and messages
contain it either way.

Attributes follow the semantic conventions of OpenTelemetry. They never contain payment data, names, addresses, credentials,
queries or the text of an error: of an error, only its type is recorded.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Final

import structlog
from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from structlog.typing import EventDict

from services.common.messaging import cause

Value = str | int | bool | Sequence[str]
Attributes = Mapping[str, Value]

ORDER_ID: Final = "shop.order.id"
ERROR_TYPE: Final = "error.type"
# Any other text could be personal data that a client sent in place of an ID.
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNSAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_NO_SPAN: Final[AbstractContextManager[Span]] = nullcontext(INVALID_SPAN)

_tracer: Tracer | None = None


def record_with(tracer: Tracer | None) -> None:
    """Records spans with this tracer from now on, or no spans if it is None."""
    global _tracer  # noqa: PLW0603 - one per process, as the log configuration
    _tracer = tracer


def is_recording() -> bool:
    """Whether this process records spans."""
    return _tracer is not None


@contextmanager
def traced(
    name: str,
    parent: SpanContext | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    links: Sequence[SpanContext] = (),
    **fields: str,
) -> Iterator[Span]:
    """Continues the trace of `parent`, or begins one. Every log line inside has its `trace_id` and `fields`.

    Args:
        name: name of the span. It must have few values.
        parent: span of another process, see `propagation.remote`. By default, the span in progress, if any.
        kind: role of the span.
        attributes: attributes of the span.
        links: other spans that cause the work.
        fields: fields of the log lines.
    """
    span = _begun(name, parent, kind, attributes, links)
    try:
        with resumed(span, **fields):
            yield span
    except Exception as error:
        fail(span, type(error).__qualname__)
        raise
    finally:
        span.end()


def untraced(parent: SpanContext | None = None, **fields: str) -> AbstractContextManager[Span]:
    """As `traced`, but without spans: for probes, and for attempts that usually do nothing."""
    return resumed(NonRecordingSpan(parent or _new_context()), **fields)


def opened(
    name: str,
    parent: SpanContext | None = None,
    attributes: Attributes | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
) -> Span:
    """As `traced`, for work that is done in several parts, see `resumed`. The caller ends the span."""
    return _begun(name, parent, kind, attributes, ())


@contextmanager
def resumed(span: Span, **fields: str) -> Iterator[Span]:
    """Continues the work of a span. Every log line inside has its `trace_id` and `fields`."""
    attached = context.attach(set_span_in_context(span))
    caused = cause.enter(traceparent_of(span.get_span_context()))
    try:
        with structlog.contextvars.bound_contextvars(**fields):
            yield span
    finally:
        cause.leave(caused)
        context.detach(attached)


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    links: Sequence[SpanContext] = (),
) -> AbstractContextManager[Span]:
    """A step of the work in progress. Costs next to nothing unless that work is recorded."""
    begun = start(name, kind, attributes, links)
    return _NO_SPAN if begun is None else _Current(begun)


def start(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    links: Sequence[SpanContext] = (),
) -> Span | None:
    """As `span`, but without making it the parent of later spans. The caller ends it. None if nothing is recorded."""
    if _tracer is None or not get_current_span().is_recording():
        return None
    return _tracer.start_span(name, None, kind, attributes, [Link(each) for each in links])


def fail(span: Span, error_type: str) -> None:
    """Marks a span as failed because of a type of error, such as the name of an exception."""
    span.set_attribute(ERROR_TYPE, error_type)
    span.set_status(StatusCode.ERROR)


def note(name: str, value: Value) -> None:
    """Adds an attribute to the span in progress."""
    get_current_span().set_attribute(name, value)


def note_order(order_id: str) -> None:
    """Adds the order to the span in progress. A text that is not the ID of an order is left out."""
    span = get_current_span()
    if span.is_recording() and _ID.fullmatch(order_id):
        span.set_attribute(ORDER_ID, order_id)


def of_order(order_id: str | None) -> dict[str, Value]:
    """The attribute of a span about an order. Empty for a text that is not the ID of an order."""
    return {ORDER_ID: order_id} if order_id and _ID.fullmatch(order_id) else {}


def current() -> SpanContext:
    """The span in progress. Its `is_valid` is false if there is none."""
    return get_current_span().get_span_context()


def trace_id() -> str:
    """ID of the trace in progress: 32 hexadecimal digits, or an empty string if there is none."""
    found = current()
    return f"{found.trace_id:032x}" if found.trace_id else ""


def exemplar() -> dict[str, str] | None:
    """The labels of an exemplar of a metric: the ID of the current trace. None if there is no trace, or it is not sampled."""
    found = current()
    is_kept = found.is_valid and (_tracer is None or found.trace_flags.sampled)
    return {"trace_id": f"{found.trace_id:032x}"} if is_kept else None


def traceparent() -> str:
    """The span in progress in the format of the W3C, for a message or a request that it causes."""
    found = current()
    return traceparent_of(found) if found.is_valid else cause.current()


def traceparent_of(span: SpanContext) -> str:
    """A span in the format of the W3C."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def name_trace(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor that adds the `trace_id`."""
    found = current().trace_id
    if found:
        event["trace_id"] = f"{found:032x}"
    return event


def _begun(
    name: str,
    parent: SpanContext | None,
    kind: SpanKind,
    attributes: Attributes | None,
    links: Sequence[SpanContext],
) -> Span:
    if _tracer is None:
        before = current()
        return NonRecordingSpan(parent or (before if before.is_valid else _new_context()))
    below = set_span_in_context(NonRecordingSpan(parent), Context()) if parent else None
    return _tracer.start_span(name, below, kind, attributes, [Link(each) for each in links])


def _new_context() -> SpanContext:
    # Not secret, as the IDs of the SDK.
    return SpanContext(random.getrandbits(128) or 1, random.getrandbits(64) or 1, False, _UNSAMPLED)  # noqa: FBT003


class _Current:
    """A span that is the parent of the spans inside, and ends with its block."""

    __slots__ = ("_attached", "_span")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._attached = context.attach(set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        context.detach(self._attached)
        if kind is not None:
            fail(self._span, kind.__qualname__)
        self._span.end()
