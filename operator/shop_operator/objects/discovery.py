"""The discovery hostname that a ShopService asks for, and that its headless Service carries. Pure."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from shop_operator.objects.lenient import mapping, text

HOSTNAME_ANNOTATIONS: Final = (
    "external-dns.alpha.kubernetes.io/hostname",
    "external-dns.kubernetes.io/hostname",
)
"""Of ExternalDNS before and from 0.23, which reads the new one alone: with policy=sync an upgrade deletes the records of every
Service that has only the old one. With both, whichever version is installed finds its own."""
_LONGEST: Final = 254


class Wish(NamedTuple):
    """What a ShopService asks for.

    Attributes:
        hostname: normalized.
        created: its creationTimestamp.
    """

    hostname: str
    created: str


def wish(obj: Mapping[str, Any]) -> Wish | None:
    """What a ShopService of any shape asks for; None for nothing."""
    discovery = mapping(mapping(obj.get("spec")).get("discovery"))
    hostname = normalized(discovery.get("hostname"))
    return Wish(hostname, text(mapping(obj.get("metadata")).get("creationTimestamp"))) if hostname else None


def registered(service: Mapping[str, Any]) -> str:
    """The hostname that a Service carries, empty for none."""
    annotations = mapping(mapping(service.get("metadata")).get("annotations"))
    return next((found for each in HOSTNAME_ANNOTATIONS if (found := normalized(annotations.get(each)))), "")


def normalized(hostname: Any) -> str:
    """A hostname as DNS compares it, empty for what cannot be one: no case, no dot at the end."""
    value = text(hostname)
    return value.rstrip(".").lower() if len(value) <= _LONGEST else ""
