"""Differences between lists of rules of a NetworkPolicy."""

from typing import Any

import pytest

from shop_operator.objects.network_rules import beyond, only, shopservice, shopservices


def named(*names: str) -> dict[str, Any]:
    among = {"key": "shopservice.dev/name", "operator": "In", "values": list(names)}
    return {"podSelector": {"matchExpressions": [among]}}


def pods(name: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {"shopservice.dev/name": name}}}


def namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def rule(*peers: dict[str, Any], ports: tuple[int, ...] = (8080,)) -> dict[str, Any]:
    return {"from": list(peers), "ports": [{"protocol": "TCP", "port": each} for each in ports]}


@pytest.mark.parametrize(
    ("old", "new", "more"),
    [
        ([], [], []),
        ([rule(named("a"))], [rule(named("a", "b"))], []),
        ([rule(named("a", "b"))], [rule(named("b"))], [rule(pods("a"))]),
        ([rule(named("a"), namespace("x"))], [rule(namespace("x"))], [rule(pods("a"))]),
        # A rule with one port less is narrower for all peers.
        (
            [rule(namespace("x"), ports=(1, 2))],
            [rule(namespace("x"), ports=(2,))],
            [rule(namespace("x"), ports=(1, 2))],
        ),
        # Rules without peers or ports apply to all of them.
        ([rule(namespace("x"))], [{}], []),
        ([rule(namespace("x"))], [{"ports": [{"port": 8080}]}], []),
        ([rule(namespace("x"))], [{"from": [namespace("x")]}], []),
        ([{}], [rule(namespace("x"))], [{}]),
        # A connection of two earlier rules appears once.
        ([rule(namespace("x")), rule(namespace("x"))], [], [rule(namespace("x"))]),
        # The API server defaults the protocol.
        ([rule(namespace("x"))], [{"from": [namespace("x")], "ports": [{"port": 8080}]}], []),
        (
            [{"from": [namespace("x")], "ports": [{"protocol": "UDP", "port": 8080}]}],
            [rule(namespace("x"))],
            [{"from": [namespace("x")], "ports": [{"protocol": "UDP", "port": 8080}]}],
        ),
    ],
)
def test_given_two_lists_of_rules_then_the_difference_is_returned_as_rules(
    old: list[dict[str, Any]], new: list[dict[str, Any]], more: list[dict[str, Any]]
) -> None:
    assert beyond("ingress", old, new) == more
    # With the found rules, no connection is missing, and a repeated call returns the same rules.
    assert beyond("ingress", old, [*new, *more]) == []
    assert beyond("ingress", [*new, *more], new) == more


def test_given_a_hundred_former_rules_then_32_are_kept() -> None:
    assert len(beyond("ingress", [rule(namespace(str(n))) for n in range(100)], [])) == 32


def test_given_rules_with_needed_peers_then_only_those_peers_stay_and_unrestricted_rules_go() -> None:
    rules = [rule(pods("a"), namespace("x")), {}]

    assert only("ingress", rules, lambda peer: shopservice(peer) == "a") == [rule(pods("a"))]
    assert only("ingress", rules, lambda _: False) == []


def test_given_a_peer_then_it_counts_as_a_shopservice_only_if_it_selects_exactly_its_pods() -> None:
    labels = {"shopservice.dev/name": "a", "app.kubernetes.io/component": "web"}

    assert shopservice(pods("a")) == "a"
    assert shopservice({"podSelector": {"matchLabels": labels}}) == ""
    assert shopservice({**pods("a"), **namespace("x")}) == ""
    assert shopservices([rule(named("a", "b"), pods("c"), namespace("x")), {}], "ingress") == {"a", "b", "c"}
