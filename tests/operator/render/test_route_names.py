"""An HTTPRoute keeps its name, and a rule stays in its HTTPRoute, while others are added and removed."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.objects.summary import summary
from shop_operator.objects.summary.http_route import LiveRoute
from shop_operator.render import Surroundings, render
from shop_operator.render.route_names import MOST_MATCHES, MOST_RULES

Route = dict[str, Any]
Routes = Mapping[str, Mapping[str, Any]]


PREFIX: Route = {
    "type": "URLRewrite",
    "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
}


def httproutes(routes: Sequence[Route], live: Routes | None = None, name: str = "web") -> dict[str, Any]:
    """The specs of the HTTPRoutes by name, in the order in which they are applied.

    Args:
        routes: the routes of the ShopService.
        live: the live HTTPRoutes, as an earlier call returned them.
        name: the name of the ShopService.
    """
    document = {"image": "web:1", "gateway": {"name": "public"}, "routes": list(routes)}
    shop = ShopService(name=name, namespace="shop", uid="u", generation=1, document=document)
    known = {
        each: LiveRoute.of(summary({"kind": "HTTPRoute", "metadata": {"name": each}, "spec": spec}))
        for each, spec in (live or {}).items()
    }
    children = render(shop, live=None, around=Surroundings(routes=known))
    return {child["metadata"]["name"]: child["spec"] for child in children if child["kind"] == "HTTPRoute"}


def paths(routes: Routes) -> dict[str, list[str]]:
    """The paths of each HTTPRoute."""
    return {
        name: [rule["matches"][0]["path"]["value"] for rule in spec["rules"]] for name, spec in routes.items()
    }


def route(path: str, *hostnames: str) -> Route:
    return {"path": path, **({"hostnames": list(hostnames)} if hostnames else {})}


def legacy(*hostnames: str) -> str:
    """The name that earlier releases gave an HTTPRoute with host names."""
    return f"web-{hashlib.sha256(','.join(('web', *hostnames)).encode()).hexdigest()[:8]}"


def test_given_any_host_names_then_the_first_httproute_has_the_name_of_the_shopservice() -> None:
    assert list(httproutes([route("/")])) == ["web"]
    assert list(httproutes([route("/", "a.example")])) == ["web"]
    assert list(httproutes([route("/", "a.example"), route("/", "b.example")])) == ["web", "web-routes-2"]


@pytest.mark.parametrize(
    "after",
    [
        [route("/", "a.example", "b.example")],
        [route("/", "b.example")],
        [route("/")],
        [route("/new", "a.example")],
        [route("/new", "c.example")],
    ],
)
def test_given_one_httproute_when_its_host_names_or_paths_change_then_it_keeps_its_name(
    after: list[Route],
) -> None:
    live = httproutes([route("/", "a.example")])

    assert list(httproutes(after, live)) == ["web"]


def test_given_two_sets_of_host_names_when_the_first_is_removed_then_the_other_keeps_its_name() -> None:
    live = httproutes([route("/", "a.example"), route("/", "b.example")])

    assert list(httproutes([route("/", "b.example")], live)) == ["web-routes-2"]


def test_given_two_sets_of_host_names_when_their_order_changes_then_they_keep_their_names() -> None:
    live = httproutes([route("/", "a.example"), route("/", "b.example")])

    turned = httproutes([route("/", "b.example"), route("/", "c.example"), route("/", "a.example")], live)

    assert {name: spec["hostnames"] for name, spec in turned.items()} == {
        "web": ["a.example"],
        "web-routes-2": ["b.example"],
        "web-routes-3": ["c.example"],
    }


def test_given_an_httproute_of_an_earlier_release_then_it_keeps_its_name_also_when_a_host_name_is_added() -> (
    None
):
    name = legacy("a.example")
    live = {name: httproutes([route("/", "a.example")])["web"]}

    assert list(httproutes([route("/", "a.example")], live)) == [name]
    assert list(httproutes([route("/", "a.example", "b.example")], live)) == [name]


def test_given_a_new_httproute_then_it_precedes_the_one_that_loses_a_rule_to_it() -> None:
    live = httproutes([route("/1"), route("/2")])

    after = httproutes([route("/1"), route("/2", "b.example")], live)

    assert paths(after) == {"web-routes-2": ["/2"], "web": ["/1"]}
    assert list(after) == ["web-routes-2", "web"]


def test_given_more_rules_than_the_maximum_when_one_is_added_or_removed_then_no_other_moves() -> None:
    before = [route(f"/{number}") for number in range(20)]
    live = httproutes(before)
    assert {name: len(rules) for name, rules in paths(live).items()} == {"web": 16, "web-routes-2": 4}

    with_first = httproutes([route("/first"), *before], live)
    without_first = httproutes(before[1:], live)

    assert paths(with_first) == {
        "web": paths(live)["web"],
        "web-routes-2": ["/first", *paths(live)["web-routes-2"]],
    }
    assert paths(without_first) == {
        "web": paths(live)["web"][1:],
        "web-routes-2": paths(live)["web-routes-2"],
    }


def test_given_a_rule_when_only_its_action_changes_then_it_stays_in_its_httproute() -> None:
    before = [route(f"/{number}") for number in range(20)]
    live = httproutes(before)

    after = httproutes([before[19] | {"timeouts": {"request": "1s"}}, *before[:19]], live)

    assert {name: sorted(found) for name, found in paths(after).items()} == {
        name: sorted(found) for name, found in paths(live).items()
    }


def test_given_rules_with_the_same_matches_then_each_stays_in_its_httproute() -> None:
    twice = [route("/0") | {"methods": ["GET", "HEAD"], "filters": [PREFIX]}] * 2
    filled = [*(route(f"/{number}") for number in range(15)), *twice]

    live = httproutes([*filled[1:], route("/0") | {"methods": ["GET"], "filters": [PREFIX]}])
    changed = httproutes(filled, live)

    assert httproutes(filled, changed) == changed


def test_given_long_names_then_the_httproute_names_are_cut_and_stay_distinct() -> None:
    names = [f"{'w' * 62}{letter}" for letter in "ab"]
    routes = [route("/", "a.example"), route("/", "b.example")]

    found = [each for name in names for each in httproutes(routes, name=name)]

    assert len(set(found)) == 4
    assert max(map(len, found)) <= 63


some_routes = st.lists(
    st.builds(
        lambda path, hostnames, methods, prefix: {
            "path": f"/{path}",
            **({"hostnames": hostnames} if hostnames else {}),
            **({"methods": methods} if methods else {}),
            **({"filters": [PREFIX]} if prefix else {}),
        },
        st.integers(0, 40),
        st.lists(st.sampled_from(["a.example", "b.example", "c.example"]), unique=True, max_size=2),
        st.lists(st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]), unique=True),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


@given(some_routes, some_routes)
def test_given_any_routes_then_each_rule_is_in_one_httproute_within_its_bounds_and_stays_there(
    before: list[Route], after: list[Route]
) -> None:
    live = httproutes(before)

    changed = httproutes(after, live)

    assert httproutes(before, live) == live
    assert httproutes(after, changed) == changed
    expected = sum(len(each.get("methods") or "*") if "filters" in each else 1 for each in after)
    assert sum(len(spec["rules"]) for spec in changed.values()) == expected
    for spec in changed.values():
        assert 1 <= len(spec["rules"]) <= MOST_RULES
        assert sum(len(rule["matches"]) for rule in spec["rules"]) <= MOST_MATCHES
        if any("filters" in rule for rule in spec["rules"]):
            assert all(len(rule["matches"]) == 1 for rule in spec["rules"] if "filters" in rule)
