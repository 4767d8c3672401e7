"""Requests to other services over HTTP, with their spans (https://opentelemetry.io/docs/specs/semconv/http/http-spans/)."""

from http import HTTPStatus

import httpx
from opentelemetry.trace import SpanKind

from services.common.telemetry import propagation, tracing


class TracedTransport(httpx.BaseTransport):
    """Adds a span to each request, and names it in the request as the cause of what the other service does.

    Args:
        transport: sends the requests.
    """

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx.BaseTransport.handle_request."""
        attributes: dict[str, tracing.Value] = {
            "http.request.method": request.method,
            "server.address": request.url.host,
        }
        if request.url.port:
            attributes["server.port"] = request.url.port
        with tracing.span(request.method, SpanKind.CLIENT, attributes) as span:
            request.headers[propagation.TRACEPARENT] = tracing.traceparent()
            response = self._transport.handle_request(request)
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                tracing.fail(span, str(response.status_code))
        return response

    def close(self) -> None:
        """As httpx.BaseTransport.close."""
        self._transport.close()
