"""DependencyCycles of dependencies: the right ones after any changes, at a cost that a large net does not blow up."""

import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shop_operator.cache.dependency_cycles import DependencyCycles
from shop_operator.cache.snapshot import Shop
from shop_operator.cache.store import Store
from shop_operator.names import Key
from shop_operator.status.dependencies import Dependencies, dependencies

NAMES = st.sampled_from("abcdefg")
CHANGES = st.lists(st.tuples(NAMES, st.frozensets(NAMES, max_size=4).map(lambda names: tuple(sorted(names)))))

SHOPS, EACH = 3_000, 64
EDGES = SHOPS * EACH


def reached(graph: Mapping[str, tuple[str, ...]], start: str) -> set[str]:
    found: set[str] = set()
    ways = [start]
    while ways:
        new = set(graph.get(ways.pop(), ())) - found
        found |= new
        ways += new
    return found


def circle(graph: Mapping[str, tuple[str, ...]], name: str) -> set[str]:
    return {each for each in reached(graph, name) if name in reached(graph, each)}


@given(CHANGES)
def test_given_any_changes_then_the_dependency_cycles_are_those_of_the_graph(
    changes: list[tuple[str, tuple[str, ...]]],
) -> None:
    circles, graph = DependencyCycles(), dict[str, tuple[str, ...]]()
    for name, ways in changes:
        before = {each: circle(graph, each) for each in "abcdefg"}
        graph[name] = ways

        concerned = circles.change(name, ways)

        now = {each: circle(graph, each) for each in "abcdefg"}
        assert {each: circles.of(each) for each in now} == now
        assert {each for each in now if now[each] != before[each]} <= concerned
        assert concerned <= before[name] | now[name]
        dependants = {each: {other for other, on in graph.items() if each in on} for each in now}
        assert {each: circles.dependants(each) for each in now} == dependants
    assert bool(circles) == any(graph.values())


def net() -> dict[str, tuple[str, ...]]:
    """Everyone depends on 64 of those before it: as many edges as there can be, and no circle."""
    chosen = random.Random(1)  # noqa: S311  a net for a test
    names = [f"s{n:04}" for n in range(SHOPS)]
    return {
        name: tuple(chosen.sample(names[max(0, n - 200) : n], min(EACH, n))) for n, name in enumerate(names)
    }


def listed(name: str, version: int, on: tuple[str, ...]) -> dict[str, Any]:
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {
            "namespace": "ns",
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
        },
        "spec": {"image": "a:1", "dependsOn": list(on)},
    }


class Asked:
    """The ShopServices of a store, and which of them were asked for."""

    def __init__(self, ways: Mapping[str, tuple[str, ...]]) -> None:
        self.store = Store()
        self.names: list[str] = []
        for version, (name, on) in enumerate(ways.items(), 1):
            self.store.put(listed(name, version, on))

    def find(self, name: str) -> Shop | None:
        self.names.append(name)
        return self.store.shop(Key("ns", name))

    def dependencies(self, name: str) -> Dependencies | None:
        return dependencies(name, self.find, circle=self.store.cycle(Key("ns", name)))


def test_given_a_large_graph_without_cycles_when_one_node_changes_then_each_edge_is_visited_at_most_twice() -> (
    None
):
    circles = DependencyCycles()
    for name, on in net().items():
        circles.change(name, on)

    for middle in ("s0000", "s0100", "s1500", "s2999"):
        before = circles.visited
        concerned = circles.change(middle, (*net()[middle][1:], "new"))

        assert concerned == frozenset()
        assert circles.visited - before <= 2 * EDGES


def test_given_a_graph_listed_in_order_then_no_edge_is_visited() -> None:
    circles = DependencyCycles()
    for name, on in net().items():
        circles.change(name, on)

    assert circles.visited == 0


def test_given_a_large_graph_when_a_pass_reads_dependencies_then_only_the_direct_ones_are_looked_up() -> None:
    whole = net()
    asked = Asked(whole)

    found = asked.dependencies("s2999")

    assert found is not None
    assert found.cycle == ()
    assert len(asked.names) == EACH + 1
    woken = asked.store.put(listed("s1500", SHOPS + 1, (*whole["s1500"][1:], "s0000")))
    assert woken <= {Key("ns", name) for name in ("s1500", "s0000", whole["s1500"][0])}


def test_given_a_cycle_through_a_large_graph_when_it_closes_and_opens_then_each_edge_costs_few_visits() -> (
    None
):
    circles, whole = DependencyCycles(), net()
    for name, on in whole.items():
        circles.change(name, on)

    before = circles.visited
    concerned = circles.change("s0000", ("s2999",))
    assert concerned == reached(whole, "s2999") | {"s2999"}
    assert circles.visited - before <= 3 * EDGES

    before = circles.visited
    assert circles.change("s0000", ()) == concerned
    assert circles.of("s2999") == frozenset()
    assert circles.visited - before <= 2 * EDGES


def test_given_a_large_cycle_then_the_search_for_its_path_is_bounded() -> None:
    ring = [f"r{n:04}" for n in range(SHOPS)]
    asked = Asked({name: (on,) for name, on in zip(ring, [*ring[1:], ring[0]], strict=True)})

    found = asked.dependencies("r0000")

    assert found is not None
    assert found.message.startswith("r0000 → … → r0000: circular dependency")
    assert len(asked.names) <= 300


def test_given_many_missing_dependencies_then_only_the_first_three_get_a_suggestion() -> None:
    store = Store()
    store.put(listed("web", 1, tuple(f"product-{n:02}" for n in range(EACH))))
    store.put(listed("product", 2, ()))

    found = dependencies("web", lambda name: store.shop(Key("ns", name)), lambda: store.names("ns"))

    assert found is not None
    assert len(found.missing) == EACH
    assert len(found.similar) == 3
