"""A step of a pass that fails does not prevent the others, and the worst error decides when the next pass starts."""

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
        step: what is to be done; it is not begun any more once the API server has been too busy for two others.
        problems: what went wrong before.
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
    """Raise an error that a retry may fix; otherwise return when to check again for what only another client can fix."""
    # A pause in reverting changes is no failure, and must not hide one.
    for problem in sorted(problems, key=lambda each: isinstance(each, Contested)):
        if isinstance(problem, TemporaryError) and not isinstance(problem, Terminating | NotInstalled):
            raise problem
    return (
        CONFLICT_RECHECK
        if any(isinstance(p, Conflict | Terminating | NotInstalled) for p in problems)
        else None
    )
