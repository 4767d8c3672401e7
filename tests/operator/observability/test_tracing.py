"""The spans of passes and of their writes."""

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shop_operator.errors import OperatorError
from shop_operator.kubernetes.client import Kube
from shop_operator.names import Key
from shop_operator.observability import tracing
from tests.collector import Collector
from tests.operator.connections import connected
from tests.waiting import wait_for

WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "a", "name": "web"}}
KEY = Key("a", "web")


class Pass:
    """A pass with one apply and one status write."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def reconcile(self, key: Key) -> float | None:
        await self._kube.apply(WEB, uid="1")
        await self._kube.patch_status(*key, version=1, patch={})
        return 3.0


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traced(spans: InMemorySpanExporter) -> tracing.Tracing:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return tracing.Tracing(provider)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """An API server that accepts applies, and refuses status writes with a text that must stay out of spans."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/status"):
            return web.json_response({"kind": "Status", "message": "secret", "code": 403}, status=403)
        return web.json_response(await request.json())

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


def described(span: ReadableSpan) -> tuple[str, bool, Any]:
    return span.name, span.status.is_ok, dict(span.attributes or {})


async def test_given_a_collector_when_a_pass_writes_then_its_writes_are_below_it_without_content_and_error_texts(
    traced: tracing.Tracing, spans: InMemorySpanExporter, url: str
) -> None:
    async with connected(url) as connection:
        passes = traced.passes(Pass(traced.kube(connection, lambda: 10.0)))
        with pytest.raises(OperatorError, match="secret") as refused:
            await passes.reconcile(KEY)

    apply, status, whole = spans.get_finished_spans()
    of = {"k8s.namespace.name": "a", "shop.object.name": "web"}
    error = {"error.type": type(refused.value).__qualname__}
    assert described(apply) == ("apply Deployment", True, {**of, "shop.object.kind": "Deployment"})
    assert described(status) == (
        "write status ShopService",
        False,
        {**of, "shop.object.kind": "ShopService", **error},
    )
    assert described(whole) == (
        "reconcile ShopService",
        False,
        {**of, "shop.object.kind": "ShopService", **error},
    )
    assert {span.parent and span.parent.span_id for span in (apply, status)} == {whole.context.span_id}
    assert "secret" not in "".join(span.to_json() for span in (apply, status, whole))


async def test_given_a_collector_when_the_operator_stops_then_its_last_spans_are_exported(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        started = tracing.start({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
        assert started is not None
        async with connected(url) as connection:
            await started.kube(connection, lambda: 10.0).apply(WEB, uid="1")
        started.stop()

        (span,) = wait_for(lambda: collector.spans)
    assert (span.service, span.name) == ("shop-operator", "apply Deployment")


@pytest.mark.parametrize(
    "env", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}]
)
def test_given_no_collector_when_the_operator_starts_then_it_records_no_spans(env: dict[str, str]) -> None:
    assert tracing.start(env) is None


def test_given_no_collector_when_the_operator_is_loaded_then_it_loads_no_package_of_opentelemetry() -> None:
    program = (
        "import sys, shop_operator.main; print(*[name for name in sys.modules if 'opentelemetry' in name])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == ""
