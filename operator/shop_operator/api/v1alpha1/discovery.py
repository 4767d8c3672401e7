"""Discovery from outside the cluster, by DNS."""

from typing import Annotated, Final

from pydantic import StringConstraints

from shop_operator.api.v1alpha1.scalars import LABEL_LENGTH
from shop_operator.api.v1alpha1.schema import Format, Model
from shop_operator.names import DISCOVERY_SUFFIX

# At least two labels, since a single label belongs to no DNS zone.
_DNS_NAME: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+"
_LONGEST_DISCOVERED: Final = LABEL_LENGTH - len(DISCOVERY_SUFFIX)

NOT_A_DNS_NAME: Final = (
    "hostname must be a lowercase DNS name of at least two labels, such as payment.shop.internal"
)
NAME_TOO_LONG_TO_DISCOVER: Final = (
    f"with discovery, the name must not exceed {_LONGEST_DISCOVERED} characters,"
    f" since the headless Service is named <name>{DISCOVERY_SUFFIX}"
)

NAME_RULE: Final = (
    f"!has(self.spec.discovery) || size(self.metadata.name) <= {_LONGEST_DISCOVERED}",
    NAME_TOO_LONG_TO_DISCOVER,
)
"""Rule of a ShopService; `name_problem` is the same in Python."""


class Discovery(Model):
    """Discovery of the microservice by DNS from outside the cluster."""

    hostname: Annotated[
        str,
        StringConstraints(max_length=253),
        Format(_DNS_NAME, NOT_A_DNS_NAME),
    ]
    """DNS name under which ExternalDNS registers the addresses of the ready pods, such as payment.shop.internal in a namespace of AWS Cloud Map."""


def name_problem(shop: str, discovery: Discovery | None) -> str | None:
    """The message of NAME_RULE when the headless Service would have too long a name, otherwise None."""
    return NAME_TOO_LONG_TO_DISCOVER if discovery and len(shop) > _LONGEST_DISCOVERED else None
