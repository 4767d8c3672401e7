"""Requests that the Gateway forwards to a ShopService.

Names, defaults and bounds are those of an HTTPRoute of the Gateway API, into which a route is rendered.
"""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shop_operator.api.v1alpha1.route_filters import TOKEN, RouteFilter
from shop_operator.api.v1alpha1.scalars import ABSOLUTE, SUBDOMAIN, Namespace, ObjectName, Port, ServiceName
from shop_operator.api.v1alpha1.schema import SET, Format, Model, distinct, map_list, matching, rules

# As in HTTPRoute v1: the path characters of RFC 3986, without sequences that a proxy may normalize into another path.
_PATH: Final = Format(
    r"([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*",
    "path must contain only letters, digits, / and -._~!$&'()*+,;=:@; write any other character as % and two hexadecimal digits",
)
_AMBIGUOUS_PATH: Final = r"//|/[.][.]?(/|$)|%2[fF]"

Hostname = Annotated[
    str,
    StringConstraints(max_length=253),
    Format(
        rf"(\*\.)?{SUBDOMAIN}",
        "must be a lowercase hostname without scheme and port, such as shop.example.com or *.example.com",
    ),
]
Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]

Token = Annotated[str, StringConstraints(min_length=1, max_length=256), Format(*TOKEN)]


class HeaderMatch(Model):
    """Match on a request header."""

    name: Token
    """Name of the header, case-insensitive."""
    value: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """Value of the header, or a regular expression for it."""
    type: Literal["Exact", "RegularExpression"] = "Exact"
    """Type of comparison with value. Defaults to Exact."""


class QueryParamMatch(Model):
    """Match on a query parameter."""

    name: Token
    """Name of the parameter."""
    value: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """Value of the parameter, or a regular expression for it."""
    type: Literal["Exact", "RegularExpression"] = "Exact"
    """Type of comparison with value. Defaults to Exact."""


_DURATION: Final = r"([0-9]{1,5}(h|m|s|ms)){1,4}"
_MILLISECONDS: Final = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}

Duration = Annotated[
    str,
    StringConstraints(max_length=32),
    Format(_DURATION, "must be a duration with its unit, such as 10s, 500ms or 1m30s"),
]


def _milliseconds(duration: str) -> int:
    return sum(
        int(count) * _MILLISECONDS[unit] for count, unit in re.findall(r"([0-9]+)(ms|h|m|s)", duration)
    )


TIMEOUT_TOO_LONG: Final = "timeouts.backendRequest must not be longer than timeouts.request"
_WITHIN: Final = (
    "!has(self.request) || !has(self.backendRequest)"
    # The format has a rule of its own.
    f" || !{matching('self.request', _DURATION)} || !{matching('self.backendRequest', _DURATION)}"
    " || duration(self.request) == duration('0s')"
    " || duration(self.backendRequest) <= duration(self.request)"
)


class Timeouts(Model):
    """Timeouts of the Gateway, such as 10s or 500ms; 0s for none."""

    model_config = ConfigDict(json_schema_extra=rules((_WITHIN, TIMEOUT_TOO_LONG)))

    request: Duration | None = None
    """Timeout of the whole request, including all attempts. Defaults to that of the Gateway."""
    backend_request: Duration | None = None
    """Timeout of one attempt. Defaults to that of the Gateway."""

    @model_validator(mode="after")
    def _within(self) -> Self:
        whole, one = self.request, self.backend_request
        if whole and one and 0 < _milliseconds(whole) < _milliseconds(one):
            raise ValueError(TIMEOUT_TOO_LONG)
        return self


class BackendRef(Model):
    """A Service that receives a share of the requests."""

    name: ServiceName
    """Name of the Service, in the namespace of the ShopService: its own, or that of another ShopService such as a canary."""
    port: Port | None = None
    """Port of the Service. Defaults to spec.port of this ShopService."""
    weight: int = Field(default=1, ge=0, le=1_000_000)
    """Share of the requests, relative to the sum of all weights. Defaults to 1; 0 sends no requests."""


AMBIGUOUS_PATH: Final = "path must not contain //, /./, /../ or %2F"
FILTER_TWICE: Final = "filters must not repeat a type, except ExtensionRef"
REDIRECTED: Final = "a RequestRedirect filter answers the request itself, so it cannot be combined with URLRewrite or backendRefs"
NOT_A_PREFIX: Final = "replacePrefixMatch requires pathType PathPrefix"
ALL_WEIGHTS_ZERO: Final = (
    "at least one of backendRefs must have a weight above 0; otherwise every request is answered with 500"
)

