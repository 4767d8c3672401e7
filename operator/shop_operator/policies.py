"""The parts of a ShopService that say how it is rolled out, disrupted, reached and observed.

Models like those of spec.py, of which these are fields; a rule is in CEL and in Python here too.
"""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, PlainValidator, StringConstraints, model_validator

from shop_operator.schema import (
    LABEL_LENGTH,
    LAST_PORT,
    Model,
    Namespace,
    ObjectName,
    Port,
    Text,
    VariableName,
    int_or_string,
    rules,
)

_PERCENT: Final = r"^(100|[0-9]{1,2})%$"
_WHOLE: Final = 100
_MOST_PODS: Final = 1000
_LABEL_VALUE: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
_LABEL_KEY: Final = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
_OCTET: Final = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_CIDR: Final = (
    rf"^({_OCTET}(\.{_OCTET}){{3}}/(3[0-2]|[12]?[0-9])"
    r"|[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$"
)
# As in the API: at least one letter, and a hyphen only between two other characters.
_PORT_NAME: Final = r"^([a-z0-9]+-)*[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*$"
_LONGEST_PORT_NAME: Final = 15
_QUEUE_URL: Final = r"^https?://[!-~]+$"
# Where the region stands in the URL of a queue of AWS; a fixed part, so CEL and Python read it alike.
_REGION_IN_URL: Final = r"^https?://sqs[.]([a-z0-9-]+)[.]amazonaws[.]com(/|$|[.])"

ONE_BOUND: Final = "disruption needs exactly one of minAvailable and maxUnavailable"
NEVER_DISRUPTED: Final = (
    "disruption must leave room for a drain: maxUnavailable must be at least 1 or 1%,"
    " and minAvailable must be less than all pods there are at least (replicas, or autoscaling.minReplicas)"
)
NO_PROGRESS: Final = "rollout needs room: maxSurge and maxUnavailable must not both be zero"
ONE_QUEUE: Final = "a queue needs exactly one of url and urlFrom"
NO_REGION: Final = "set queue.region: the URL of the queue does not say it"
ONE_PEER: Final = "a peer is either an ipBlock or made of podSelector and namespaceSelector"
NO_RANGE: Final = "endPort needs a port that is a number and not above it"
FOREIGN_VALUES: Final = "In and NotIn need values, Exists and DoesNotExist have none"


def _share(value: Any) -> int | str:
    if isinstance(value, str) and re.fullmatch(_PERCENT, value):
        return value
    if type(value) is int and 0 <= value <= _MOST_PODS:
        return value
    raise ValueError("must be a number of pods or a percentage such as 25%")


def _named_port(value: Any) -> int | str:
    if isinstance(value, str) and len(value) <= _LONGEST_PORT_NAME and re.fullmatch(_PORT_NAME, value):
        return value
    if type(value) is int and 1 <= value <= LAST_PORT:
        return value
    raise ValueError("must be a number from 1 to 65535 or the name of a port")


Share = Annotated[
    int | str, PlainValidator(_share), int_or_string(pattern=_PERCENT, minimum=0, maximum=_MOST_PODS)
]
NamedPort = Annotated[
    int | str,
    PlainValidator(_named_port),
    int_or_string(pattern=_PORT_NAME, maxLength=_LONGEST_PORT_NAME, minimum=1, maximum=LAST_PORT),
]
LabelValue = Annotated[str, StringConstraints(max_length=LABEL_LENGTH, pattern=_LABEL_VALUE)]
CIDR = Annotated[str, StringConstraints(max_length=43, pattern=_CIDR)]
Labels = Annotated[dict[str, LabelValue], Field(max_length=32)]


def _is_zero(field: str) -> str:
    return f"(type({field}) == int ? {field} == 0 : {field} in ['0%', '00%'])"


def is_zero(share: int | str) -> bool:
    """Whether it is no pod at all, however many there are."""
    return share in {0, "0%", "00%"}


