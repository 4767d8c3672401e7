"""The spans that a test's own process records."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from services.common.telemetry import tracing
from tests.traces import SpanRecord, text


class Recorded:
    """The ended spans."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def spans(self) -> list[SpanRecord]:
        return [_record(span) for span in self._exporter.get_finished_spans()]

    @property
    def text(self) -> str:
        return text(self.spans)

    def named(self, name: str) -> SpanRecord:
        """The only span with this name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found


@contextmanager
def recording(sampler: Sampler | None = None) -> Iterator[Recorded]:
    """Records the spans of the block."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        sampler=sampler, resource=Resource({"service.name": "test"}), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.record_with(provider.get_tracer("test"))
    try:
        yield Recorded(exporter)
    finally:
        tracing.record_with(None)


def _record(span: ReadableSpan) -> SpanRecord:
    assert span.context is not None
    return SpanRecord(
        trace_id=format_trace_id(span.context.trace_id),
        span_id=format_span_id(span.context.span_id),
        parent_id=format_span_id(span.parent.span_id) if span.parent else "",
        service=str(span.resource.attributes["service.name"]),
        name=span.name,
        kind=span.kind.name.lower(),
        failed=span.status.status_code is StatusCode.ERROR,
        attributes=dict(span.attributes or {}),
        links=tuple(
            (format_trace_id(link.context.trace_id), format_span_id(link.context.span_id))
            for link in span.links
        ),
    )
