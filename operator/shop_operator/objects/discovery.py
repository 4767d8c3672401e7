"""The discovery hostname of a ShopService, and of its headless Service. Pure."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from shop_operator.objects.lenient import mapping, text

HOSTNAME_ANNOTATIONS: Final = (
    "external-dns.alpha.kubernetes.io/hostname",
    "external-dns.kubernetes.io/hostname",
)
"""Annotations of ExternalDNS before and since version 0.23. Each version reads only its own annotation: with policy=sync, an upgrade
deletes the records of every Service that has only the old one. A Service with both works with every version."""
_LONGEST: Final = 254


class Wish(NamedTuple):
    """The hostname that a ShopService requests.

    Attributes:
        hostname: the hostname, normalized.
        created: creationTimestamp of the ShopService.
    """

    hostname: str
    created: str


def wish(obj: Mapping[str, Any]) -> Wish | None:
    """The hostname that a ShopService of any shape requests, None if it requests none."""
    discovery = mapping(mapping(obj.get("spec")).get("discovery"))
    hostname = normalized(discovery.get("hostname"))
    return Wish(hostname, text(mapping(obj.get("metadata")).get("creationTimestamp"))) if hostname else None


def registered(service: Mapping[str, Any]) -> str:
    """The hostname in the annotations of a Service, empty if it has none."""
    annotations = mapping(mapping(service.get("metadata")).get("annotations"))
    return next((found for each in HOSTNAME_ANNOTATIONS if (found := normalized(annotations.get(each)))), "")


def normalized(hostname: Any) -> str:
    """A hostname in the form that DNS compares, lowercase without a trailing dot; empty if it is too long or not a string."""
    value = text(hostname)
    return value.rstrip(".").lower() if len(value) <= _LONGEST else ""
