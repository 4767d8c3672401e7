"""The spans of received HTTP requests (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).

They contain the template of the route instead of the path, and no query: both may contain personal data.
"""

import re
from contextlib import AbstractContextManager
from functools import cache
from http import HTTPStatus
from typing import Final

from flask import Request
from opentelemetry.trace import Span, SpanContext, SpanKind

from services.common.telemetry import exporting, invocation, propagation, tracing

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "_OTHER"
# A gateway adds one of them to each request of a client. Requests of other services do not pass a gateway.
FORWARDED: Final = ("Forwarded", "X-Forwarded-For")
_VARIABLE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")


def received(request: Request) -> AbstractContextManager[Span]:
    """The span of a request that Flask has routed."""
    parent = _parent(request)
    method = request.method if request.method in METHODS else OTHER
    attributes: dict[str, tracing.Value] = {"http.request.method": method, "url.scheme": request.scheme}
    name = "HTTP" if method == OTHER else method
    if request.url_rule:
        attributes["http.route"] = template(request.url_rule.rule)
        name = f"{name} {attributes['http.route']}"
    return tracing.traced(name, parent, kind=SpanKind.SERVER, attributes=attributes)


def _parent(request: Request) -> SpanContext | None:
    """The span that the request names as its cause. A client decides about the ID of its trace, but not about its recording."""
    parent = propagation.remote(
        request.headers.get(propagation.TRACEPARENT), request.headers.get(propagation.XRAY_HEADER)
    )
    if parent is None or not any(name in request.headers for name in FORWARDED):
        return parent
    invoked = propagation.remote(xray=invocation.caused())
    is_of_lambda = invoked is not None and invoked.trace_id == parent.trace_id
    return parent if is_of_lambda else exporting.decided_here(parent)


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
