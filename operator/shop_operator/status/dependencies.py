"""The dependencies of a ShopService, and whether the cluster has them. Pure."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from shop_operator.suggestions import suggestions
from shop_operator.wording import listed

GRACE: Final = timedelta(seconds=120)
"""The time for which the first pods of a ShopService wait for its dependencies. They then start without them: if all services
start at once and one is slow, the others must recover without intervention."""
# The number of names of a circle that are tried for a path through it.
_MOST_TRIED: Final = 256


class Known(Protocol):
    """One ShopService of the namespace; cache.snapshot.Shop."""

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The names in its spec.dependsOn."""

    @property
    def port(self) -> int:
        """The port of its Service."""

    @property
    def available(self) -> bool:
        """Whether its condition Available is true."""


@dataclass(frozen=True)
class Dependencies:
    """The dependencies of one ShopService.

    Args:
        ports: the port of each dependency that exists.
        missing: the dependencies that do not exist.
        unavailable: the dependencies that exist and are not available.
        cycle: the path from this ShopService back to itself; empty without one; "…" replaces a path that is too long.
        similar: the most similar existing name for each of the first few missing names.
    """

    ports: Mapping[str, int]
    missing: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()
    cycle: tuple[str, ...] = ()
    similar: Mapping[str, str] = field(default_factory=dict)

    @property
    def impossible(self) -> bool:
        """Whether waiting does not help: a spec must change, or a ShopService must be created."""
        return bool(self.missing or self.cycle)

    @property
    def satisfied(self) -> bool:
        """Whether all are available, without a cycle."""
        return not (self.missing or self.unavailable or self.cycle)

    @property
    def reason(self) -> str:
        """The reason of the condition DependenciesReady: the worst of all."""
        if self.cycle:
            return "Cycle"
        if self.missing:
            return "Missing"
        return "Unavailable" if self.unavailable else "Available"

    @property
    def message(self) -> str:
        """The message of the condition DependenciesReady, in sentences."""
        said = []
        if self.cycle:
            said.append(f"{' → '.join(self.cycle)}: circular dependency; start order is not enforced.")
        said += [self._missing(each) for each in self.missing]
        if self.unavailable:
            verb = "is" if len(self.unavailable) == 1 else "are"
            said.append(f"{listed(self.unavailable)} {verb} not available.")
        return " ".join(said) or "All dependencies are available."

    def _missing(self, name: str) -> str:
        hint = f"; did you mean {self.similar[name]}?" if name in self.similar else "."
        return f"ShopService {name} does not exist in this namespace{hint}"

    def wait(self, created: str, now: datetime) -> float:
        """Seconds that the first pods still wait, unless the dependencies become available earlier; 0 if they start now."""
        if self.cycle or not (self.missing or self.unavailable):
            return 0.0
        left = datetime.fromisoformat(created) + GRACE - now
        # The clock may be behind that of the API server, which must not extend the wait.
        return min(max(left.total_seconds(), 0.0), GRACE.total_seconds())


def dependencies(
    name: str,
    find: Callable[[str], Known | None],
    names: Callable[[], Iterable[str]] = tuple,
    circle: AbstractSet[str] = frozenset(),
) -> Dependencies | None:
    """The dependencies of one ShopService; None without any.

    Args:
        name: the name of the ShopService.
        find: returns the ShopService of a name in the same namespace.
        names: returns the names of all ShopServices of the namespace; called only if a dependency is missing.
        circle: the ShopServices that form a dependency cycle with it, including itself (cache/dependency_cycles.py).
    """
    itself = find(name)
    if itself is None or not itself.depends_on:
        return None
    found = {each: find(each) for each in itself.depends_on}
    missing = tuple(each for each, known in found.items() if known is None)
    return Dependencies(
        ports={each: known.port for each, known in found.items() if known is not None},
        missing=missing,
        unavailable=tuple(each for each, known in found.items() if known is not None and not known.available),
        cycle=_way(name, find, circle) if name in circle else (),
        similar=suggestions(missing, (each for each in names() if each != name)) if missing else {},
    )


def _way(name: str, find: Callable[[str], Known | None], circle: AbstractSet[str]) -> tuple[str, ...]:
    """A shortest path through the circle that visits each name once."""
    came_from: dict[str, str] = {}
    ways = deque([name])
    for _ in range(_MOST_TRIED):
        here = ways.popleft()
        known = find(here)
        for each in known.depends_on if known else ():
            if each == name:
                way = [name, here]
                while way[-1] != name:
                    way.append(came_from[way[-1]])
                return tuple(reversed(way)) if here != name else (name, name)
            if each in circle and each not in came_from:
                came_from[each] = here
                ways.append(each)
        if not ways:
            break
    return (name, "…", name)


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)
