"""Facts and the time since which they hold, as far as this process has observed it. Pure."""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Fact = TypeVar("Fact", bound=Hashable)


class Lasting(Generic[Fact]):
    """Facts that hold now, with the times at which they were first observed."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: dict[Fact, float] = {}

    def see(
        self, facts: Iterable[Fact], now: float, patience: float, *, known: Iterable[Fact] = ()
    ) -> tuple[frozenset[Fact], float | None]:
        """Forget the facts that no longer hold.

        Args:
            facts: the facts that hold now.
            now: the time of a steady clock, in seconds.
            patience: seconds for which a fact must hold.
            known: facts that an earlier process has observed for that long.

        Returns:
            the facts that have held for that long, and the seconds until another fact may have.
        """
        lasted = {fact: float("-inf") for fact in known}
        self._since = {fact: self._since.get(fact, lasted.get(fact, now)) for fact in facts}
        left = {fact: since + patience - now for fact, since in self._since.items()}
        later = [seconds for seconds in left.values() if seconds > 0]
        return frozenset(fact for fact, seconds in left.items() if seconds <= 0), min(later, default=None)
