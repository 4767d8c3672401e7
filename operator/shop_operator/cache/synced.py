"""The kinds that the API server serves, and the initial LISTs of them. Pure."""

from collections.abc import Iterable

Place = tuple[str, str | None]
"""A kind in one namespace, or in all namespaces with None."""


class ServedKinds:
    """The kinds that the API server serves; all of them until it answers that it does not serve one.

    Args:
        kinds: the kinds that are listed.
    """

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = frozenset(kinds)
        self._missing: frozenset[str] = frozenset()

    def __call__(self) -> frozenset[str]:
        """The kinds that are served."""
        return self._kinds - self._missing

    def learn(self, kind: str, *, served: bool) -> bool:
        """Record whether a kind is served; returns whether that has changed."""
        before = self._missing
        self._missing = before - {kind} if served else before | {kind}
        return before != self._missing


class InitialLists:
    """The LISTs that must end before the caches are complete.

    Args:
        places: what is listed.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self._open = set(places)

    def end(self, kind: str, namespace: str | None) -> None:
        """Record that a LIST has ended."""
        self._open.discard((kind, namespace))

    def complete(self) -> bool:
        """Whether all of them have ended."""
        return not self._open
