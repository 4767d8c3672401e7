"""Reports the result of a task to the workflow, by its task token.

The result is reported after the handler has committed, and before the message is deleted. After a failure in between, the
message is delivered again, and the handler returns the same result.
"""

import time
from collections.abc import Mapping
from typing import Any, Protocol

from services.common.messaging.consumer import Handler, sent_at
from services.common.telemetry import logs, metrics, tracing
from services.common.values.errors import TaskFailed

log = logs.logger(__name__)


class TaskGone(Exception):
    """The workflow no longer waits for the result: the task timed out, was completed before, or its execution ended."""


class TaskAnswers(Protocol):
    """Reports results of tasks."""

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """Reports the success of a task, with its output.

        Raises:
            TaskGone: the workflow no longer waits for the result.
        """

    def fail(self, token: str, error: str, cause: str) -> None:
        """Reports the failure of a task, with an error code and a reason.

        Raises:
            TaskGone: the workflow no longer waits for the result.
        """


def answering(handler: Handler, answers: TaskAnswers) -> Handler:
    """A handler that reports the result or the `TaskFailed` of `handler` to the workflow.

    Any other exception is passed on: the message is delivered again, and nothing is reported.
    """

    def handle(message: Mapping[str, Any]) -> None:
        token = message["task_token"]
        outcome = "succeeded"
        try:
            try:
                output = handler(message)
            except TaskFailed as failed:
                log.info("task_rejected", error=failed.error, cause=failed.cause)
                outcome = "refused"
                answers.fail(token, failed.error, failed.cause)
            else:
                answers.succeed(token, output or {})
        except TaskGone as gone:
            # The change of the handler remains; the workflow undoes it.
            outcome = "discarded"
            log.warning("task_result_discarded", reason=str(gone))
        _measure(str(message.get("task")), outcome)

    return handle


def _measure(step: str, outcome: str) -> None:
    metrics.SAGA_STEPS.labels(step, outcome).inc()
    sent = sent_at.get()
    if sent is not None:
        seconds = max(0.0, time.time() - sent)
        metrics.SAGA_STEP_DURATION.labels(step, outcome).observe(seconds, tracing.exemplar())
