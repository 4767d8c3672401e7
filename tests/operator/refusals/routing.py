"""Invalid routes and Gateways."""

from typing import Any

from shop_operator.api.v1alpha1 import route_filters, routing, spec
from tests.operator.refusals.refusal import PUBLIC, Refusal


def _routed(**route: Any) -> dict[str, Any]:
    return {"gateway": PUBLIC, "routes": [{"path": "/"} | route]}


def _replacing(filter_type: str, path_type: str, prefix: str) -> dict[str, Any]:
    """A filter that replaces the prefix of the path."""
    field = {"URLRewrite": "urlRewrite", "RequestRedirect": "requestRedirect"}[filter_type]
    return {"type": filter_type, field: {"path": {"type": path_type, "replacePrefixMatch": prefix}}}


REFUSALS = (
    Refusal(
        "a header to set with a space in its name",
        _routed(
            filters=[
                {
                    "type": "RequestHeaderModifier",
                    "requestHeaderModifier": {"set": [{"name": "A B", "value": "1"}]},
                }
            ]
        ),
        "set[0].name in body should match '^(?<must_be_a_name_without_spaces>",
        "set[0].name: must be a name without spaces: letters, digits",
    ),
    Refusal("routes without a gateway", {"routes": [{"path": "/"}]}, spec.MISSING_GATEWAY),
    Refusal(
        "an unknown HTTP method",
        {"gateway": PUBLIC, "routes": [{"path": "/", "methods": ["FETCH"]}]},
        'spec.routes[0].methods[0]: Unsupported value: "FETCH"',
        "spec.routes[0].methods[0]: must be 'GET'",
    ),
    Refusal(
        "a duplicate HTTP method",
        {"gateway": PUBLIC, "routes": [{"path": "/", "methods": ["GET", "GET"]}]},
        "spec.routes[0].methods[1]: Duplicate value",
        "spec.routes[0].methods: Duplicate value: GET",
    ),
    Refusal(
        "an empty list of HTTP methods",
        {"gateway": PUBLIC, "routes": [{"path": "/", "methods": []}]},
        "spec.routes[0].methods in body should have at least 1 items",
        "spec.routes[0].methods: must have at least 1 item",
    ),
    Refusal(
        "a path without a leading slash",
        {"gateway": PUBLIC, "routes": [{"path": "orders"}]},
        "path must begin with /",
    ),
    Refusal(
        "a path with dot segments",
        {"gateway": PUBLIC, "routes": [{"path": "/orders/../admin"}]},
        routing.AMBIGUOUS_PATH,
    ),
    Refusal(
        "129 routes",
        {"gateway": PUBLIC, "routes": [{"path": f"/{number}"} for number in range(129)]},
        "spec.routes: Too many: 129: must have at most 128 items",
        "spec.routes: must have at most 128 items",
    ),
    Refusal(
        "a filter without the field of its type",
        _routed(filters=[{"type": "URLRewrite"}]),
        route_filters.ONE_FILTER,
    ),
    Refusal(
        "a filter with the fields of two types",
        _routed(filters=[{"type": "URLRewrite", "urlRewrite": {}, "requestRedirect": {}}]),
        route_filters.ONE_FILTER,
    ),
    Refusal(
        "two filters of the same type",
        _routed(filters=[{"type": "URLRewrite", "urlRewrite": {"hostname": each}} for each in ("a", "b")]),
        routing.FILTER_TWICE,
    ),
    Refusal(
        "a redirect and a rewrite",
        _routed(
            filters=[
                {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}},
                {"type": "URLRewrite", "urlRewrite": {"hostname": "a"}},
            ]
        ),
        routing.REDIRECTED,
    ),
    Refusal(
        "a redirect with backends",
        _routed(
            filters=[{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}],
            backendRefs=[{"name": "web"}],
        ),
        routing.REDIRECTED,
    ),
    Refusal(
        "a prefix rewrite of an exact path",
        _routed(pathType="Exact", filters=[_replacing("URLRewrite", "ReplacePrefixMatch", "/v2")]),
        routing.NOT_A_PREFIX,
    ),
    Refusal(
        "a prefix redirect of an exact path",
        _routed(pathType="Exact", filters=[_replacing("RequestRedirect", "ReplacePrefixMatch", "")]),
        routing.NOT_A_PREFIX,
    ),
    Refusal(
        "a full path replacement with the field of the prefix",
        _routed(filters=[_replacing("URLRewrite", "ReplaceFullPath", "/v2")]),
        route_filters.ONE_REPLACEMENT,
    ),
    Refusal(
        "a backend timeout above the request timeout",
        _routed(timeouts={"request": "1s", "backendRequest": "1001ms"}),
        routing.TIMEOUT_TOO_LONG,
    ),
    Refusal(
        "a timeout without a unit",
        _routed(timeouts={"request": "10"}),
        "must be a duration with its unit, such as 10s, 500ms or 1m30s",
    ),
    Refusal(
        "only backends with weight 0",
        _routed(backendRefs=[{"name": "web", "weight": 0}]),
        routing.ALL_WEIGHTS_ZERO,
    ),
    Refusal(
        "a duplicate backend",
        _routed(backendRefs=[{"name": "web"}, {"name": "web"}]),
        'spec.routes[0].backendRefs[1]: Duplicate value: {"name":"web"}',
        "spec.routes[0].backendRefs: Duplicate value: web",
    ),
    Refusal(
        "a duplicate header",
        _routed(headers=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        'spec.routes[0].headers[1]: Duplicate value: {"name":"A"}',
        "spec.routes[0].headers: Duplicate value: A",
    ),
    Refusal(
        "a header match with a space in its name",
        _routed(headers=[{"name": "A B", "value": "1"}]),
        "must be a name without spaces: letters, digits and !#$%&'*+-.^_`|~, such as X-Request-Id",
    ),
    Refusal(
        "a path with a space",
        _routed(path="/a b"),
        "path must contain only letters, digits, / and -._~!$&'()*+,;=:@; write any other character as % and two hexadecimal digits",
    ),
    Refusal(
        "a hostname with a scheme",
        _routed(hostnames=["https://shop.example.com"]),
        "must be a lowercase hostname without scheme and port, such as shop.example.com or *.example.com",
    ),
    Refusal(
        "a hostname rewrite with a port",
        _routed(filters=[{"type": "URLRewrite", "urlRewrite": {"hostname": "shop:80"}}]),
        "must be a lowercase hostname without scheme and port, such as shop.example.com",
    ),
    Refusal(
        "an API group with an uppercase letter",
        _routed(filters=[{"type": "ExtensionRef", "extensionRef": {"group": "A", "kind": "A", "name": "a"}}]),
        "must be a lowercase API group, such as traefik.io, or empty for the core group",
    ),
    Refusal(
        "a kind with a dot",
        _routed(
            filters=[{"type": "ExtensionRef", "extensionRef": {"group": "", "kind": "a.b", "name": "a"}}]
        ),
        "must be a kind, such as Middleware",
    ),
    Refusal(
        "a namespace with a dot",
        {"gateway": {"name": "public", "namespace": "a.b"}},
        "must be the name of a namespace: lowercase letters, digits and '-', with a letter or digit first and last",
    ),
)