def at_least(share: int | str, pods: int) -> int:
    """How many of so many pods are meant at least: a part of a pod counts as a whole one."""
    if isinstance(share, int):
        return share
    return -(-int(share.removesuffix("%")) * pods // _WHOLE)


class Disruption(Model):
    """How many pods a drain of nodes may take at the same time."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.minAvailable) != has(self.maxUnavailable)", ONE_BOUND),
            (f"!has(self.maxUnavailable) || !{_is_zero('self.maxUnavailable')}", NEVER_DISRUPTED),
            (
                "!has(self.minAvailable) || type(self.minAvailable) == int || self.minAvailable != '100%'",
                NEVER_DISRUPTED,
            ),
        )
    )

    min_available: Share | None = None
    """Pods that must stay available, as a number or a percentage."""
    max_unavailable: Share | None = None
    """Pods that may be away, as a number or a percentage; 1 when nothing is set."""

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if (self.min_available is None) == (self.max_unavailable is None):
            raise ValueError(ONE_BOUND)
        if self.max_unavailable is not None and is_zero(self.max_unavailable):
            raise ValueError(NEVER_DISRUPTED)
        if self.min_available == "100%":
            raise ValueError(NEVER_DISRUPTED)
        return self


_PROGRESSES: Final = (
    f"!has(self.maxSurge) || !{_is_zero('self.maxSurge')}"
    f" || (has(self.maxUnavailable) && !{_is_zero('self.maxUnavailable')})"
)


class Rollout(Model):
    """How a new version takes the place of the old one."""

    model_config = ConfigDict(json_schema_extra=rules((_PROGRESSES, NO_PROGRESS)))

    max_surge: Share | None = None
    """Pods above the wanted number during a roll-out; 25% when not set."""
    max_unavailable: Share | None = None
    """Pods that may be missing during a roll-out; 0 when not set."""
    progress_deadline_seconds: int | None = Field(default=None, ge=10, le=3600)
    """Seconds without progress after which a roll-out has failed; 300 when not set."""
    auto_rollback: bool | None = None
    """Put the last image that was available back when a roll-out has failed, until spec.image changes again."""

    @model_validator(mode="after")
    def _progresses(self) -> Self:
        surge, missing = self.max_surge, self.max_unavailable
        if surge is not None and is_zero(surge) and (missing is None or is_zero(missing)):
            raise ValueError(NO_PROGRESS)
        return self


class LabelRequirement(Model):
    """A condition on one label."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                FOREIGN_VALUES,
            )
        )
    )

    key: Annotated[str, StringConstraints(max_length=317, pattern=_LABEL_KEY)]
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """What is asked of it."""
    values: Annotated[list[LabelValue], Field(max_length=32)] | None = None
    """For In and NotIn."""

    @model_validator(mode="after")
    def _values(self) -> Self:
        if (self.operator in {"In", "NotIn"}) != bool(self.values):
            raise ValueError(FOREIGN_VALUES)
        return self


class LabelSelector(Model):
    """Objects by their labels; all of them when empty."""

    match_labels: Labels | None = None
    """Labels that they have."""
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=16)] | None = None
    """Conditions that they meet."""


class IPBlock(Model):
    """Addresses outside the cluster."""

    cidr: CIDR
    """Such as 10.0.0.0/8."""
    except_: Annotated[list[CIDR], Field(max_length=16)] | None = Field(default=None, alias="except")
    """Parts of it that are not meant."""


