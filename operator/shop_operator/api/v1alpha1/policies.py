"""The parts of a ShopService that say how it is rolled out, disrupted, reached and observed.

Models like those of spec.py, of which these are fields; a rule is in CEL and in Python here too.
"""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, PlainValidator, StringConstraints, model_validator

from shop_operator.api.v1alpha1.schema import (
    ABSOLUTE,
    LAST_PORT,
    SET,
    Annotations,
    Form,
    FormOfMany,
    Labels,
    Model,
    Namespace,
    ObjectName,
    Port,
    SelectedKey,
    SelectedLabels,
    SelectedValue,
    VariableName,
    distinct,
    int_or_string,
    matching,
    rules,
)

PERCENT: Final = r"(100|[0-9]{1,2})%"
_WHOLE: Final = 100
_MOST_PODS: Final = 1000
_OCTET: Final = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_CIDR: Final = (
    (
        rf"{_OCTET}(\.{_OCTET}){{3}}/(3[0-2]|[12]?[0-9])"
        r"|[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}/(12[0-8]|1[01][0-9]|[1-9]?[0-9])"
    ),
    "must be an address range in CIDR notation, such as 10.0.0.0/8, 192.0.2.1/32 or fd00::/8",
)
# As in the API: at least one letter, and a hyphen only between two other characters.
_PORT_NAME: Final = r"([a-z0-9]+-)*[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*"
_LONGEST_PORT_NAME: Final = 15
_QUEUE_URL: Final = Form(
    r"https?://[!-~]+", "must be a URL that begins with https:// or http://, without spaces"
)
_REGION: Final = Form(r"[a-z0-9-]+", "must be an AWS region, such as eu-west-1")
_INTERVAL: Final = Form(
    r"[1-9][0-9]{0,4}(s|m)", "must be a duration in seconds or minutes, such as 30s or 1m"
)
# Where the region stands in the URL of a queue of AWS; a fixed part, so CEL and Python read it alike.
_REGION_IN_URL: Final = r"^https?://sqs[.]([a-z0-9-]+)[.]amazonaws[.]com(/|$|[.])"

ONE_BOUND: Final = "disruption must set exactly one of minAvailable and maxUnavailable"
NEVER_DISRUPTED: Final = (
    "disruption must leave room for a drain: maxUnavailable must be at least 1 or 1%,"
    " and minAvailable must be less than 100%"
)
DEADLINE_SECONDS: Final = 300
"""Without progress after which a roll-out has failed, when no field says otherwise."""
NO_SURGE: Final = (
    "rollout.type Recreate deletes all pods before it creates new ones, so it does not allow maxSurge or maxUnavailable;"
    " remove them, or set type: RollingUpdate"
)
TOO_SHORT_A_DEADLINE: Final = (
    "rollout.minReadySeconds must be less than progressDeadlineSeconds (default: 300)"
)
NO_PROGRESS: Final = "rollout cannot make progress: maxSurge and maxUnavailable must not both be zero"
ONE_QUEUE: Final = "a queue must set exactly one of url and urlFrom"
NO_REGION: Final = "set queue.region: the URL of the queue does not contain the region"
ONE_PEER: Final = "a peer must set either ipBlock, or podSelector, namespaceSelector or both"
NO_RANGE: Final = "endPort requires a numeric port that is not greater than endPort"
NO_SHARE: Final = "must be a number of pods or a percentage such as 25%"
NO_PORT_NAME: Final = (
    "must be a number from 1 to 65535 or the name of a port, such as http: at most 15 lowercase letters, digits"
    " and single '-' between them, with at least one letter"
)
FOREIGN_VALUES: Final = "In and NotIn require values; Exists and DoesNotExist do not allow them"


def _share(value: Any) -> int | str:
    if isinstance(value, str) and re.fullmatch(PERCENT, value):
        return value
    if type(value) is int and 0 <= value <= _MOST_PODS:
        return value
    raise ValueError(NO_SHARE)


