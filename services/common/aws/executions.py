"""Starts executions of AWS Step Functions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
from botocore.exceptions import ClientError
from opentelemetry.trace import SpanKind

from services.common.aws.spans import refuse
from services.common.telemetry import propagation, tracing

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

CALL: Final[tracing.Attributes] = {
    "rpc.system": "aws-api",
    "rpc.service": "SFN",
    "rpc.method": "StartExecution",
}


def start_execution(client: "SFNClient", arn: str, name: str, given: Mapping[str, Any]) -> bool:
    """Starts an execution unless one with the same name was started before, even if it has ended.

    Args:
        client: a Step Functions client.
        arn: ARN of the state machine.
        name: name of the execution, which can be used once in 90 days (AWS limit).
        given: input of the execution. The steps of the execution are below the span of this call, unless
            its `traceparent` belongs to another trace: that of an order that is resumed.

    Returns:
        Whether an execution was started.
    """
    caused = propagation.remote(given.get(propagation.TRACEPARENT))
    is_other = caused is not None and caused.trace_id != tracing.current().trace_id
    with tracing.span(
        "SFN.StartExecution", SpanKind.PRODUCER, CALL, [caused] if caused and is_other else []
    ) as span:
        named, header = dict(given), {}
        if span.is_recording() and not is_other:
            named[propagation.TRACEPARENT] = tracing.traceparent()
            header["traceHeader"] = propagation.xray_header(tracing.current())
        try:
            client.start_execution(
                stateMachineArn=arn, name=name, input=orjson.dumps(named).decode(), **header
            )
        except ClientError as error:
            refuse(span, error)
            if error.response.get("Error", {}).get("Code") != "ExecutionAlreadyExists":
                raise
            return False
        return True
