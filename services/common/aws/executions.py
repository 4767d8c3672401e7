"""Executions of AWS Step Functions, started."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


def start_execution(client: "SFNClient", arn: str, name: str, given: Mapping[str, Any]) -> bool:
    """Starts an execution unless one of its name was started, even if that has ended; answers whether it did.

    Args:
        client: a Step Functions client.
        arn: the state machine.
        name: of the execution; can be used once in 90 days (AWS limit).
        given: the input.
    """
    try:
        client.start_execution(stateMachineArn=arn, name=name, input=orjson.dumps(dict(given)).decode())
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ExecutionAlreadyExists":
            raise
        return False
    return True