class Peer(Model):
    """Who may be at the other end."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",
                ONE_PEER,
            )
        )
    )

    pod_selector: LabelSelector | None = None
    """Pods, of this namespace or of those that namespaceSelector finds."""
    namespace_selector: LabelSelector | None = None
    """Namespaces; those of all pods in them when podSelector is not set."""
    ip_block: IPBlock | None = None
    """Addresses."""

    @model_validator(mode="after")
    def _one_peer(self) -> Self:
        inside = self.pod_selector is not None or self.namespace_selector is not None
        if (self.ip_block is not None) == inside:
            raise ValueError(ONE_PEER)
        return self


class PolicyPort(Model):
    """A port, or a range of them."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.endPort) || (has(self.port) && type(self.port) == int && self.port <= self.endPort)",
                NO_RANGE,
            )
        )
    )

    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    """The protocol."""
    port: NamedPort | None = None
    """Number or name; all of them when not set."""
    end_port: Port | None = None
    """The last of a range that begins with port."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.end_port is not None and not (isinstance(self.port, int) and self.port <= self.end_port):
            raise ValueError(NO_RANGE)
        return self


Ports = Annotated[list[PolicyPort], Field(max_length=32)]
Peers = Annotated[list[Peer], Field(max_length=32)]


class IngressRule(Model):
    """Connections that may come in."""

    from_: Peers | None = Field(default=None, alias="from")
    """From whom; from anybody when not set."""
    ports: Ports | None = None
    """On which ports; on all of them when not set."""


class EgressRule(Model):
    """Connections that may go out."""

    to: Peers | None = None
    """To whom; to anybody when not set."""
    ports: Ports | None = None
    """On which ports; on all of them when not set."""


class NetworkPolicy(Model):
    """Who may talk to the pods, and to whom they may: the gateway of the routes, whoever depends on this ShopService, what it depends on, and port 53 of anybody, since the node itself may answer DNS."""

    enabled: bool = True
    """False for no NetworkPolicy at all."""
    ingress: Annotated[list[IngressRule], Field(max_length=32)] | None = None
    """What else may come in, as in networking.k8s.io/v1."""
    egress: Annotated[list[EgressRule], Field(max_length=32)] | None = None
    """What else may go out, such as the endpoints of AWS."""


class Monitoring(Model):
    """How Prometheus finds the metrics, by a ServiceMonitor, and a PodMonitor for workers with a port; where their CRDs are installed."""

    enabled: bool = True
    """False for none."""
    path: Annotated[str, StringConstraints(max_length=1024, pattern=r"^/[!-~]*$")] = "/metrics"
    """Path of the metrics."""
    interval: Annotated[str, StringConstraints(max_length=8, pattern=r"^[1-9][0-9]{0,4}(s|m)$")] = "30s"
    """How often they are read."""
    namespace: Namespace = "monitoring"
    """Where Prometheus runs; a NetworkPolicy lets it in from there."""
    labels: Labels | None = None
    """Labels by which a Prometheus chooses its monitors."""


_REGION_RULE: Final = (
    f"has(self.region) || (has(self.url) && self.url.matches(r'{_REGION_IN_URL}'))",
    NO_REGION,
)


class Queue(Model):
    """An SQS queue whose backlog decides how many pods there are, by KEDA."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.url) != has(self.urlFrom)", ONE_QUEUE), _REGION_RULE)
    )

    url: Annotated[str, StringConstraints(max_length=1024, pattern=_QUEUE_URL)] | None = None
    """URL of the queue."""
    url_from: VariableName | None = None
    """The container's variable that holds the URL."""
    region: Annotated[str, StringConstraints(max_length=32, pattern=r"^[a-z0-9-]+$")] | None = None
    """AWS region of the queue; that of the URL when not set. With urlFrom it must be set."""
    messages_per_replica: int = Field(default=5, ge=1, le=100000)
    """Messages, waiting or in flight, for which one pod is enough."""
    activation_messages: int | None = Field(default=None, ge=0, le=100000)
    """Messages above which the first pod is started; with minReplicas 0 only."""
    endpoint: Annotated[str, StringConstraints(max_length=1024, pattern=_QUEUE_URL)] | None = None
    """Endpoint of SQS in place of AWS's own, such as an emulator's."""
    authentication: ObjectName | None = None
    """Name of a TriggerAuthentication; KEDA's own identity when not set."""

    @model_validator(mode="after")
    def _one_queue(self) -> Self:
        if (self.url is None) == (self.url_from is None):
            raise ValueError(ONE_QUEUE)
        if self.region_of_url is None:
            raise ValueError(NO_REGION)
        return self

    @property
    def region_of_url(self) -> str | None:
        """The region, as the field or the URL of AWS says it."""
        found = re.search(_REGION_IN_URL, self.url or "")
        return self.region or (found[1] if found else None)


class TemplateMetadata(Model):
    """Labels and annotations of the pods."""

    labels: Labels | None = None
    """Further labels."""
    annotations: Annotated[dict[str, Text], Field(max_length=32)] | None = None
    """Further annotations."""


class PodTemplate(Model):
    """What no other field says about the pods, merged over what the operator makes (strategic merge patch)."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations."""
    spec: Annotated[
        dict[str, Any] | None, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = None
    """Fields of a pod's spec. A container called app is the one of every part; null, or `$patch: delete` in a field or list item, takes it away. Image, command, args, ports, variables, ServiceAccount and grace period have fields of their own and are refused here."""
