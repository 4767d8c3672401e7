"""Which ShopServices of one namespace depend on each other in a circle, kept up to date change by change.

A circle is a strongly connected component of the graph of spec.dependsOn. It is remembered, so that a pass looks its
circle up, and a change wakes only those that were or are in a circle with what has changed.

What a change costs, V names and E edges being those of one namespace: nothing for a ShopService that depends on nothing or
that nothing depends on; otherwise one search from both sides, which ends with the smaller one; and O(V + E) inside a circle
that an edge was taken from.
"""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass
class _Search:
    """What can be reached from one name.

    Attributes:
        found: so far; the name itself only if there is a way back.
        visited: edges so far.
    """

    ways: Callable[[str], Iterable[str]]
    open: list[str]
    found: set[str] = field(default_factory=set)
    visited: int = 0

    def step(self) -> None:
        """Follow the edges of one name."""
        ways = set(self.ways(self.open.pop()))
        new = ways - self.found
        self.visited += len(ways)
        self.found |= new
        self.open += new


class Circles:
    """The graph of one namespace, and its circles.

    Attributes:
        visited: number of edges visited so far, for tests.
    """

    def __init__(self) -> None:
        self._ways: dict[str, tuple[str, ...]] = {}
        self._back: dict[str, set[str]] = {}
        self._of: dict[str, frozenset[str]] = {}
        self.visited = 0

    def __bool__(self) -> bool:
        """Whether anything depends on anything."""
        return bool(self._ways)

    def dependants(self, name: str) -> AbstractSet[str]:
        """Those that depend on a name, whether or not there is something of that name."""
        return self._back.get(name, _NOBODY)

    def of(self, name: str) -> frozenset[str]:
        """Everything that is in a circle with it, itself included; empty when it is in none."""
        return self._of.get(name, _NOBODY)

    def change(self, name: str, ways: tuple[str, ...]) -> frozenset[str]:
        """From now on it depends on these.

        Returns:
            the names whose circle, or whose ways through it, may be other ones than before.
        """
        before, after = set(self._ways.get(name, ())), set(ways)
        self._connect(name, ways, before, after)
        old = self.of(name)
        if old & (before - after):
            self._split(old)
        if self._closes(name, after - before):
            together = self._around(name)
            self._of |= dict.fromkeys(together, together)
        concerned = old | self.of(name)
        return concerned if concerned & (before ^ after) else _NOBODY

    def _connect(
        self, name: str, ways: tuple[str, ...], before: AbstractSet[str], after: AbstractSet[str]
    ) -> None:
        if ways:
            self._ways[name] = ways
        else:
            self._ways.pop(name, None)
        for each in before - after:
            self._back[each].discard(name)
            if not self._back[each]:
                del self._back[each]
        for each in after - before:
            self._back.setdefault(each, set()).add(name)

    def _closes(self, name: str, added: AbstractSet[str]) -> bool:
        """Whether new edges can close a circle."""
        return name in self._back and not added <= self.of(name) and any(each in self._ways for each in added)

    def _around(self, name: str) -> frozenset[str]:
        """Everything that is on a way from a name back to it."""
        forward = _Search(lambda each: self._ways.get(each, ()), [name])
        backward = _Search(self.dependants, [name])
        while forward.open and backward.open:
            min(forward, backward, key=lambda search: search.visited).step()
        self.visited += forward.visited + backward.visited
        first, ways = (backward, forward.ways) if forward.open else (forward, backward.ways)
        if name not in first.found:
            return _NOBODY
        # All that leads from one end to the other is inside of what the first search has found.
        rest = _Search(lambda each: first.found.intersection(ways(each)), [name])
        while rest.open:
            rest.step()
        self.visited += rest.visited
        return frozenset(rest.found)

    def _split(self, members: frozenset[str]) -> None:
        """Find the circles that are left of one."""
        for each in members:
            del self._of[each]
        for part in self._components(members):
            if len(part) > 1 or part <= set(self._ways.get(min(part), ())):
                self._of |= dict.fromkeys(part, part)

    def _components(self, members: frozenset[str]) -> Iterator[frozenset[str]]:
        """The strongly connected components of a part of the graph (Tarjan, 1972; without recursion)."""
        number: dict[str, int] = {}
        lowest: dict[str, int] = {}
        stack: list[str] = []
        done: set[str] = set()
        for root in members:
            path: list[tuple[str, Iterator[str]]] = []
            if root not in number:
                path.append(self._entered(root, number, lowest, stack))
            while path:
                name, ways = path[-1]
                each = next(ways, None)
                if each is None:
                    path.pop()
                    if path:
                        above = path[-1][0]
                        lowest[above] = min(lowest[above], lowest[name])
                    if lowest[name] == number[name]:
                        part = frozenset(_popped(stack, name))
                        done |= part
                        yield part
                elif each in members and each not in number:
                    path.append(self._entered(each, number, lowest, stack))
                elif each in members and each not in done:
                    lowest[name] = min(lowest[name], number[each])

    def _entered(
        self, name: str, number: dict[str, int], lowest: dict[str, int], stack: list[str]
    ) -> tuple[str, Iterator[str]]:
        ways = self._ways.get(name, ())
        self.visited += len(ways)
        number[name] = lowest[name] = len(number)
        stack.append(name)
        return name, iter(ways)


def _popped(stack: list[str], last: str) -> Iterator[str]:
    each = None
    while each != last:
        each = stack.pop()
        yield each
