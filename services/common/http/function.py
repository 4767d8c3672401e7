"""An HTTP service as an AWS Lambda function, behind an API Gateway with payload format 2.0.

The function runs the same application as the container. The application is built when the module is imported, during the
initialization of the function, which has a full CPU regardless of the memory size.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from apig_wsgi import make_lambda_handler

from services.common.telemetry import emf, exporting, invocation, propagation

if TYPE_CHECKING:
    from flask import Flask

Event = Mapping[str, Any]
Handler = Callable[[Event, Any], Mapping[str, Any]]

DEFAULT_STAGE = "$default"


def http(app: "Flask") -> Handler:
    """A Lambda handler that passes requests of the API Gateway to the application."""
    answer = make_lambda_handler(app)

    @emf.reported(app.name)
    def handler(event: Event, context: Any) -> Mapping[str, Any]:
        exporting.start(app.import_name)
        headers = dict(event.get("headers") or {})
        if span := invocation.caused():
            # API Gateway sends the trace, but not the span of Lambda in it.
            headers[propagation.XRAY_HEADER.lower()] = span
        try:
            return answer({**event, "rawPath": path(event), "headers": headers}, context)
        finally:
            exporting.flush()

    return handler


def path(event: Event) -> str:
    """The path without the name of the stage, which the default address of an API Gateway prepends."""
    raw: str = event["rawPath"]
    stage = event["requestContext"].get("stage", DEFAULT_STAGE)
    if stage == DEFAULT_STAGE:
        return raw
    return (raw.removeprefix(f"/{stage}") or "/") if f"{raw}/".startswith(f"/{stage}/") else raw
