"""Requests to other services over HTTP, with their spans (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).

The time and the size of each response are limited.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import httpx
from opentelemetry.trace import SpanKind

from services.common.telemetry import propagation, tracing

LARGEST_RESPONSE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A complete response."""

    status: int
    headers: httpx.Headers
    body: bytes


def client(timeout: float) -> httpx.Client:
    """A client whose requests have spans. It follows no redirect, and ignores the proxy settings of the environment.

    Args:
        timeout: seconds to connect, and between two parts of a response.
    """
    transport = TracedTransport(httpx.HTTPTransport(trust_env=False))
    return httpx.Client(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)


def exchange(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> Received:
    """The response to a request.

    Args:
        http: client.
        method: method, such as GET.
        url: URL.
        timeout: seconds until the response must be complete.
        headers: additional headers.
        content: body of the request.

    Raises:
        httpx.TransportError: no response, or only a part of it, arrived in time.
        httpx.DecodingError: the response is larger than 256 KiB, or its encoding is invalid.
    """
    end = time.monotonic() + timeout
    with http.stream(method, url, headers=headers, content=content) as response:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if time.monotonic() > end:  # httpx limits the time between two chunks only
                raise httpx.ReadTimeout("the response takes too long")
            if len(body) > LARGEST_RESPONSE:
                raise httpx.DecodingError("the response is too large")
        return Received(response.status_code, response.headers, bytes(body))


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
