"""The limit on reverts: the operator does not fight another client at full speed over the children of a ShopService."""

from collections.abc import Callable
from typing import Final

from shop_operator.errors import Contested

REVERTS_AT_ONCE: Final = 10.0
_PAUSE: Final = 2.0


class RevertLimit:
    """The rate at which changes to the children of one ShopService are reverted: ten times at once, then once every two seconds.

    Args:
        clock: a steady clock in seconds.
        left: the number of reverts that are allowed at once.
    """

    def __init__(self, clock: Callable[[], float], left: float = REVERTS_AT_ONCE) -> None:
        self._clock = clock
        self._left = left
        self._at = clock()

    def spend(self, conflict: str) -> Contested | None:
        """Count one revert.

        Args:
            conflict: the message of the error, as a sentence.

        Returns:
            the error to report if no further revert is allowed for now.

        Raises:
            Contested: this revert is not allowed, because there were too many.
        """
        now = self._clock()
        self._left = min(REVERTS_AT_ONCE, self._left + (now - self._at) / _PAUSE)
        self._at = now
        contested = Contested(
            f"{conflict} The operator reverts this at most every {_PAUSE:.0f} s.", retry_after=_PAUSE
        )
        if self._left < 1:
            raise contested
        self._left -= 1
        return contested if self._left < 1 else None
