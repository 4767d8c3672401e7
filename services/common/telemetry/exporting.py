"""Exports the spans of this process to an OpenTelemetry collector (OTLP over HTTP).

The standard variables configure it: see docs/reference/tracing.md. It is off unless OTEL_EXPORTER_OTLP_ENDPOINT is set, and
then nothing of the SDK is loaded. A thread sends the spans in batches. While the collector does not answer, spans wait in a
queue of limited length, further ones are dropped, and no request or message waits for them.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, TraceFlags
from pydantic import Field

from services.common.runtime.settings import Environment
from services.common.telemetry import tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator

SCOPE: Final = "shop"
# The pod is stopped meanwhile, and a collector that does not answer must not delay that.
STOP_SECONDS: Final = 2.0
# A function is billed for the time, and its customer waits.
FLUSH_SECONDS: Final = 0.5
# The exporter reports each failed attempt.
QUIET_SECONDS: Final = 60.0
NOISY: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)

_provider: "TracerProvider | None" = None
_is_started = False


class TracingSettings(Environment):
    """The standard settings that decide whether and how spans are exported. The SDK reads the others itself."""

    service: ClassVar[str] = "tracing"

    otel_sdk_disabled: str = Field("", description="true: no spans are recorded")
    otel_traces_exporter: Literal["otlp", "none"] = Field("otlp", description="otlp, or none for no spans")
    otel_exporter_otlp_endpoint: str = Field("", description="URL of the collector, such as http://HOST:4318")
    otel_exporter_otlp_traces_endpoint: str = Field("", description="URL of the collector for spans only")
    otel_service_name: str = Field("", description="name of the service in spans")
    otel_python_id_generator: Literal["random", "xray"] = Field(
        "random", description="random, or xray for IDs that begin with the time, as AWS X-Ray creates them"
    )

    @property
    def is_on(self) -> bool:
        """Whether spans are exported."""
        endpoint = self.otel_exporter_otlp_endpoint or self.otel_exporter_otlp_traces_endpoint
        is_disabled = self.otel_sdk_disabled.lower() == "true" or self.otel_traces_exporter == "none"
        return bool(endpoint) and not is_disabled


def start(service: str) -> None:
    """Starts to record and export spans if the environment says so. Starts a thread: call it after a fork.

    Further calls do nothing until `stop`, so a function can call it at each invocation.

    Args:
        service: name of the service, unless OTEL_SERVICE_NAME is set.

    Raises:
        SystemExit: a setting is invalid.
    """
    global _provider, _is_started  # noqa: PLW0603 - one per process
    if _is_started:
        return
    settings = TracingSettings.load()
    _is_started = True
    if not settings.is_on:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - a tenth of a second
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    for name in NOISY:
        logging.getLogger(name).addFilter(AtTimes())
    _provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: settings.otel_service_name or service}),
        id_generator=_id_generator(settings),
        shutdown_on_exit=False,
    )
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    # Spans that wait for the collector outlive many collections. A full one takes 70 ms, unless it leaves out what was loaded.
    gc.collect()
    gc.freeze()
    tracing.record_with(_provider.get_tracer(SCOPE))


def stop() -> None:
    """Exports the remaining spans, for two seconds at most, and records no more."""
    global _provider, _is_started
    provider, _provider, _is_started = _provider, None, False
    tracing.record_with(None)
    if provider is not None:
        _within(STOP_SECONDS, provider.shutdown)


def flush() -> None:
    """Exports the spans so far, for half a second at most: a function is frozen between two invocations."""
    if _provider is not None:
        _within(FLUSH_SECONDS, _provider.force_flush)


def decided_here(cause: SpanContext) -> SpanContext:
    """The same span, with the decision of this process whether to record its trace, as if the trace began here."""
    is_sampled = False
    if _provider is not None:
        # A client can choose the ID of its trace, so another one is decided about.
        drawn = _provider.id_generator.generate_trace_id()
        decision = _provider.sampler.should_sample(Context(), drawn, SCOPE).decision
        is_sampled = decision.is_sampled()  # type: ignore[no-untyped-call]
    flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
    return SpanContext(cause.trace_id, cause.span_id, cause.is_remote, flags, cause.trace_state)


def _within(seconds: float, work: Callable[[], object]) -> None:
    """Waits for work in a thread of its own. The SDK has no limit for it."""
    thread = threading.Thread(target=work, name="spans", daemon=True)
    thread.start()
    thread.join(seconds)


def _id_generator(settings: TracingSettings) -> "IdGenerator | None":
    if settings.otel_python_id_generator == "random":
        return None
    from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator  # noqa: PLC0415 - as above

    return AwsXRayIdGenerator()


class AtTimes(logging.Filter):
    """Passes one record a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - as logging.Filter.filter
        """Whether the record is logged."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + QUIET_SECONDS
        return True
