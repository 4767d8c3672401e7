"""The spans of AWS Lambda functions (https://opentelemetry.io/docs/specs/semconv/faas/).

Lambda passes its own span, in the format of X-Ray, in an environment variable that changes with each invocation.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Final, Literal, TypeVar

from opentelemetry.trace import Span, SpanKind

from services.common.telemetry import exporting, propagation, tracing

Result = TypeVar("Result")
Record = Mapping[str, Any]
Trigger = Literal["datasource", "http", "other", "pubsub", "timer"]

XRAY_VARIABLE: Final = "_X_AMZN_TRACE_ID"
_XRAY_ATTRIBUTE: Final = "AWSTraceHeader"


def caused() -> str | None:
    """The span of Lambda around the current invocation, in the format of X-Ray."""
    return os.environ.get(XRAY_VARIABLE)


def traced(
    service: str, trigger: Trigger
) -> Callable[[Callable[[Any, Any], Result]], Callable[[Any, Any], Result]]:
    """Adds a span to each invocation of a handler, and exports the spans before the function is frozen.

    Args:
        service: name of the service.
        trigger: what invokes the function.
    """

    def decorate(handler: Callable[[Any, Any], Result]) -> Callable[[Any, Any], Result]:
        @wraps(handler)
        def invoke(event: Any, context: Any) -> Result:
            exporting.start(service)
            attributes: dict[str, tracing.Value] = {
                "faas.trigger": trigger,
                "faas.invocation_id": str(getattr(context, "aws_request_id", "")),
            }
            kind = SpanKind.CONSUMER if trigger == "pubsub" else SpanKind.SERVER
            name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", service)
            try:
                with tracing.traced(
                    name, propagation.remote(xray=caused()), kind=kind, attributes=attributes
                ):
                    return handler(event, context)
            finally:
                exporting.flush()

        return invoke

    return decorate


def processing(
    service: str, record: Record, traceparent: Any = None, **fields: str
) -> AbstractContextManager[Span]:
    """Continues the trace of one message of a batch from SQS. It is linked to the invocation, which serves the whole batch.

    Args:
        service: name of the service.
        record: the message, in the event of the function.
        traceparent: cause that the body of the message names; the attributes of the message have precedence.
        fields: fields of the log lines.
    """
    sent = record.get("messageAttributes", {}).get(propagation.TRACEPARENT, {}).get("stringValue")
    system = record.get("attributes", {})
    invoked = tracing.current()
    return tracing.traced(
        f"process {service}",
        propagation.remote(sent or traceparent, system.get(_XRAY_ATTRIBUTE)),
        kind=SpanKind.CONSUMER,
        attributes={
            "messaging.system": "aws_sqs",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.message.id": record["messageId"],
            "shop.message.deliveries": int(system.get("ApproximateReceiveCount", "1")),
        },
        links=[invoked] if invoked.is_valid else [],
        message_id=record["messageId"],
        **fields,
    )
