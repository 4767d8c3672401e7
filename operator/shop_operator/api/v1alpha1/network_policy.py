"""Connections of the pods."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, PlainValidator, StringConstraints, model_validator

from shop_operator.api.v1alpha1.scalars import (
    LABEL_KEY,
    LABEL_LENGTH,
    LABEL_VALUE,
    LAST_PORT,
    LabelValue,
    Namespace,
    Port,
)
from shop_operator.api.v1alpha1.schema import (
    LONGEST_KEY,
    SET,
    Format,
    ItemFormat,
    Model,
    distinct,
    int_or_string,
    matching,
    rules,
)

_OCTET: Final = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_CIDR: Final = (
    (
        rf"{_OCTET}(\.{_OCTET}){{3}}/(3[0-2]|[12]?[0-9])"
        r"|[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}/(12[0-8]|1[01][0-9]|[1-9]?[0-9])"
    ),
    "must be an address range in CIDR notation, such as 10.0.0.0/8, 192.0.2.1/32 or fd00::/8",
)

CIDR = Annotated[str, StringConstraints(max_length=43), Format(*_CIDR)]
ExceptedCIDR = Annotated[str, StringConstraints(max_length=43), ItemFormat(*_CIDR)]

# As in the Kubernetes API: at least one letter, and hyphens only between other characters.
_PORT_NAME: Final = r"([a-z0-9]+-)*[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*"
_LONGEST_PORT_NAME: Final = 15
INVALID_PORT_NAME: Final = (
    "must be a number from 1 to 65535 or the name of a port, such as http: at most 15 lowercase letters, digits"
    " and single '-' between them, with at least one letter"
)


def _named_port(value: Any) -> int | str:
    if isinstance(value, str) and len(value) <= _LONGEST_PORT_NAME and re.fullmatch(_PORT_NAME, value):
        return value
    if type(value) is int and 1 <= value <= LAST_PORT:
        return value
    raise ValueError(INVALID_PORT_NAME)


NamedPort = Annotated[
    int | str,
    PlainValidator(_named_port),
    int_or_string(
        **rules((f"type(self) == int || {matching('self', _PORT_NAME)}", INVALID_PORT_NAME)),
        maxLength=_LONGEST_PORT_NAME,
        minimum=1,
        maximum=LAST_PORT,
    ),
]

SelectedKey = Annotated[
    str,
    StringConstraints(max_length=LONGEST_KEY),
    ItemFormat(LABEL_KEY, "must be the key of a label such as team or example.com/team"),
]
SelectedValue = Annotated[str, StringConstraints(max_length=LABEL_LENGTH), ItemFormat(*LABEL_VALUE)]
SelectedLabels = Annotated[dict[str, LabelValue], Field(max_length=32)]

VALUES_MISMATCH: Final = "In and NotIn require values; Exists and DoesNotExist do not allow them"


class LabelRequirement(Model):
    """A condition on one label."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                VALUES_MISMATCH,
            )
        )
    )

    key: SelectedKey
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """Relation of the label to the values."""
    values: Annotated[list[SelectedValue], Field(max_length=32)] | None = None
    """Values for In and NotIn. Must be empty for Exists and DoesNotExist."""

    @model_validator(mode="after")
    def _values(self) -> Self:
        if (self.operator in {"In", "NotIn"}) != bool(self.values):
            raise ValueError(VALUES_MISMATCH)
        return self


class LabelSelector(Model):
    """Label selector. An empty selector matches all objects."""

    match_labels: SelectedLabels | None = None
    """Labels that must match."""
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=16)] | None = None
    """Requirements that must be met."""


class IPBlock(Model):
    """Addresses outside the cluster."""

    cidr: CIDR
    """Address range, such as 10.0.0.0/8."""
    except_: Annotated[list[ExceptedCIDR], Field(max_length=16)] | None = Field(default=None, alias="except")
    """Address ranges to exclude."""


ONE_PEER: Final = "a peer must set either ipBlock, or podSelector, namespaceSelector or both"


class Peer(Model):
    """The other end of a connection."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",
                ONE_PEER,
            )
        )
    )

    pod_selector: LabelSelector | None = None
    """Pods in this namespace, or in the namespaces that namespaceSelector selects."""
    namespace_selector: LabelSelector | None = None
    """Namespaces of the pods. Without podSelector, all pods in these namespaces."""
    ip_block: IPBlock | None = None
    """Address range."""

    @model_validator(mode="after")
    def _one_peer(self) -> Self:
        inside = self.pod_selector is not None or self.namespace_selector is not None
        if (self.ip_block is not None) == inside:
            raise ValueError(ONE_PEER)
        return self


INVALID_PORT_RANGE: Final = "endPort requires a numeric port that is not greater than endPort"


class PolicyPort(Model):
    """A port or a range of ports."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.endPort) || (has(self.port) && type(self.port) == int && self.port <= self.endPort)",
                INVALID_PORT_RANGE,
            )
        )
    )

    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    """Protocol."""
    port: NamedPort | None = None
    """Number or name of the port. Defaults to all ports."""
    end_port: Port | None = None
    """Last port of a range that begins with port."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.end_port is not None and not (isinstance(self.port, int) and self.port <= self.end_port):
            raise ValueError(INVALID_PORT_RANGE)
        return self


Ports = Annotated[list[PolicyPort], Field(max_length=32)]
Peers = Annotated[list[Peer], Field(max_length=32)]


class IngressRule(Model):
    """Allowed incoming connections."""

    from_: Peers | None = Field(default=None, alias="from")
    """Allowed sources. Defaults to all."""
    ports: Ports | None = None
    """Allowed ports. Defaults to all."""


class EgressRule(Model):
    """Allowed outgoing connections."""

    to: Peers | None = None
    """Allowed destinations. Defaults to all."""
    ports: Ports | None = None
    """Allowed ports. Defaults to all."""


class NetworkPolicy(Model):
    """NetworkPolicy for the pods. It allows connections from the Gateways of the routes and from ShopServices that depend on this one, and to its dependencies and to port 53 of any address, since DNS may run on the node itself."""

    enabled: bool = True
    """Whether to create a NetworkPolicy."""
    ingress: Annotated[list[IngressRule], Field(max_length=32)] | None = None
    """Additional ingress rules, as in networking.k8s.io/v1."""
    egress: Annotated[list[EgressRule], Field(max_length=32)] | None = None
    """Additional egress rules, such as for AWS endpoints."""
    gateway_namespaces: (
        Annotated[list[Namespace], Field(min_length=1, max_length=16, json_schema_extra=SET), distinct()]
        | None
    ) = None
    """Namespaces of the Gateway proxies to allow connections from. They also apply without routes, as required for a backend of another ShopService. Defaults to the namespaces of the Gateways."""
