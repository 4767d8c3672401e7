"""Reports the results of tasks to AWS Step Functions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from services.common.messaging.tasks import TaskGone

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# AWS limits of SendTaskFailure.
LONGEST_ERROR = 256
LONGEST_CAUSE = 32768
_TASK_GONE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class StepFunctionsAnswers:
    """Reports the results of tasks to AWS Step Functions.

    Args:
        client: a Step Functions client.
    """

    def __init__(self, client: "SFNClient") -> None:
        self._client = client

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """As `tasks.TaskAnswers.succeed`."""
        try:
            self._client.send_task_success(taskToken=token, output=orjson.dumps(dict(output)).decode())
        except ClientError as refused:
            raise _gone(refused) from refused

    def fail(self, token: str, error: str, cause: str) -> None:
        """As `tasks.TaskAnswers.fail`."""
        try:
            self._client.send_task_failure(
                taskToken=token, error=error[:LONGEST_ERROR], cause=cause[:LONGEST_CAUSE]
            )
        except ClientError as refused:
            raise _gone(refused) from refused


def _gone(refused: ClientError) -> Exception:
    code = refused.response.get("Error", {}).get("Code", "")
    return TaskGone(code) if code in _TASK_GONE else refused
