"""Steps in the processing of requests and responses by the Gateway."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shop_operator.api.v1alpha1.scalars import SUBDOMAIN, ObjectName, Port
from shop_operator.api.v1alpha1.schema import (
    SET,
    Format,
    ItemFormat,
    Model,
    count_set,
    distinct,
    map_list,
    rules,
)

HOSTNAME: Final = Format(
    SUBDOMAIN, "must be a lowercase hostname without scheme and port, such as shop.example.com"
)

# RFC 9110 section 5.6.2.
TOKEN: Final = (
    r"[A-Za-z0-9!#$%&'*+.^_|~\x60-]+",
    "must be a name without spaces: letters, digits and !#$%&'*+-.^_`|~, such as X-Request-Id",
)

TokenOfMany = Annotated[str, StringConstraints(min_length=1, max_length=256), ItemFormat(*TOKEN)]


class HeaderValue(Model):
    """A header with its value."""

    name: TokenOfMany
    """Name of the header."""
    value: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """Value of the header."""


_Values = Annotated[
    list[HeaderValue], Field(max_length=16, json_schema_extra=map_list("name")), distinct("name")
]


class HeaderModifier(Model):
    """Modification of headers."""

    set: _Values | None = None
    """Headers to set, in place of those of the same name."""
    add: _Values | None = None
    """Headers to add to those of the same name."""
    remove: Annotated[list[TokenOfMany], Field(max_length=16, json_schema_extra=SET), distinct()] | None = (
        None
    )
    """Names of headers to remove."""


Replacement = Annotated[str, StringConstraints(max_length=1024)]
ONE_REPLACEMENT: Final = (
    "path must set exactly the field that its type names: replaceFullPath for ReplaceFullPath,"
    " replacePrefixMatch for ReplacePrefixMatch"
)
_REPLACEMENT_RULE: Final = (
    "has(self.replaceFullPath) == (self.type == 'ReplaceFullPath')"
    " && has(self.replacePrefixMatch) == (self.type == 'ReplacePrefixMatch')"
)


class PathModifier(Model):
    """Replacement of the path."""

    model_config = ConfigDict(json_schema_extra=rules((_REPLACEMENT_RULE, ONE_REPLACEMENT)))

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    """Part of the path to replace."""
    replace_full_path: Replacement | None = None
    """Replacement for the whole path."""
    replace_prefix_match: Replacement | None = None
    """Replacement for the prefix that the route's path matched; the rest is kept."""

    @model_validator(mode="after")
    def _one_replacement(self) -> Self:
        if (self.replace_full_path is not None) != (self.type == "ReplaceFullPath") or (
            self.replace_prefix_match is not None
        ) != (self.type == "ReplacePrefixMatch"):
            raise ValueError(ONE_REPLACEMENT)
        return self


class UrlRewrite(Model):
    """Rewrite of the hostname or path of a request."""

    hostname: Annotated[str, StringConstraints(min_length=1, max_length=253), HOSTNAME] | None = None
    """Replacement for the hostname."""
    path: PathModifier | None = None
    """Replacement for the path."""


class RequestRedirect(Model):
    """Redirect of the client. Fields that are not set are kept from the request."""

    scheme: Literal["http", "https"] | None = None
    """Scheme of the new location."""
    hostname: Annotated[str, StringConstraints(min_length=1, max_length=253), HOSTNAME] | None = None
    """Hostname of the new location."""
    path: PathModifier | None = None
    """Path of the new location."""
    port: Port | None = None
    """Port of the new location. Defaults to the port of its scheme."""
    status_code: Literal[301, 302, 303, 307, 308] = 302
    """Status code of the response. Defaults to 302."""


class ExtensionRef(Model):
    """An object of the Gateway implementation's own API, in the namespace of the ShopService."""

    group: Annotated[
        str,
        StringConstraints(max_length=253),
        Format(
            f"({SUBDOMAIN})?",
            "must be a lowercase API group, such as traefik.io, or empty for the core group",
        ),
    ]
    """API group of the object, such as traefik.io."""
    kind: Annotated[
        str,
        StringConstraints(min_length=1, max_length=63),
        Format(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?", "must be a kind, such as Middleware"),
    ]
    """Kind of the object, such as Middleware."""
    name: ObjectName
    """Name of the object."""


ONE_FILTER: Final = (
    "a filter must set exactly the field that its type names, such as urlRewrite for type URLRewrite"
)
_FILTERS: Final = {
    "RequestHeaderModifier": ("requestHeaderModifier", "request_header_modifier"),
    "ResponseHeaderModifier": ("responseHeaderModifier", "response_header_modifier"),
    "RequestRedirect": ("requestRedirect", "request_redirect"),
    "URLRewrite": ("urlRewrite", "url_rewrite"),
    "ExtensionRef": ("extensionRef", "extension_ref"),
}
_FILTER_RULE: Final = " && ".join(
    f"has(self.{field}) == (self.type == '{name}')" for name, (field, _) in _FILTERS.items()
)


class RouteFilter(Model):
    """A step in the processing of a request or response."""

    model_config = ConfigDict(json_schema_extra=rules((_FILTER_RULE, ONE_FILTER)))

    type: Literal[
        "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "ExtensionRef"
    ]
    """Type of the step, which is configured in the field of the same name."""
    request_header_modifier: HeaderModifier | None = None
    """Modification of the request headers."""
    response_header_modifier: HeaderModifier | None = None
    """Modification of the response headers."""
    request_redirect: RequestRedirect | None = None
    """Redirect instead of a response from the pods."""
    url_rewrite: UrlRewrite | None = None
    """Rewrite of the request's hostname or path."""
    extension_ref: ExtensionRef | None = None
    """Step that is specific to the Gateway implementation, such as a Middleware of Traefik."""

    @model_validator(mode="after")
    def _one_filter(self) -> Self:
        _, own = _FILTERS[self.type]
        if getattr(self, own) is None or count_set(self, (field for _, field in _FILTERS.values())) != 1:
            raise ValueError(ONE_FILTER)
        return self

    @property
    def replaces_prefix(self) -> bool:
        """Whether the filter replaces the matched prefix."""
        changed = self.url_rewrite or self.request_redirect
        return bool(changed and changed.path and changed.path.replace_prefix_match is not None)
