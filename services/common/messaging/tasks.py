"""Answers a workflow's task token with what the handler of the task came to.

The answer is given after the handler has committed and before the message is deleted: whatever fails in between, the
message comes back, the handler answers the same again, and so does this.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from botocore.exceptions import ClientError

from services.common.messaging.consumer import Handler
from services.common.runtime import telemetry
from services.common.values.errors import TaskFailed

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

log = telemetry.logger(__name__)

# AWS limits of SendTaskFailure.
LONGEST_ERROR = 256
LONGEST_CAUSE = 32768
_NOBODY_WAITS = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class TaskGone(Exception):
    """Nobody waits for this answer any more: the task timed out, was answered before, or its execution ended."""


class TaskAnswers(Protocol):
    """Where a task's token is answered."""

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """Ends the task with its output.

        Raises:
            TaskGone: when nobody waits for it.
        """

    def fail(self, token: str, error: str, cause: str) -> None:
        """Ends the task with an error's code and reason.

        Raises:
            TaskGone: when nobody waits for it.
        """


class StepFunctionsAnswers:
    """Answers to AWS Step Functions.

    Args:
        client: a Step Functions client.
    """

    def __init__(self, client: "SFNClient") -> None:
        self._client = client

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """As `TaskAnswers.succeed`."""
        try:
            self._client.send_task_success(taskToken=token, output=orjson.dumps(dict(output)).decode())
        except ClientError as refused:
            raise _gone(refused) from refused

    def fail(self, token: str, error: str, cause: str) -> None:
        """As `TaskAnswers.fail`."""
        try:
            self._client.send_task_failure(
                taskToken=token, error=error[:LONGEST_ERROR], cause=cause[:LONGEST_CAUSE]
            )
        except ClientError as refused:
            raise _gone(refused) from refused


def _gone(refused: ClientError) -> Exception:
    code = refused.response.get("Error", {}).get("Code", "")
    return TaskGone(code) if code in _NOBODY_WAITS else refused


class MemoryAnswers:
    """Keeps the answers, for tests: `outputs` and `failures` by token. Each token of `waiting` can be answered once."""

    def __init__(self, *waiting: str) -> None:
        self.waiting = set(waiting)
        self.outputs: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, tuple[str, str]] = {}

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """As `TaskAnswers.succeed`."""
        self._end(token)
        self.outputs[token] = dict(output)

    def fail(self, token: str, error: str, cause: str) -> None:
        """As `TaskAnswers.fail`."""
        self._end(token)
        self.failures[token] = (error, cause)

    def _end(self, token: str) -> None:
        if token not in self.waiting:
            raise TaskGone("TaskDoesNotExist")
        self.waiting.remove(token)


def answering(handler: Handler, answers: TaskAnswers) -> Handler:
    """The handler, with its result or its `TaskFailed` sent to the token of the task.

    Any other exception of the handler passes through: the message comes back, and the token stays unanswered.
    """

    def handle(message: Mapping[str, Any]) -> None:
        token = message["task_token"]
        try:
            try:
                output = handler(message)
            except TaskFailed as failed:
                log.info("task_refused", error=failed.error, cause=failed.cause)
                answers.fail(token, failed.error, failed.cause)
            else:
                answers.succeed(token, output or {})
        except TaskGone as gone:
            # What the handler committed stands; the workflow has taken, or will take, the way that undoes it.
            log.warning("task_answer_unwanted", reason=str(gone))

    return handle
