"""What a ShopService depends on, as far as the cluster has it: a pure look at the other ShopServices."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from shop_operator.suggestions import suggestions
from shop_operator.wording import listed

GRACE: Final = timedelta(seconds=120)
"""How long the first pods of a ShopService wait for its dependencies. It starts without them after that: a service must
come up again by itself when everything is started at once and something is slow."""
# So many names of a circle are tried for a way through it.
_MOST_TRIED: Final = 256


class Known(Protocol):
    """cache.snapshot.Shop."""

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
        cycle: the way from this ShopService back to itself, empty when there is none; "…" stands for what is too long to tell.
        similar: for a name that is missing, the existing one that is most like it; for the first few of them.
    """

    ports: Mapping[str, int]
    missing: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()
    cycle: tuple[str, ...] = ()
    similar: Mapping[str, str] = field(default_factory=dict)

    @property
    def impossible(self) -> bool:
        """Whether waiting cannot help: only a change of a spec, or a ShopService that has to be created."""
        return bool(self.missing or self.cycle)

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
        """Seconds that the first pods have to wait yet, unless the dependencies are there before; 0 for not at all."""
        if self.cycle or not (self.missing or self.unavailable):
            return 0.0
        left = datetime.fromisoformat(created) + GRACE - now
        # A clock that is behind the API server's must not make it longer.
        return min(max(left.total_seconds(), 0.0), GRACE.total_seconds())


def dependencies(
    name: str,
    find: Callable[[str], Known | None],
    names: Callable[[], Iterable[str]] = tuple,
    circle: AbstractSet[str] = frozenset(),
) -> Dependencies | None:
    """What is to be said about the dependencies of one ShopService, None when it has none.

    Args:
        name: of the ShopService.
        find: the ShopService of a name, in the same namespace.
        names: of the ShopServices of the namespace; only asked when one is missing.
        circle: those that depend on each other in a circle with it, itself included; see circles.py.
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
    """A shortest way through the circle, each name visited once."""
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
    """The time, in UTC."""
    return datetime.now(UTC)