def _named_port(value: Any) -> int | str:
    if isinstance(value, str) and len(value) <= _LONGEST_PORT_NAME and re.fullmatch(_PORT_NAME, value):
        return value
    if type(value) is int and 1 <= value <= LAST_PORT:
        return value
    raise ValueError(NO_PORT_NAME)


Share = Annotated[
    int | str,
    PlainValidator(_share),
    int_or_string(
        minimum=0,
        maximum=_MOST_PODS,
        **rules((f"type(self) == int || {matching('self', PERCENT)}", NO_SHARE)),
    ),
]
NamedPort = Annotated[
    int | str,
    PlainValidator(_named_port),
    int_or_string(
        **rules((f"type(self) == int || {matching('self', _PORT_NAME)}", NO_PORT_NAME)),
        maxLength=_LONGEST_PORT_NAME,
        minimum=1,
        maximum=LAST_PORT,
    ),
]
CIDR = Annotated[str, StringConstraints(max_length=43), Form(*_CIDR)]
ExceptedCIDR = Annotated[str, StringConstraints(max_length=43), FormOfMany(*_CIDR)]


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
    """Number of pods that may be evicted at the same time."""

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
    """Pods that must stay available, as a number or a percentage. While so few pods run that none could be evicted, maxUnavailable: 1 applies instead."""
    max_unavailable: Share | None = None
    """Pods that may be unavailable, as a number or a percentage."""

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


_NO_SURGE_RULE: Final = (
    "!has(self.type) || self.type != 'Recreate' || (!has(self.maxSurge) && !has(self.maxUnavailable))",
    NO_SURGE,
)
_DEADLINE: Final = f"(has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : {DEADLINE_SECONDS})"
_DEADLINE_RULE: Final = (
    f"!has(self.minReadySeconds) || self.minReadySeconds < {_DEADLINE}",
    TOO_SHORT_A_DEADLINE,
)


class Rollout(Model):
    """Rollout of a new version."""

    model_config = ConfigDict(
        json_schema_extra=rules((_PROGRESSES, NO_PROGRESS), _NO_SURGE_RULE, _DEADLINE_RULE)
    )

    type: Literal["RollingUpdate", "Recreate"] | None = None
    """Strategy of every Deployment. Defaults to RollingUpdate: old pods are deleted as new ones become ready. Recreate deletes all old pods before it creates new ones, as a ReadWriteOnce volume requires; the microservice is unavailable in between."""
    min_ready_seconds: int | None = Field(default=None, ge=0, le=3599)
    """Seconds for which a new pod must be ready before it is considered available and the rollout continues. Defaults to 0."""
    max_surge: Share | None = None
    """Pods above the desired number during a rollout. Defaults to 25%."""
    max_unavailable: Share | None = None
    """Pods that may be unavailable during a rollout. Defaults to 0."""
    progress_deadline_seconds: int | None = Field(default=None, ge=10, le=3600)
    """Seconds without progress after which a rollout is considered failed. Defaults to 300."""
    auto_rollback: bool | None = None
    """Roll a failed rollout back to the last release that was available, with its image, configuration, probes and all other settings of the pods. The failed release is retried when it changes, or when the annotation shopservice.dev/retry is set to a new value. Defaults to false."""

    @model_validator(mode="after")
    def _progresses(self) -> Self:
        surge, missing = self.max_surge, self.max_unavailable
        if self.type == "Recreate" and (surge is not None or missing is not None):
            raise ValueError(NO_SURGE)
        if (self.min_ready_seconds or 0) >= (self.progress_deadline_seconds or DEADLINE_SECONDS):
            raise ValueError(TOO_SHORT_A_DEADLINE)
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

    key: SelectedKey
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """Relation of the label to the values."""
    values: Annotated[list[SelectedValue], Field(max_length=32)] | None = None
    """Values for In and NotIn."""

    @model_validator(mode="after")
    def _values(self) -> Self:
        if (self.operator in {"In", "NotIn"}) != bool(self.values):
            raise ValueError(FOREIGN_VALUES)
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
    """Namespaces. Without podSelector, all pods in them."""
    ip_block: IPBlock | None = None
    """Address range."""

    @model_validator(mode="after")
    def _one_peer(self) -> Self:
        inside = self.pod_selector is not None or self.namespace_selector is not None
        if (self.ip_block is not None) == inside:
            raise ValueError(ONE_PEER)
        return self


