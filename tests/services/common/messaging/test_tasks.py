"""The result of a task is reported with its task token."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.common.aws.stepfunctions import StepFunctionsAnswers
from services.common.messaging.tasks import TaskAnswers, TaskGone, answering
from services.common.values.errors import TaskFailed
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER
from tests.services.memory import MemoryAnswers

TASK = {"task": "Work", "task_token": "t1"}


def test_given_a_task_when_its_handler_returns_a_result_then_the_result_is_sent_to_the_workflow() -> None:
    answers = MemoryAnswers("t1")

    answering(lambda _: {"done": True}, answers)(TASK)

    assert answers.outputs == {"t1": {"done": True}}


def test_given_a_task_when_its_handler_rejects_it_then_a_failure_is_reported_and_no_error_is_raised() -> None:
    answers = MemoryAnswers("t1")

    def refuse(_: Mapping[str, Any]) -> None:
        raise TaskFailed("OutOfStock", "none left")

    answering(refuse, answers)(TASK)

    assert answers.failures == {"t1": ("OutOfStock", "none left")}


def test_given_a_task_when_its_handler_fails_otherwise_then_no_result_is_reported() -> None:
    answers = MemoryAnswers("t1")

    def fail(_: Mapping[str, Any]) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        answering(fail, answers)(TASK)

    assert answers.waiting == {"t1"}


def test_given_a_task_that_the_workflow_no_longer_waits_for_when_it_is_done_then_no_error_is_raised() -> None:
    answering(lambda _: {}, MemoryAnswers())(TASK)


@pytest.fixture(params=["memory", *EITHER])
def answers(request: pytest.FixtureRequest) -> TaskAnswers:
    if request.param == "memory":
        return MemoryAnswers()
    account: AwsServer = request.getfixturevalue(request.param)
    return StepFunctionsAnswers(account.clients.stepfunctions)


def test_given_an_unknown_task_token_when_a_result_is_reported_then_the_task_is_gone(
    answers: TaskAnswers,
) -> None:
    with pytest.raises(TaskGone):
        answers.succeed("unknown", {})
    with pytest.raises(TaskGone):
        answers.fail("unknown", "Error", "cause")
