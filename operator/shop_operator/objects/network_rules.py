"""The rules of a NetworkPolicy as sets of connections, and the difference between two lists of rules. Pure.

A rule allows all of its peers on all of its ports. A peer that selects several ShopServices by name counts as one peer per name,
so that a rule without one of the names differs only by that name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import orjson

from shop_operator.names import NAME_LABEL
from shop_operator.objects.lenient import mapping, mappings, text, texts

Rule = Mapping[str, Any]
Rules = Mapping[str, Sequence[Rule]]
"""The rules of both directions, by the name of their field in a NetworkPolicy."""
Direction = Literal["ingress", "egress"]

PEERS: Final[Mapping[Direction, str]] = {"ingress": "from", "egress": "to"}
_ANY: Final = b""
# Limits the earlier rules of one direction, so that a NetworkPolicy does not grow with every failed release.
_MOST: Final = 32


def beyond(direction: Direction, old: Iterable[Rule], new: Iterable[Rule]) -> list[dict[str, Any]]:
    """Rules for the connections that the old rules allow and the new rules do not."""
    side = PEERS[direction]
    allowed = {each for rule in new for each in _connections(rule, side)}
    found: list[dict[str, Any]] = []
    for rule in old:
        ports = _ports(rule)
        left = [
            peer
            for peer in _peers(rule, side)
            if any(not _among((_key(peer), port), allowed) for port in ports)
        ]
        if left:
            kept = {**rule, side: left} if None not in left else {**rule}
            found.append(kept)
            allowed |= set(_connections(kept, side))
    return found[:_MOST]


def only(direction: Direction, rules: Iterable[Rule], needed: Callable[[Rule], bool]) -> list[dict[str, Any]]:
    """The rules without the peers that are not needed, and without rules that allow every peer."""
    side = PEERS[direction]
    found = ({**rule, side: [each for each in rule.get(side, ()) if needed(each)]} for rule in rules)
    return [rule for rule in found if rule[side]]


def between(direction: Direction, names: Iterable[str], ports: Iterable[int]) -> dict[str, Any]:
    """A rule that allows the pods of ShopServices on these ports."""
    return {
        PEERS[direction]: [_pods(name) for name in names],
        "ports": [{"protocol": "TCP", "port": port} for port in sorted(ports)],
    }


def shopservice(peer: Rule) -> str:
    """The name of the ShopService whose pods a peer selects, empty for any other peer."""
    labels = mapping(mapping(peer.get("podSelector")).get("matchLabels"))
    return text(labels.get(NAME_LABEL)) if peer == _pods(text(labels.get(NAME_LABEL))) else ""


def shopservices(rules: Iterable[Rule], direction: Direction) -> frozenset[str]:
    """The names of the ShopServices whose pods are peers of these rules."""
    peers = (peer for rule in rules for peer in _peers(rule, PEERS[direction]) if peer is not None)
    return frozenset(filter(None, map(shopservice, peers)))


def _pods(name: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {NAME_LABEL: name}}}


def _connections(rule: Rule, side: str) -> Iterator[tuple[bytes, bytes]]:
    ports = _ports(rule)
    for peer in _peers(rule, side):
        for port in ports:
            yield _key(peer), port


def _among(connection: tuple[bytes, bytes], allowed: set[tuple[bytes, bytes]]) -> bool:
    peer, port = connection
    return not allowed.isdisjoint({connection, (_ANY, port), (peer, _ANY), (_ANY, _ANY)})


def _peers(rule: Rule, side: str) -> list[Rule | None]:
    """The peers of a rule; None stands for every peer."""
    found: list[Rule | None] = [one for peer in mappings(rule.get(side)) for one in _each(peer)]
    return found or [None]


def _each(peer: Rule) -> list[Rule]:
    chosen = mappings(mapping(peer.get("podSelector")).get("matchExpressions"))
    names = texts(chosen[0].get("values")) if len(chosen) == 1 else []
    among = {"key": NAME_LABEL, "operator": "In", "values": names}
    if names and peer == {"podSelector": {"matchExpressions": [among]}}:
        return [_pods(name) for name in names]
    return [peer]


def _ports(rule: Rule) -> list[bytes]:
    # The API server defaults the protocol to TCP.
    return [_key({"protocol": "TCP", **each}) for each in mappings(rule.get("ports"))] or [_ANY]


def _key(value: Rule | None) -> bytes:
    return _ANY if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
