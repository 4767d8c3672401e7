"""The workflow retries a task that its queue rejects for as long as it would wait for the service behind the queue."""

import json
import math
import re
from collections.abc import Mapping
from itertools import accumulate, repeat
from typing import Any

import pytest

from shopdev.cloudformation import stacks

# AWS quota: events in the history of one execution, which fails once it is full.
HISTORY = 25_000
# TaskScheduled, TaskStarted and TaskSubmitFailed.
EVENTS_OF_A_REFUSED_SEND = 3
FOR_EVER = 99_999_999
# No later step depends on it, and the refund of a paid order must not wait for it.
SENT_ONCE = {"StartCancelling"}
STANDARD_DEVIATIONS = 5


def _tasks() -> dict[str, Mapping[str, Any]]:
    """Name -> state, with the default timeouts of the template."""
    document = stacks.document("saga")
    defaults = {name: str(each["Default"]) for name, each in document["Parameters"].items()}
    definition = document["Resources"]["OrderSaga"]["Properties"]["DefinitionString"]
    text = re.sub(r"\$\{(\w+Seconds)\}", lambda found: defaults[found[1]], definition)
    return {name: state for name, state in json.loads(text)["States"].items() if state["Type"] == "Task"}


def _retrier(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Retrier that applies to a refused send: the errors listed by name are those of the services."""
    wildcards = (["States.TaskFailed"], ["States.ALL"])
    found: Mapping[str, Any] = next(each for each in state["Retry"] if each["ErrorEquals"] in wildcards)
    return found


TASKS = _tasks()
BOUNDED = {name: state for name, state in TASKS.items() if _retrier(state)["MaxAttempts"] < FOR_EVER}
EVENTS_OF_BOUNDED = sum(
    EVENTS_OF_A_REFUSED_SEND * _retrier(state)["MaxAttempts"] for state in BOUNDED.values()
)


def patience(retrier: Mapping[str, Any]) -> float:
    """Seconds between the first and the last send, at least: an execution with a full history sends no more."""
    fit = (HISTORY - EVENTS_OF_BOUNDED) // EVENTS_OF_A_REFUSED_SEND
    attempts = min(retrier["MaxAttempts"], fit)
    if not attempts:
        return 0
    longest = retrier["MaxDelaySeconds"]
    delays = list(
        accumulate(
            repeat(retrier["BackoffRate"], attempts - 1),
            lambda delay, rate: min(delay * rate, longest),
            initial=retrier["IntervalSeconds"],
        )
    )
    if retrier.get("JitterStrategy", "NONE") == "NONE":
        return float(sum(delays))
    # Full jitter: each is uniformly distributed between 0 and the delay.
    deviation = math.sqrt(sum(delay**2 for delay in delays) / 12)
    return float(sum(delays) / 2 - STANDARD_DEVIATIONS * deviation)


@pytest.mark.parametrize("name", sorted(TASKS.keys() - SENT_ONCE))
def test_given_a_queue_that_refuses_a_task_then_retries_last_at_least_as_long_as_the_timeout_of_the_task(
    name: str,
) -> None:
    state = TASKS[name]

    assert patience(_retrier(state)) >= state["TimeoutSeconds"]


@pytest.mark.parametrize("name", sorted(BOUNDED.keys() - SENT_ONCE))
def test_given_a_queue_that_refuses_a_task_then_retries_end_within_twice_the_timeout_of_the_task(
    name: str,
) -> None:
    """Before the charge, a customer waits."""
    state = TASKS[name]

    assert patience(_retrier(state)) <= 2 * state["TimeoutSeconds"]


def test_given_a_step_that_must_complete_when_its_queue_refuses_it_then_only_the_history_limit_ends_retries() -> (
    None
):
    must_complete = {name for name, state in TASKS.items() if "Catch" not in state}

    assert must_complete == TASKS.keys() - BOUNDED.keys()
    assert EVENTS_OF_BOUNDED < HISTORY / 2


@pytest.mark.parametrize("name", sorted(SENT_ONCE))
def test_given_a_notification_when_its_queue_refuses_it_then_the_workflow_continues_at_once(
    name: str,
) -> None:
    state = TASKS[name]

    assert patience(_retrier(state)) == 0
    assert [each["Next"] for each in state["Catch"]] == [state["Next"]]
