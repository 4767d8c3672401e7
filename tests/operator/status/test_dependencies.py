"""Messages about dependencies, and the time limit for waiting on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.cache.dependency_cycles import DependencyCycles
from shop_operator.status.dependencies import Dependencies, dependencies

CREATED = "2026-01-01T00:00:00Z"
BORN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    depends_on: tuple[str, ...] = ()
    port: int = 8080
    available: bool = True


def of(name: str, shops: Mapping[str, Known]) -> Dependencies | None:
    circles = DependencyCycles()
    for each, known in shops.items():
        circles.change(each, known.depends_on)
    return dependencies(name, shops.get, circle=circles.of(name))


def test_given_a_shopservice_without_dependencies_then_no_dependency_state_is_reported() -> None:
    assert of("web", {"web": Known()}) is None
    assert of("web", {}) is None


def test_given_missing_and_unavailable_dependencies_then_the_message_names_all_of_them() -> None:
    found = of("web", {"web": Known(("a", "b", "c", "d")), "a": Known(available=False), "b": Known(port=80)})

    assert found is not None
    assert found.ports == {"a": 8080, "b": 80}
    assert (found.reason, found.satisfied) == ("Missing", False)
    assert found.message == (
        "ShopService c does not exist in this namespace. ShopService d does not exist in this namespace."
        " a is not available."
    )


def test_given_available_dependencies_then_the_shopservice_does_not_wait() -> None:
    found = of("web", {"web": Known(("a",)), "a": Known()})

    assert found is not None
    assert (found.reason, found.satisfied, found.wait(CREATED, BORN)) == ("Available", True, 0)
    assert found.message == "All dependencies are available."


@pytest.mark.parametrize(
    ("shops", "cycle"),
    [
        ({"web": Known(("web",))}, ("web", "web")),
        ({"web": Known(("a",)), "a": Known(("web",))}, ("web", "a", "web")),
        (
            {"web": Known(("x", "a")), "x": Known(), "a": Known(("b",)), "b": Known(("web", "a"))},
            ("web", "a", "b", "web"),
        ),
        # A cycle of others is theirs.
        ({"web": Known(("a",)), "a": Known(("b",)), "b": Known(("a",))}, ()),
    ],
)
def test_given_a_dependency_cycle_then_only_its_members_report_the_cycle(
    shops: dict[str, Known], cycle: tuple[str, ...]
) -> None:
    found = of("web", shops)

    assert found is not None
    assert found.cycle == cycle
    if cycle:
        assert found.reason == "Cycle"
        assert " → ".join(cycle) in found.message


@pytest.mark.parametrize(
    ("age", "wait"),
    [(0, 120), (30, 90), (120, 0), (1000, 0), (-1000, 120)],
)
def test_given_a_missing_dependency_when_clocks_differ_then_the_wait_stays_within_the_grace_period(
    age: int, wait: float
) -> None:
    found = Dependencies(ports={}, missing=("a",))

    assert found.wait(CREATED, BORN + timedelta(seconds=age)) == wait


NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.lists(NAMES, unique=True).map(lambda names: Known(tuple(names)))), NAMES)
def test_given_any_dependency_graph_then_the_search_ends_and_a_reported_cycle_is_a_closed_path(
    shops: dict[str, Known], name: str
) -> None:
    found = of(name, shops)

    if found is None or not found.cycle:
        return
    assert found.cycle[0] == found.cycle[-1] == name
    for here, there in zip(found.cycle, found.cycle[1:], strict=False):
        assert there in shops[here].depends_on
