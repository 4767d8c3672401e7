"""Spans of the passes and of their writes, exported with OpenTelemetry (OTLP over HTTP).

Off unless the standard variable OTEL_EXPORTER_OTLP_ENDPOINT is set, and then no package of OpenTelemetry is loaded. A thread exports
the spans: a pass never waits for the collector. Spans contain names of objects, and neither their content nor the text of an error.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from shop_operator.kubernetes.client import Fence, Kube
from shop_operator.kubernetes.connection import Connection
from shop_operator.names import Key

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

SERVICE: Final = "shop-operator"
STOP_SECONDS: Final = 2.0
"""Seconds for the last spans, which a collector that does not answer must not exceed."""

QUIET_SECONDS: Final = 60.0
"""Seconds between two log records of the exporter, which reports each failed attempt."""

_NOISY: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)


def start(env: Mapping[str, str]) -> "Tracing | None":
    """Start to export spans, if the environment says so. Starts a thread.

    Args:
        env: the environment of the process, from which the SDK reads its other settings itself.
    """
    endpoint = env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if not endpoint or env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  a tenth of a second, and memory
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415  as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  as above

    for name in _NOISY:
        logging.getLogger(name).addFilter(_AtTimes())
    resource = Resource.create({SERVICE_NAME: env.get("OTEL_SERVICE_NAME") or SERVICE})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


class Passes(Protocol):
    """reconcile.runner.Passes."""

    async def reconcile(self, key: Key) -> float | None:
        """Make one pass; returns the seconds until the next one."""


class Tracing:
    """The spans of this process.

    Args:
        provider: records and exports them.
    """

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE)

    def kube(self, connection: Connection, fence: Fence) -> Kube:
        """A client with a span for each write of an object."""
        return _TracedKube(connection, fence, self._tracer)

    def passes(self, passes: Passes) -> Passes:
        """Passes with a span each."""
        return _TracedPasses(passes, self._tracer)

    def stop(self) -> None:
        """Export the remaining spans, for two seconds at most."""
        thread = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        thread.start()
        thread.join(STOP_SECONDS)


class _TracedPasses:
    def __init__(self, passes: Passes, tracer: "Tracer") -> None:
        self._passes = passes
        self._tracer = tracer

    async def reconcile(self, key: Key) -> float | None:
        """As Passes.reconcile."""
        with _span(self._tracer, "reconcile", "ShopService", key.namespace, key.name):
            return await self._passes.reconcile(key)


class _TracedKube(Kube):
    def __init__(self, connection: Connection, fence: Fence, tracer: "Tracer") -> None:
        super().__init__(connection, fence)
        self._tracer = tracer

    async def apply(
        self, configuration: Mapping[str, Any], *, uid: str | None, version: int | None = None
    ) -> dict[str, Any]:
        """As Kube.apply."""
        metadata = configuration["metadata"]
        with _span(self._tracer, "apply", configuration["kind"], metadata["namespace"], metadata["name"]):
            return await super().apply(configuration, uid=uid, version=version)

    async def rewrite(
        self, kind: str, namespace: str, name: str, *, version: int, parts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """As Kube.rewrite."""
        with _span(self._tracer, "repair", kind, namespace, name):
            return await super().rewrite(kind, namespace, name, version=version, parts=parts)

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        """As Kube.delete."""
        with _span(self._tracer, "delete", kind, namespace, name):
            await super().delete(kind, namespace, name, uid=uid)

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """As Kube.patch_status."""
        with _span(self._tracer, "write status", "ShopService", namespace, name):
            return await super().patch_status(namespace, name, version=version, patch=patch)


@contextmanager
def _span(tracer: "Tracer", verb: str, kind: str, namespace: str, name: str) -> Iterator[None]:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415  as above

    with tracer.start_as_current_span(
        f"{verb} {kind}",
        attributes={"k8s.namespace.name": namespace, "shop.object.kind": kind, "shop.object.name": name},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Exception as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
            raise


class _AtTimes(logging.Filter):
    """Passes one record a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  as logging.Filter.filter
        """Whether the record is logged."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + QUIET_SECONDS
        return True
