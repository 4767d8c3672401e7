"""The spans of AWS calls (https://opentelemetry.io/docs/specs/semconv/cloud-providers/aws-sdk/), from the events of botocore.

A call has a span only as a step of recorded work, so the polling of queues and outboxes has none. Retries of the SDK are part
of the call. Values of parameters are not recorded, apart from the names of tables and queues.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from opentelemetry.trace import Span, SpanKind

from services.common.telemetry import tracing

if TYPE_CHECKING:
    from botocore.client import BaseClient

    from services.common.aws.clients import Name

# Their callers add the span, because the messages name it as their cause.
MADE_ELSEWHERE: Final = frozenset({"ReceiveMessage", "SendMessage", "PublishBatch", "StartExecution"})
# Answers that decide something, as HTTP status 404 does, instead of failures.
ANSWERS: Final = frozenset(
    {"ConditionalCheckFailedException", "ExecutionAlreadyExists", "TransactionCanceledException"}
)
_SYSTEMS: Final[Mapping["Name", str]] = {
    "dynamodb": "DynamoDB",
    "sqs": "SQS",
    "stepfunctions": "SFN",
    "s3": "S3",
}
_KEY: Final = "shop_span"


def add_spans(client: "BaseClient", service: "Name") -> None:
    """Adds spans to the calls of a client."""

    def before(params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        span = begin(service, model.name, params)
        if span is not None:
            context[_KEY] = span

    def end(parsed: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        span: Span | None = context.pop(_KEY, None)
        if span is None:
            return
        if "Error" in parsed:
            _refused(span, parsed["Error"].get("Code") or "unknown")
        span.end()

    def fail(exception: BaseException, context: dict[str, Any], **_: Any) -> None:
        span: Span | None = context.pop(_KEY, None)
        if span is not None:
            tracing.fail(span, type(exception).__qualname__)
            span.end()

    client.meta.events.register_last("before-parameter-build", before)
    client.meta.events.register_first("after-call", end)
    client.meta.events.register_first("after-call-error", fail)


def begin(service: "Name", operation: str, params: Mapping[str, Any]) -> Span | None:
    """Begins the span of a call, which the caller ends. None if the call is no step of recorded work, or has its span elsewhere."""
    if operation in MADE_ELSEWHERE:
        return None
    system = _SYSTEMS.get(service, service)
    span = tracing.start(_name(system, operation), SpanKind.CLIENT, _common(system, operation))
    if span is not None:
        span.set_attributes(_DESCRIBED.get(service, _nothing)(operation, params))
    return span


def refuse(span: Span, error: ClientError) -> None:
    """Adds the error with which AWS refused a call to the span of the call."""
    _refused(span, error.response.get("Error", {}).get("Code") or "unknown")


def _refused(span: Span, code: str) -> None:
    if code in ANSWERS:
        span.set_attribute(tracing.ERROR_TYPE, code)
    else:
        tracing.fail(span, code)


@cache
def _name(system: str, operation: str) -> str:
    return f"{system}.{operation}"


@cache
def _common(system: str, operation: str) -> Mapping[str, tracing.Value]:
    return {"rpc.system": "aws-api", "rpc.service": system, "rpc.method": operation}


def _of_table(operation: str, params: Mapping[str, Any]) -> dict[str, tracing.Value]:
    described: dict[str, tracing.Value] = {"db.system.name": "aws.dynamodb", "db.operation.name": operation}
    table = params.get("TableName")
    if isinstance(table, str):
        described["db.collection.name"] = table
    return described


def _of_queue(_operation: str, params: Mapping[str, Any]) -> dict[str, tracing.Value]:
    described: dict[str, tracing.Value] = {"messaging.system": "aws_sqs"}
    if isinstance(url := params.get("QueueUrl"), str):
        described["messaging.destination.name"] = url.rsplit("/", 1)[-1]
    return described


def _nothing(_operation: str, _params: Mapping[str, Any]) -> dict[str, tracing.Value]:
    return {}


_DESCRIBED: Final[Mapping["Name", Callable[[str, Mapping[str, Any]], dict[str, tracing.Value]]]] = {
    "dynamodb": _of_table,
    "sqs": _of_queue,
}
