"""Runs the steps of a pass so that a failed step does not prevent the others. The worst error decides when the next pass starts."""

from collections.abc import Coroutine, Sequence
from typing import Any, Final

from shop_operator.errors import (
    Conflict,
    Contested,
    NotInstalled,
    NotLeader,
    OperatorError,
    TemporaryError,
    Terminating,
    Throttled,
    Unreachable,
)
from shop_operator.objects.ownership import CONFLICT_RECHECK

# The API server may throttle one kind of object; if it throttles two, it throttles all.
_BUSY: Final = 2


async def attempt(
    step: Coroutine[Any, Any, None], problems: Sequence[OperatorError] = ()
) -> list[OperatorError]:
    """Run one step and return its errors, so that the next step still runs unless it would fail in the same way.

    Args:
        step: the step; it is not started if the API server has throttled two earlier steps.
        problems: the errors of the earlier steps.
    """
    busy = [each for each in problems if isinstance(each, Throttled)]
    if len(busy) >= _BUSY:
        step.close()
        return [busy[-1]]
    try:
        await step
    except (NotLeader, Unreachable):
        raise
    except OperatorError as error:
        return [error]
    return []


def next_look(problems: Sequence[OperatorError]) -> float | None:
    """Raise an error that a retry may fix; otherwise return the seconds until the next check of problems that only other clients can fix."""
    # A pause in reverting changes is not a failure and must not hide one.
    for problem in sorted(problems, key=lambda each: isinstance(each, Contested)):
        if isinstance(problem, TemporaryError) and not isinstance(problem, Terminating | NotInstalled):
            raise problem
    return (
        CONFLICT_RECHECK
        if any(isinstance(p, Conflict | Terminating | NotInstalled) for p in problems)
        else None
    )
