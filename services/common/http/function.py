"""The same HTTP service as a function of AWS Lambda, behind API Gateway's payload format 2.0.

The function is the container's own application: one code, two ways to run it. What is built when the module is read is
built in Lambda's initialisation, which has a full processor whatever the function's memory is, and before any request.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from apig_wsgi import make_lambda_handler

if TYPE_CHECKING:
    from flask import Flask

Event = Mapping[str, Any]
Handler = Callable[[Event, Any], Mapping[str, Any]]

DEFAULT_STAGE = "$default"


def http(app: "Flask") -> Handler:
    """A Lambda handler that answers API Gateway's requests with the application."""
    answer = make_lambda_handler(app)

    def handler(event: Event, context: Any) -> Mapping[str, Any]:
        return answer({**event, "rawPath": path(event)}, context)

    return handler


def path(event: Event) -> str:
    """The path as the application knows it: API Gateway's own address puts the name of the stage before it."""
    raw: str = event["rawPath"]
    stage = event["requestContext"].get("stage", DEFAULT_STAGE)
    if stage == DEFAULT_STAGE:
        return raw
    return (raw.removeprefix(f"/{stage}") or "/") if f"{raw}/".startswith(f"/{stage}/") else raw
