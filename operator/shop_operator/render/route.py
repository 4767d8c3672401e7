"""The HTTPRoutes (Gateway API) that send requests to the web workload.

Host names belong to a whole HTTPRoute, so routes with the same host names share one HTTPRoute, or several if their rules exceed its
maximum. `route_names` assigns the rules to HTTPRoutes, and names these.
"""

import copy
from typing import Any, Final

from shop_operator.api.v1alpha1.route_filters import HeaderModifier, RouteFilter
from shop_operator.api.v1alpha1.routing import Gateway, Route
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render.canary import WHOLE, split, splits
from shop_operator.render.labels import WEB, metadata
from shop_operator.render.route_names import Group, Placed, placed
from shop_operator.render.surroundings import Surroundings

_GROUP: Final = "gateway.networking.k8s.io"


def http_routes(shop: ShopService, around: Surroundings) -> list[dict[str, Any]]:
    """The HTTPRoutes, new ones first, so that a rule is added to one before it is removed from another. None without routes."""
    if not shop.spec.routes or shop.spec.gateway is None:
        return []
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for route in shop.spec.routes:
        groups.setdefault(tuple(sorted(route.hostnames or ())), []).extend(
            _rules(shop, route, around.routed_port)
        )
    wanted = [Group(hostnames, rules) for hostnames, rules in groups.items()]
    made = [_http_route(shop, each, around) for each in placed(shop.name, wanted, around.routes)]
    return sorted(made, key=lambda each: each["metadata"]["name"] in around.routes)


def _http_route(shop: ShopService, found: Placed, around: Surroundings) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "parentRefs": [*parents(shop), *around.old_parents.get(found.name, ())],
        "rules": split(found.rules, shop, _weight(found.name, around))
        if splits(shop, around)
        else found.rules,
    }
    if found.hostnames:
        spec["hostnames"] = list(found.hostnames)
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(shop, found.name, WEB),
        "spec": spec,
    }


def _weight(name: str, around: Surroundings) -> int:
    """The percentage for the new version in a canary release, which Argo Rollouts sets; a new HTTPRoute gets that of the others."""
    live = around.routes.get(name)
    if live is not None and live.canary is not None:
        found = live.canary
    else:
        found = max((each.canary or 0 for each in around.routes.values()), default=0)
    # Another client may have set a weight that leaves less than nothing for the other version.
    return min(max(found, 0), WHOLE)


def gateways(shop: ShopService) -> list[Gateway]:
    """The Gateways of the routes, spec.gateway first."""
    first = [] if shop.spec.gateway is None else [shop.spec.gateway]
    return [*first, *(shop.spec.gateways or ())]


def parents(shop: ShopService) -> list[dict[str, Any]]:
    """References to the Gateways, without duplicates."""
    found: list[dict[str, Any]] = []
    for gateway in gateways(shop):
        parent = {
            "group": _GROUP,
            "kind": "Gateway",
            "name": gateway.name,
            "namespace": gateway.namespace or shop.namespace,
        }
        parent |= {"sectionName": gateway.section_name} if gateway.section_name else {}
        if parent not in found:
            found.append(parent)
    return found


def _rules(shop: ShopService, route: Route, routed: int | None = None) -> list[dict[str, Any]]:
    """One rule; or one for each method if a filter replaces the prefix, which the Gateway API permits for a single match only."""
    what: dict[str, Any] = {}
    if route.filters:
        what["filters"] = [_filter(each) for each in route.filters]
    if not route.redirects:
        what["backendRefs"] = _backends(shop, route, routed)
    timeouts = route.timeouts.to_dict() if route.timeouts else {}
    if timeouts:
        what["timeouts"] = timeouts
    matches = _matches(route)
    if route.replaces_prefix:
        return [{"matches": [match], **copy.deepcopy(what)} for match in matches]
    return [{"matches": matches, **what}]


def _matches(route: Route) -> list[dict[str, Any]]:
    return [_match(route, method=method) for method in route.methods or ()] or [_match(route)]


def _match(route: Route, **method: str) -> dict[str, Any]:
    match: dict[str, Any] = {"path": {"type": route.path_type, "value": route.path}}
    if route.headers:
        match["headers"] = [each.to_dict() for each in route.headers]
    if route.query_params:
        match["queryParams"] = [each.to_dict() for each in route.query_params]
    return {**match, **method}


def _backends(shop: ShopService, route: Route, routed: int | None) -> list[dict[str, Any]]:
    def backend(name: str, port: int | None, weight: int) -> dict[str, Any]:
        return {
            "group": "",
            "kind": "Service",
            "name": name,
            "port": port or shop.spec.port,
            "weight": weight,
        }

    if route.backend_refs is None:
        return [backend(shop.name, routed, 1)]
    return [
        backend(each.name, each.port or (routed if each.name == shop.name else None), each.weight)
        for each in route.backend_refs
    ]


def _filter(step: RouteFilter) -> dict[str, Any]:
    """A filter without the empty lists of a header modifier."""
    rendered = step.to_dict()
    for name, modifier in (
        ("requestHeaderModifier", step.request_header_modifier),
        ("responseHeaderModifier", step.response_header_modifier),
    ):
        if modifier is not None:
            rendered[name] = _modifier(modifier)
    return rendered


def _modifier(modifier: HeaderModifier) -> dict[str, Any]:
    return {key: value for key, value in modifier.to_dict().items() if value}
