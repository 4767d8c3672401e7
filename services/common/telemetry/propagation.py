"""The span of another process that causes the work of this one, in the formats of the W3C and of AWS X-Ray."""

from typing import Any, Final

from opentelemetry.propagators.aws.aws_xray_propagator import TRACE_HEADER_KEY, AwsXRayPropagator
from opentelemetry.trace import SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACEPARENT: Final = "traceparent"
XRAY_HEADER: Final = TRACE_HEADER_KEY
# Longer than any valid header of X-Ray that AWS sends.
LONGEST: Final = 512

_w3c = TraceContextTextMapPropagator()
_xray = AwsXRayPropagator()


def remote(traceparent: Any = None, xray: Any = None) -> SpanContext | None:
    """The span that a request or a message names as its cause, or None if it names none that is valid.

    Args:
        traceparent: value in the format of the W3C. Any other value is ignored.
        xray: value of `X-Amzn-Trace-Id`, of the attribute `AWSTraceHeader` of a message, or of `_X_AMZN_TRACE_ID`. If it
            belongs to the trace of `traceparent`, AWS has added a span in between, and it is preferred.
    """
    caused = _extracted(_w3c, TRACEPARENT, traceparent)
    between = _extracted(_xray, XRAY_HEADER, xray)
    if caused and between and caused.trace_id != between.trace_id:
        return caused
    return between or caused


def xray_header(span: SpanContext) -> str:
    """A span in the format of AWS X-Ray."""
    trace_id = f"{span.trace_id:032x}"
    return f"Root=1-{trace_id[:8]}-{trace_id[8:]};Parent={span.span_id:016x};Sampled={int(span.trace_flags.sampled)}"


def _extracted(
    propagator: TraceContextTextMapPropagator | AwsXRayPropagator, name: str, value: Any
) -> SpanContext | None:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST:
        return None
    found = get_current_span(propagator.extract({name: value})).get_span_context()
    return found if found.is_valid else None
