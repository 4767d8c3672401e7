"""Starts executions of AWS Step Functions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


def start_execution(client: "SFNClient", arn: str, name: str, given: Mapping[str, Any]) -> bool:
    """Starts an execution unless one with the same name was started before, even if it has ended.

    Args:
        client: a Step Functions client.
        arn: ARN of the state machine.
        name: name of the execution, which can be used once in 90 days (AWS limit).
        given: input of the execution.

    Returns:
        Whether an execution was started.
    """
    try:
        client.start_execution(stateMachineArn=arn, name=name, input=orjson.dumps(dict(given)).decode())
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ExecutionAlreadyExists":
            raise
        return False
    return True
