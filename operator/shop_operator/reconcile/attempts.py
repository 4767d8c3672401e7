"""One step of a pass that fails does not keep the others from being taken, and the worst failure decides what happens next."""

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

# One kind may have a limit of its own. Of two, all others have it too.
_BUSY: Final = 2


async def attempt(
    step: Coroutine[Any, Any, None], problems: Sequence[OperatorError] = ()
) -> list[OperatorError]:
    """What went wrong in one step, so that the next one is still taken; unless it would fail alike.

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
    """Raise what time heals; otherwise say when to look again at what only somebody else can heal."""
    # That we leave somebody alone for a while is no failure, and must not hide one.
    for problem in sorted(problems, key=lambda each: isinstance(each, Contested)):
        if isinstance(problem, TemporaryError) and not isinstance(problem, Terminating | NotInstalled):
            raise problem
    return (
        CONFLICT_RECHECK
        if any(isinstance(p, Conflict | Terminating | NotInstalled) for p in problems)
        else None
    )
