"""Answers a workflow's task token with what the handler of the task came to.

The answer is given after the handler has committed and before the message is deleted: whatever fails in between, the
message comes back, the handler answers the same again, and so does this.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from services.common.messaging.consumer import Handler
from services.common.runtime import telemetry
from services.common.values.errors import TaskFailed

log = telemetry.logger(__name__)


class TaskGone(Exception):
    """The workflow no longer waits for this answer: the task timed out, was already answered, or its execution ended."""


class TaskAnswers(Protocol):
    """Where a task's token is answered."""

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """Ends the task with its output.

        Raises:
            TaskGone: the workflow no longer waits for it.
        """

    def fail(self, token: str, error: str, cause: str) -> None:
        """Ends the task with an error's code and reason.

        Raises:
            TaskGone: the workflow no longer waits for it.
        """


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
