"""The assignment of rules to HTTPRoutes, and the names of these.

Gateway policies are attached to an HTTPRoute by its name, and a gateway takes a while to accept a new HTTPRoute. An HTTPRoute
therefore keeps its name while its host names or rules change, and a rule stays in its HTTPRoute: both are read from the live
HTTPRoutes. Without live HTTPRoutes, the names depend on the order of the groups: the first HTTPRoute has the name of the ShopService,
and the others have the suffixes `-routes-2`, `-routes-3` and so on.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.api.v1alpha1.scalars import LABEL_LENGTH
from shop_operator.objects.summary.http_route import LiveRoute, rule_id

MOST_RULES: Final = 16
MOST_MATCHES: Final = 128
"""The maxima of one HTTPRoute in the Gateway API."""


@dataclass(frozen=True)
class Group:
    """The rules of one set of host names.

    Args:
        hostnames: sorted; empty for all host names of the Gateway's listener.
        rules: the rules in the form of an HTTPRoute.
    """

    hostnames: tuple[str, ...]
    rules: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Placed:
    """One HTTPRoute.

    Args:
        name: its name.
        hostnames: sorted.
        rules: at most MOST_RULES, with at most MOST_MATCHES matches.
    """

    name: str
    hostnames: tuple[str, ...]
    rules: list[dict[str, Any]]


def placed(name: str, groups: Sequence[Group], live: Mapping[str, LiveRoute]) -> list[Placed]:
    """The HTTPRoutes for the groups.

    Args:
        name: the name of the ShopService.
        groups: the groups in their order.
        live: the live HTTPRoutes of the ShopService, by name.
    """
    kept = _kept(groups, live)
    taken = {each for names in kept for each in names}
    fresh = (each for each in _names(name) if each not in taken)
    found: list[Placed] = []
    for group, names in zip(groups, kept, strict=True):
        found += _spread(group, names, live, fresh)
    return found


def _names(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        suffix = f"-routes-{number}"
        if len(name) + len(suffix) > LABEL_LENGTH:
            suffix = f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}{suffix}"
        yield name[: LABEL_LENGTH - len(suffix)] + suffix
        number += 1


def _kept(groups: Sequence[Group], live: Mapping[str, LiveRoute]) -> list[list[str]]:
    """The live HTTPRoutes that each group keeps: those with its host names, otherwise those that share the most host names or rules with it."""
    free: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(live, key=lambda each: (len(each), each)):
        free.setdefault(live[name].hostnames, []).append(name)
    kept = [free.pop(group.hostnames, []) for group in groups]
    for index, group in enumerate(groups):
        if kept[index] or not free:
            continue
        likeness = {
            hostnames: _likeness(group, hostnames, [live[name] for name in names])
            for hostnames, names in free.items()
        }
        nearest = max(free, key=likeness.__getitem__)
        if any(likeness[nearest]):
            kept[index] = free.pop(nearest)
    return kept


def _likeness(group: Group, hostnames: tuple[str, ...], there: Sequence[LiveRoute]) -> tuple[int, int]:
    """The numbers of host names and of rules that a group shares with live HTTPRoutes."""
    rules = {rule_id(rule) for rule in group.rules}
    return len({*hostnames} & {*group.hostnames}), len(
        rules & {rule for each in there for rule in each.rules}
    )


def _spread(
    group: Group, names: Sequence[str], live: Mapping[str, LiveRoute], fresh: Iterator[str]
) -> Iterator[Placed]:
    """The HTTPRoutes of one group: a rule stays in its HTTPRoute, and a new rule is added to one with room."""
    chunks = [_Chunk(name, live[name].rules) for name in names]
    homeless = [rule for rule in group.rules if not any(each.takes_back(rule) for each in chunks)]
    for rule in homeless:
        if not any(each.takes(rule) for each in chunks):
            name = next(fresh)
            chunks.append(_Chunk(name, live[name].rules if name in live else ()))
            chunks[-1].takes(rule)
    chunks.sort(key=lambda each: (len(each.name), each.name))
    for each, rules in zip(chunks, _dealt(group.rules, chunks), strict=True):
        if rules:
            yield Placed(each.name, group.hostnames, rules)


def _dealt(rules: Sequence[dict[str, Any]], chunks: "Sequence[_Chunk]") -> Iterator[list[dict[str, Any]]]:
    """The rules of each HTTPRoute, in an order that the next rendering reproduces.

    Live rules with the same matches are not distinguishable, so they are assigned in their order.
    """
    alike: dict[str, list[int]] = {}
    for index, rule in enumerate(rules):
        alike.setdefault(rule_id(rule), []).append(index)
    first = {identity: indexes[0] for identity, indexes in alike.items()}
    for chunk in chunks:
        dealt = [(first[identity], alike[identity].pop(0)) for identity in map(rule_id, chunk.rules)]
        yield [rules[index] for _, index in sorted(dealt)]


class _Chunk:
    """An HTTPRoute that is being filled."""

    def __init__(self, name: str, there: Sequence[str]) -> None:
        self.name = name
        self.rules: list[dict[str, Any]] = []
        self._there = list(there)
        self._matches = 0

    def takes_back(self, rule: dict[str, Any]) -> bool:
        """Keep a rule of the live HTTPRoute."""
        identity = rule_id(rule)
        if identity not in self._there or not self.takes(rule):
            return False
        self._there.remove(identity)
        return True

    def takes(self, rule: dict[str, Any]) -> bool:
        """Add a rule if the HTTPRoute has room."""
        matches = self._matches + len(rule["matches"])
        if len(self.rules) == MOST_RULES or matches > MOST_MATCHES:
            return False
        self.rules.append(rule)
        self._matches = matches
        return True
