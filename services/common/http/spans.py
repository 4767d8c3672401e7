"""The spans of received HTTP requests (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).

They contain the template of the route instead of the path, and no query: both may contain personal data.
"""

import re
from contextlib import AbstractContextManager
from functools import cache
from http import HTTPStatus
from typing import Final

from flask import Request
from opentelemetry.trace import Span, SpanKind

from services.common.telemetry import propagation, tracing

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "_OTHER"
_VARIABLE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")


def received(request: Request) -> AbstractContextManager[Span]:
    """The span of a request that Flask has routed."""
    parent = propagation.remote(
        request.headers.get(propagation.TRACEPARENT), request.headers.get(propagation.XRAY_HEADER)
    )
    method = request.method if request.method in METHODS else OTHER
    attributes: dict[str, tracing.Value] = {"http.request.method": method, "url.scheme": request.scheme}
    name = "HTTP" if method == OTHER else method
    if request.url_rule:
        attributes["http.route"] = template(request.url_rule.rule)
        name = f"{name} {attributes['http.route']}"
    return tracing.traced(name, parent, kind=SpanKind.SERVER, attributes=attributes)


def answered(span: Span, status: int, error_type: str | None = None) -> None:
    """Adds the response to the span of its request.

    Args:
        span: the span.
        status: status code.
        error_type: type of the exception that caused the response, if it was unexpected.
    """
    span.set_attribute("http.response.status_code", status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        tracing.fail(span, error_type or str(status))


@cache
def template(rule: str) -> str:
    """The template of a Flask rule: `/orders/{order_id}` for `/orders/<string:order_id>`."""
    return _VARIABLE.sub(r"{\1}", rule)