_REPLACES_PREFIX: Final = (
    "(has(f.urlRewrite) && has(f.urlRewrite.path) && has(f.urlRewrite.path.replacePrefixMatch))"
    " || (has(f.requestRedirect) && has(f.requestRedirect.path) && has(f.requestRedirect.path.replacePrefixMatch))"
)
_EACH_ONCE: Final = (
    "!has(self.filters) || self.filters.all(f, f.type == 'ExtensionRef'"
    " || self.filters.exists_one(g, g.type == f.type))"
)
_NOT_REDIRECTED: Final = (
    "!has(self.filters) || !self.filters.exists(f, f.type == 'RequestRedirect')"
    " || (!has(self.backendRefs) && !self.filters.exists(f, f.type == 'URLRewrite'))"
)
_HAS_PREFIX: Final = (
    "!has(self.filters) || !has(self.pathType) || self.pathType == 'PathPrefix'"
    f" || !self.filters.exists(f, {_REPLACES_PREFIX})"
)
_HAS_WEIGHT: Final = "!has(self.backendRefs) || self.backendRefs.exists(b, !has(b.weight) || b.weight > 0)"
_ROUTE_RULES: Final = (
    (f"!self.path.matches(r'{_AMBIGUOUS_PATH}')", AMBIGUOUS_PATH),
    (_EACH_ONCE, FILTER_TWICE),
    (_NOT_REDIRECTED, REDIRECTED),
    (_HAS_PREFIX, NOT_A_PREFIX),
    (_HAS_WEIGHT, ALL_WEIGHTS_ZERO),
)


class Route(Model):
    """Requests that the Gateway forwards to this microservice."""

    model_config = ConfigDict(json_schema_extra=rules(*_ROUTE_RULES))

    path: Annotated[str, StringConstraints(max_length=1024), ABSOLUTE, _PATH]
    """Path of the requests, beginning with a slash."""
    path_type: Literal["PathPrefix", "Exact"] = "PathPrefix"
    """Type of comparison with path. PathPrefix matches whole path elements: /orders matches /orders/1, but not /orders2."""
    methods: (
        Annotated[list[Method], Field(min_length=1, max_length=9, json_schema_extra=SET), distinct()] | None
    ) = None
    """HTTP methods. Defaults to all."""
    headers: (
        Annotated[
            list[HeaderMatch], Field(max_length=16, json_schema_extra=map_list("name")), distinct("name")
        ]
        | None
    ) = None
    """Headers that a request must have. All of them must match. Defaults to none."""
    query_params: (
        Annotated[
            list[QueryParamMatch], Field(max_length=16, json_schema_extra=map_list("name")), distinct("name")
        ]
        | None
    ) = None
    """Query parameters that a request must have. All of them must match. Defaults to none."""
    hostnames: (
        Annotated[list[Hostname], Field(min_length=1, max_length=16, json_schema_extra=SET), distinct()]
        | None
    ) = None
    """Hostnames. Defaults to all hostnames of the Gateway's listener."""
    timeouts: Timeouts | None = None
    """Timeouts of requests. Defaults to those of the Gateway."""
    filters: Annotated[list[RouteFilter], Field(max_length=8)] | None = None
    """Steps in the processing of requests and responses, such as a rewrite of the path or additional headers. The Gateway implementation chooses their order. Defaults to none."""
    backend_refs: (
        Annotated[
            list[BackendRef],
            Field(min_length=1, max_length=16, json_schema_extra=map_list("name")),
            distinct("name"),
        ]
        | None
    ) = None
    """Services that share the requests by weight, as for a canary. Defaults to the Service of this ShopService; a list that omits it sends no requests to it."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if re.search(_AMBIGUOUS_PATH, self.path):
            raise ValueError(AMBIGUOUS_PATH)
        types = [each.type for each in self.filters or () if each.type != "ExtensionRef"]
        if len(set(types)) < len(types):
            raise ValueError(FILTER_TWICE)
        if "RequestRedirect" in types and (self.backend_refs is not None or "URLRewrite" in types):
            raise ValueError(REDIRECTED)
        if self.path_type != "PathPrefix" and self.replaces_prefix:
            raise ValueError(NOT_A_PREFIX)
        if self.backend_refs is not None and not any(each.weight for each in self.backend_refs):
            raise ValueError(ALL_WEIGHTS_ZERO)
        return self

    @property
    def replaces_prefix(self) -> bool:
        """Whether a filter replaces the matched prefix. The rule then has a single match."""
        return any(each.replaces_prefix for each in self.filters or ())

    @property
    def redirects(self) -> bool:
        """Whether the Gateway answers with a redirect, without a request to a pod."""
        return any(each.type == "RequestRedirect" for each in self.filters or ())


class Gateway(Model):
    """The Gateway (gateway.networking.k8s.io) to which the routes are attached."""

    name: ObjectName
    """Name of the Gateway."""
    namespace: Namespace | None = None
    """Namespace of the Gateway. Defaults to that of the ShopService."""
    section_name: ObjectName | None = None
    """Name of a listener of the Gateway. Defaults to all listeners."""


Routes = Annotated[list[Route], Field(max_length=128)]
Gateways = Annotated[list[Gateway], Field(max_length=15)]
