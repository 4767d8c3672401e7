"""The HTTPRoutes (Gateway API) that bring requests to the web part.

Host names belong to a whole HTTPRoute, so routes with the same host names share one; a rule has the paths of one route.
"""

import hashlib
from typing import Any

from shop_operator.render.labels import WEB, metadata
from shop_operator.schema import LABEL_LENGTH
from shop_operator.spec import Gateway, Route, ShopService


def http_routes(shop: ShopService) -> list[dict[str, Any]]:
    """One HTTPRoute for each set of host names; none without routes."""
    gateway = shop.spec.gateway
    if not shop.spec.routes or gateway is None:
        return []
    groups: dict[tuple[str, ...], list[Route]] = {}
    for route in shop.spec.routes:
        groups.setdefault(tuple(sorted(route.hostnames or ())), []).append(route)
    return [_http_route(shop, gateway, hostnames, routes) for hostnames, routes in groups.items()]


def _http_route(
    shop: ShopService, gateway: Gateway, hostnames: tuple[str, ...], routes: list[Route]
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "parentRefs": [_parent(shop, gateway)],
        "rules": [
            {
                "matches": _matches(route),
                "backendRefs": [
                    {"group": "", "kind": "Service", "name": shop.name, "port": shop.spec.port, "weight": 1}
                ],
            }
            for route in routes
        ],
    }
    if hostnames:
        spec["hostnames"] = list(hostnames)
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(shop, _name(shop, hostnames), WEB),
        "spec": spec,
    }


def _name(shop: ShopService, hostnames: tuple[str, ...]) -> str:
    """The ShopService's name; with host names also a hash, in which neither their order nor that of the routes counts."""
    if not hostnames:
        return shop.name
    suffix = hashlib.sha256(",".join((shop.name, *hostnames)).encode()).hexdigest()[:8]
    return f"{shop.name[: LABEL_LENGTH - len(suffix) - 1]}-{suffix}"


def _parent(shop: ShopService, gateway: Gateway) -> dict[str, Any]:
    parent = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": gateway.name,
        "namespace": gateway.namespace or shop.namespace,
    }
    return parent | ({"sectionName": gateway.section_name} if gateway.section_name else {})


def _matches(route: Route) -> list[dict[str, Any]]:
    def match(**method: str) -> dict[str, Any]:
        return {"path": {"type": route.path_type, "value": route.path}, **method}

    return [match(method=method) for method in route.methods or ()] or [match()]
