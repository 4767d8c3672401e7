"""What a ShopService depends on, as far as the cluster has it: a pure look at the other ShopServices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

GRACE: Final = timedelta(seconds=120)
"""How long the first pods of a ShopService wait for its dependencies. It starts without them after that: a service must
come up again by itself when everything is started at once and something is slow."""


class Known(Protocol):
    """store.Shop."""

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The names in its own spec.dependsOn."""

    @property
    def port(self) -> int:
        """Where it answers."""

    @property
    def available(self) -> bool:
        """Whether its status says so."""


@dataclass(frozen=True)
class Dependencies:
    """The dependencies of one ShopService.

    Args:
        ports: where each that exists answers.
        missing: those that do not exist.
        unavailable: those that exist and are not available.
        cycle: the way from this ShopService back to itself, empty when there is none.
    """

    ports: Mapping[str, int]
    missing: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()
    cycle: tuple[str, ...] = ()

    @property
    def satisfied(self) -> bool:
        """Whether there is nothing to say about them."""
        return not (self.missing or self.unavailable or self.cycle)

    @property
    def reason(self) -> str:
        """The worst of it, in one word."""
        if self.cycle:
            return "Cycle"
        if self.missing:
            return "Missing"
        return "Unavailable" if self.unavailable else "Available"

    @property
    def message(self) -> str:
        """All of it, in sentences."""
        said = []
        if self.cycle:
            said.append(
                f"{' → '.join(self.cycle)}: they depend on each other, so that none waits for another."
            )
        if self.missing:
            said.append(f"There is no ShopService {_listed(self.missing)} in this namespace.")
        if self.unavailable:
            said.append(
                f"{_listed(self.unavailable)} {'is' if len(self.unavailable) == 1 else 'are'} not available."
            )
        return " ".join(said) or "All dependencies are available."

    def wait(self, created: str, now: datetime) -> float:
        """Seconds that the first pods have to wait yet, unless the dependencies are there before; 0 for not at all."""
        if self.cycle or not (self.missing or self.unavailable):
            return 0.0
        left = datetime.fromisoformat(created) + GRACE - now
        # A clock that is behind the API server's must not make it longer.
        return min(max(left.total_seconds(), 0.0), GRACE.total_seconds())


def dependencies(name: str, find: Callable[[str], Known | None]) -> Dependencies | None:
    """What is to be said about the dependencies of one ShopService, None when it has none.

    Args:
        name: of the ShopService.
        find: the ShopService of a name, in the same namespace.
    """
    itself = find(name)
    if itself is None or not itself.depends_on:
        return None
    found = {each: find(each) for each in itself.depends_on}
    return Dependencies(
        ports={each: known.port for each, known in found.items() if known is not None},
        missing=tuple(each for each, known in found.items() if known is None),
        unavailable=tuple(each for each, known in found.items() if known is not None and not known.available),
        cycle=_cycle(name, find),
    )


def _cycle(name: str, find: Callable[[str], Known | None]) -> tuple[str, ...]:
    """A shortest way back, each name visited once."""
    came_from: dict[str, str] = {}
    ways = [name]
    while ways:
        here = ways.pop(0)
        known = find(here)
        for each in known.depends_on if known else ():
            if each == name:
                way = [name, here]
                while way[-1] != name:
                    way.append(came_from[way[-1]])
                return tuple(reversed(way)) if here != name else (name, name)
            if each not in came_from:
                came_from[each] = here
                ways.append(each)
    return ()


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def created(obj: Mapping[str, Any]) -> str:
    """When an object was created, as RFC 3339; the API server always says so."""
    text: str = obj["metadata"].get("creationTimestamp", "1970-01-01T00:00:00Z")
    return text