class PolicyPort(Model):
    """A port or a range of ports."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.endPort) || (has(self.port) && type(self.port) == int && self.port <= self.endPort)",
                NO_RANGE,
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
            raise ValueError(NO_RANGE)
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
    """Namespaces of the Gateway proxies to allow connections from. They are allowed without routes too, as is needed for a backend of another ShopService. Defaults to the namespaces of the Gateways."""


class Monitoring(Model):
    """Prometheus scraping, by a ServiceMonitor and by a PodMonitor for workers with a port. Requires the CRDs of the Prometheus operator."""

    enabled: bool = True
    """Whether to create the monitors."""
    path: Annotated[
        str,
        StringConstraints(max_length=1024),
        ABSOLUTE,
        Form(r"[!-~]*", "path must not contain spaces"),
    ] = "/metrics"
    """Path of the metrics."""
    interval: Annotated[str, StringConstraints(max_length=8), _INTERVAL] = "30s"
    """Scrape interval."""
    namespace: Namespace = "monitoring"
    """Namespace of Prometheus, which the NetworkPolicy allows connections from."""
    labels: Labels | None = None
    """Labels of the monitors, for the selectors of a Prometheus."""


_REGION_RULE: Final = (
    f"has(self.region) || (has(self.url) && self.url.matches(r'{_REGION_IN_URL}'))",
    NO_REGION,
)


class Queue(Model):
    """SQS queue to scale by."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.url) != has(self.urlFrom)", ONE_QUEUE), _REGION_RULE)
    )

    url: Annotated[str, StringConstraints(max_length=1024), _QUEUE_URL] | None = None
    """URL of the queue. It must be an address of Amazon SQS, or be allowed by the operator's allowedQueueEndpoints."""
    url_from: VariableName | None = None
    """Name of the container's environment variable that contains the URL."""
    region: Annotated[str, StringConstraints(max_length=32), _REGION] | None = None
    """AWS region of the queue. Defaults to the region in the URL. Required if the URL contains none, and with urlFrom."""
    messages_per_replica: int = Field(default=5, ge=1, le=100000)
    """Target number of messages, waiting or in flight, per pod."""
    activation_messages: int | None = Field(default=None, ge=0, le=100000)
    """Number of messages above which the first pod is created. Applies with minReplicas 0."""
    endpoint: Annotated[str, StringConstraints(max_length=1024), _QUEUE_URL] | None = None
    """Endpoint of SQS, such as that of an emulator. KEDA sends requests with its own identity to it, so it must be an endpoint of Amazon SQS or be allowed by the operator's allowedQueueEndpoints. Defaults to that of AWS."""
    authentication: ObjectName | None = None
    """Name of a TriggerAuthentication. Defaults to the identity of KEDA."""

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
    """Additional labels."""
    annotations: Annotations | None = None
    """Additional annotations."""


class PodTemplate(Model):
    """Pod settings without a field of their own, merged over the operator's defaults as a strategic merge patch."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations."""
    spec: Annotated[
        dict[str, Any] | None, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = None
    """Fields of a pod's spec, merged as the API server merges an apply: items of lists are matched by all of their keys, and a handler, source or other member of a union replaces the one that is set. `$patch: delete` in a field or list item removes it, and `$patch: replace` in a map or list discards the existing content. Null removes a field too, but `kubectl apply` and `helm upgrade` do not send it. The container named app represents the main container of every Deployment. Image, command, args, ports, ServiceAccount and grace period have fields of their own and are rejected here, and so is a different value for an environment variable that env, workers or dependsOn sets. Other variables of the container named app come after those, so a value in spec.env that refers to one of them as `$(NAME)` is not expanded: define it in spec.env instead."""
