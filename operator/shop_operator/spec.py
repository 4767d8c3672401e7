"""The ShopService as types: what a user may write, and what the operator answers in its status.

These models are the one source of the CustomResourceDefinition (`crd.py` reads their JSON schemas, so the attribute
docstrings are what `kubectl explain` shows) and of what the renderer is given. A rule is written twice on purpose, once as
CEL for the API server and once in Python for `shop-operator` without one; a test holds the two to the same verdicts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

import orjson
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from shop_operator.errors import InvalidSpec
from shop_operator.policies import (
    NEVER_DISRUPTED,
    Disruption,
    Monitoring,
    NetworkPolicy,
    PodTemplate,
    Queue,
    Rollout,
    at_least,
)
from shop_operator.schema import (
    LABEL,
    LABEL_LENGTH,
    SET,
    Count,
    DataKey,
    Divisor,
    Hostname,
    Method,
    Model,
    Namespace,
    ObjectName,
    Port,
    PortReference,
    Quantity,
    Seconds,
    Text,
    VariableName,
    WorkerName,
    count_set,
    distinct,
    how_many,
    map_list,
    rules,
)

GROUP: Final = "shopservice.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "ShopService"
PLURAL: Final = "shopservices"

DISCOVERY_SUFFIX: Final = "-discovery"
DEFAULT_PORT: Final = 8080

# At least two labels: one alone would be a name in no zone.
_DNS_NAME: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+$"
# As HTTPRoute v1 has it: RFC 3986 path characters, and nothing that a proxy could normalise into another path.
_PATH: Final = r"^/([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*$"
_AMBIGUOUS_PATH: Final = r"//|/[.][.]?(/|$)|%2[fF]"
_POD_FIELDS: Final = (
    r"^(metadata\.(name|namespace|uid)|metadata\.(labels|annotations)\['[^']+'\]"
    r"|spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs))$"
)
_LARGEST_TEMPLATE: Final = 64 * 1024
_LONGEST_DISCOVERED: Final = LABEL_LENGTH - len(DISCOVERY_SUFFIX)
_MOST_MATCHES: Final = 128
"""Of one HTTPRoute, by the Gateway API."""

NOT_BOTH: Final = "set either replicas or autoscaling, not both: with autoscaling the HorizontalPodAutoscaler owns the count"
MIN_ABOVE_MAX: Final = "minReplicas must not be greater than maxReplicas"
NEVER_BACK: Final = "minReplicas 0 needs a queue: a HorizontalPodAutoscaler never comes back from no pods"
ITSELF: Final = "dependsOn must not name the ShopService itself"
TEMPLATE_TOO_LARGE: Final = "podTemplate may have 64 KiB at most"
NO_GATEWAY: Final = "routes need a gateway: name the Gateway that serves them in spec.gateway.name"
TOO_MANY_MATCHES: Final = f"routes may have {_MOST_MATCHES} pairs of path and method at most"
AMBIGUOUS_PATH: Final = "path must not contain //, /./, /../ or %2F"
NAME: Final = "the name must be a DNS label that begins with a letter (at most 63 characters), since the Service has the same name"
NAME_TOO_LONG: Final = "the ShopService's name and a worker's name together may have 62 characters at most"
NAME_TOO_LONG_TO_DISCOVER: Final = (
    f"with discovery the name may have {_LONGEST_DISCOVERED} characters at most,"
    f" since a headless Service is called <name>{DISCOVERY_SUFFIX}"
)
NOT_A_DNS_NAME: Final = (
    "hostname must be a DNS name of at least two labels in lower case, such as payment.shop.internal"
)
ONE_HANDLER: Final = (
    "a probe needs exactly one of httpGet, tcpSocket, exec and grpc, or none to keep the default"
)
ONE_SUCCESS: Final = "liveness and startup count from the first success: successThreshold must be 1"
NOTHING_TO_ASK: Final = (
    "a worker without a port has no default probes: give it a port, or each probe exec, grpc or a port number"
)
ONE_VALUE: Final = "a variable has either value or valueFrom, not both"
ONE_SOURCE: Final = (
    "valueFrom needs exactly one of configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef"
)
ONE_ORIGIN: Final = "envFrom needs exactly one of configMapRef and secretRef in each item"
DIVISOR: Final = "divisor must be 1 or 1m for cpu, and anything but 1m for memory and storage"
FOREIGN_ACCOUNT: Final = (
    "annotations are for the ServiceAccount that the operator makes; annotate your own yourself"
)


def _dns_name(value: str) -> str:
    if not re.fullmatch(_DNS_NAME, value):
        raise ValueError(NOT_A_DNS_NAME)
    return value


class KeySelector(Model):
    """One key of a ConfigMap or Secret."""

    name: ObjectName
    """Name of the object, in the namespace of the ShopService."""
    key: DataKey
    """The key to read."""
    optional: bool | None = None
    """Whether a pod may start when the object or the key is missing."""


class FieldSelector(Model):
    """One field of the pod itself."""

    api_version: Literal["v1"] | None = None
    """Version of the schema in which the path is written; v1 when not set."""
    field_path: Annotated[str, StringConstraints(max_length=512, pattern=_POD_FIELDS)]
    """Path such as metadata.name, metadata.labels['shopservice.dev/name'] or status.podIP."""


_DIVISOR_RULE: Final = (
    "!has(self.divisor) || (self.resource.endsWith('.cpu') ? self.divisor in ['1', '1m'] : self.divisor != '1m')",
    DIVISOR,
)


class ResourceSelector(Model):
    """One resource limit or request of the container."""

    model_config = ConfigDict(json_schema_extra=rules(_DIVISOR_RULE))

    resource: Annotated[
        str, StringConstraints(max_length=26, pattern=r"^(limits|requests)\.(cpu|memory|ephemeral-storage)$")
    ]
    """Such as limits.memory."""
    divisor: Divisor | None = None
    """Unit of the value, such as 1m for cpu or 1Mi for memory; 1 when not set."""

    @model_validator(mode="after")
    def _fitting_divisor(self) -> Self:
        divisor = self.divisor or "1"
        if divisor not in {"1", "1m"} if self.resource.endswith(".cpu") else divisor == "1m":
            raise ValueError(DIVISOR)
        return self


_SOURCES: Final = ("config_map_key_ref", "secret_key_ref", "field_ref", "resource_field_ref")


class EnvVarSource(Model):
    """Where an environment variable's value comes from; exactly one of these."""

    model_config = ConfigDict(json_schema_extra=rules((f"{how_many(_SOURCES)} == 1", ONE_SOURCE)))

    config_map_key_ref: KeySelector | None = None
    """A key of a ConfigMap."""
    secret_key_ref: KeySelector | None = None
    """A key of a Secret."""
    field_ref: FieldSelector | None = None
    """A field of the pod."""
    resource_field_ref: ResourceSelector | None = None
    """A resource of the container."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if count_set(self, _SOURCES) != 1:
            raise ValueError(ONE_SOURCE)
        return self


class EnvVar(Model):
    """One environment variable."""

    model_config = ConfigDict(
        json_schema_extra=rules(("!(has(self.value) && has(self.valueFrom))", ONE_VALUE))
    )

    name: VariableName
    """Name of the variable."""
    value: Annotated[str, StringConstraints(max_length=32768)] | None = None
    """Its value, empty when not set. $(OTHER) is replaced by a variable that comes before it."""
    value_from: EnvVarSource | None = None
    """Where its value comes from, when it is not written here."""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError(ONE_VALUE)
        return self


class ObjectReference(Model):
    """A ConfigMap or Secret as a whole."""

    name: ObjectName
    """Name of the object, in the namespace of the ShopService."""
    optional: bool | None = None
    """Whether a pod may start when it is missing."""


_ORIGINS: Final = ("config_map_ref", "secret_ref")


class EnvFromSource(Model):
    """All keys of one ConfigMap or Secret as environment variables."""

    model_config = ConfigDict(json_schema_extra=rules((f"{how_many(_ORIGINS)} == 1", ONE_ORIGIN)))

    prefix: VariableName | None = None
    """Put before every key."""
    config_map_ref: ObjectReference | None = None
    """The ConfigMap."""
    secret_ref: ObjectReference | None = None
    """The Secret."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if count_set(self, _ORIGINS) != 1:
            raise ValueError(ONE_ORIGIN)
        return self


class LocalReference(Model):
    """The name of an object in the same namespace."""

    name: ObjectName
    """Name of the object."""


Command = Annotated[list[Text], Field(min_length=1, max_length=64)]
Env = Annotated[list[EnvVar], Field(max_length=500, json_schema_extra=map_list("name")), distinct("name")]
EnvFrom = Annotated[list[EnvFromSource], Field(max_length=64)]


class Resources(Model):
    """CPU and memory of one container."""

    requests: dict[str, Quantity] | None = Field(default=None, max_length=16)
    """What the scheduler reserves, such as {cpu: 100m, memory: 128Mi}. CPU autoscaling is relative to it."""
    limits: dict[str, Quantity] | None = Field(default=None, max_length=16)
    """What the container may use at most; a container above its memory limit is killed."""


class HttpHeader(Model):
    """One header of a probe's request."""

    name: Annotated[str, StringConstraints(max_length=256, pattern=r"^[-A-Za-z0-9]+$")]
    """Name of the header."""
    value: Text
    """Its value."""


class HttpGetAction(Model):
    """A GET request; 200 to 399 is success."""

    path: Annotated[str, StringConstraints(max_length=4096, pattern=r"^/")] | None = None
    """Path of the request; that of the default probe when not set."""
    port: PortReference | None = None
    """Number of the port; the container's own, which is called http, when not set."""
    scheme: Literal["HTTP", "HTTPS"] | None = None
    """HTTP when not set."""
    http_headers: list[HttpHeader] | None = Field(default=None, max_length=32)
    """Further headers."""


class TcpSocketAction(Model):
    """A connection that opens is success."""

    port: PortReference
    """Number of the port, or http for the container's own."""


class ExecAction(Model):
    """A command in the container; exit code 0 is success."""

    command: Command
    """Program and arguments; no shell."""


class GrpcAction(Model):
    """A call of the gRPC health checking protocol."""

    port: Port
    """Port of the server."""
    service: str | None = Field(default=None, max_length=253)
    """Service name of the request."""


_HANDLERS: Final = ("http_get", "tcp_socket", "exec", "grpc")


class Probe(Model):
    """How a container is asked about its state. What is not set keeps the operator's default."""

    model_config = ConfigDict(json_schema_extra=rules((f"{how_many(_HANDLERS)} <= 1", ONE_HANDLER)))

    http_get: HttpGetAction | None = None
    """Ask by HTTP."""
    tcp_socket: TcpSocketAction | None = None
    """Open a connection."""
    exec: ExecAction | None = None
    """Run a command."""
    grpc: GrpcAction | None = None
    """Ask by gRPC."""
    initial_delay_seconds: Seconds | None = None
    """Seconds before the first question."""
    period_seconds: int | None = Field(default=None, ge=1, le=3600)
    """Seconds between questions."""
    timeout_seconds: int | None = Field(default=None, ge=1, le=3600)
    """Seconds to wait for an answer."""
    success_threshold: int | None = Field(default=None, ge=1, le=1000)
    """Good answers in a row until it counts as well."""
    failure_threshold: int | None = Field(default=None, ge=1, le=1000)
    """Bad answers in a row until it counts as failed."""

    @model_validator(mode="after")
    def _one_handler(self) -> Self:
        if count_set(self, _HANDLERS) > 1:
            raise ValueError(ONE_HANDLER)
        return self

    @property
    def has_own_port(self) -> bool:
        """Whether it can be asked although the container has no port of its own."""
        port = (self.http_get and self.http_get.port) or (self.tcp_socket and self.tcp_socket.port)
        return self.exec is not None or self.grpc is not None or isinstance(port, int)

    @property
    def handler(self) -> dict[str, Any]:
        """The handler as Kubernetes writes it; empty when none is set."""
        keys = {to_camel(each) for each in _HANDLERS}
        return {key: value for key, value in self.to_dict().items() if key in keys}


_PROBES: Final = ("liveness", "readiness", "startup")
_ONE_SUCCESS_RULE: Final = (
    " && ".join(
        f"(!has(self.{probe}) || !has(self.{probe}.successThreshold) || self.{probe}.successThreshold == 1)"
        for probe in ("liveness", "startup")
    ),
    ONE_SUCCESS,
)


class Probes(Model):
    """The three questions that the kubelet asks a container."""

    model_config = ConfigDict(json_schema_extra=rules(_ONE_SUCCESS_RULE))

    liveness: Probe | None = None
    """Is it alive? A container that fails is restarted. Default: GET /healthz, which must know nothing of dependencies."""
    readiness: Probe | None = None
    """May it have traffic? A pod that fails leaves its Service. Default: GET /readyz."""
    startup: Probe | None = None
    """Has it started? The other two wait for it. Default: GET /healthz every second for a minute."""

    @model_validator(mode="after")
    def _one_success(self) -> Self:
        for probe in (self.liveness, self.startup):
            if probe is not None and probe.success_threshold not in {None, 1}:
                raise ValueError(ONE_SUCCESS)
        return self


class ScalingPolicy(Model):
    """One bound on how fast the count may change."""

    type: Literal["Pods", "Percent"]
    """Whether value counts pods or is a percentage of those there are."""
    value: int = Field(ge=1)
    """How many at most within one period."""
    period_seconds: int = Field(ge=1, le=1800)
    """Length of the period."""


class ScalingRules(Model):
    """How the count changes in one direction."""

    stabilization_window_seconds: Seconds | None = None
    """Seconds of past recommendations that are looked at; the most careful one wins."""
    select_policy: Literal["Max", "Min", "Disabled"] | None = None
    """Which policy wins, or Disabled for no change in this direction."""
    policies: list[ScalingPolicy] | None = Field(default=None, min_length=1, max_length=16)
    """The bounds; those of Kubernetes when not set."""


class ScalingBehavior(Model):
    """How fast the autoscaler acts, as in autoscaling/v2."""

    scale_up: ScalingRules | None = None
    """Rules for adding pods."""
    scale_down: ScalingRules | None = None
    """Rules for removing pods."""


class Autoscaling(Model):
    """A HorizontalPodAutoscaler, or a ScaledObject of KEDA's with a queue. Without cpu, memory and queue it holds CPU at 80 %."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.minReplicas <= self.maxReplicas", MIN_ABOVE_MAX),
            ("self.minReplicas > 0 || has(self.queue)", NEVER_BACK),
        )
    )

    min_replicas: int = Field(default=1, ge=0, le=1000)
    """Pods at least; the roll-out begins with this many. 0 is possible with a queue only."""
    max_replicas: int = Field(ge=1, le=1000)
    """Pods at most."""
    cpu: int | None = Field(default=None, ge=1, le=1000)
    """Average CPU to hold, in percent of the pods' CPU request."""
    memory: int | None = Field(default=None, ge=1, le=1000)
    """Average memory to hold, in percent of the pods' memory request."""
    queue: Queue | None = None
    """A queue whose backlog is held at so many messages for each pod; needs KEDA in the cluster."""
    behavior: ScalingBehavior | None = None
    """How fast to scale."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(MIN_ABOVE_MAX)
        if self.min_replicas == 0 and self.queue is None:
            raise ValueError(NEVER_BACK)
        return self


class Route(Model):
    """Requests that the gateway sends to this microservice."""

    model_config = ConfigDict(
        json_schema_extra=rules((f"!self.path.matches(r'{_AMBIGUOUS_PATH}')", AMBIGUOUS_PATH))
    )

    path: Annotated[str, StringConstraints(max_length=1024, pattern=_PATH)]
    """Path of the requests, beginning with a slash."""
    path_type: Literal["PathPrefix", "Exact"] = "PathPrefix"
    """PathPrefix matches whole path elements: /orders matches /orders/1 and not /orders2."""
    methods: (
        Annotated[list[Method], Field(min_length=1, max_length=9, json_schema_extra=SET), distinct()] | None
    ) = None
    """HTTP methods; all of them when not set."""
    hostnames: (
        Annotated[list[Hostname], Field(min_length=1, max_length=16, json_schema_extra=SET), distinct()]
        | None
    ) = None
    """Host names; all that the Gateway's listener has when not set."""

    @model_validator(mode="after")
    def _clear_path(self) -> Self:
        if re.search(_AMBIGUOUS_PATH, self.path):
            raise ValueError(AMBIGUOUS_PATH)
        return self


class Gateway(Model):
    """The Gateway (gateway.networking.k8s.io) to which the routes are attached."""

    name: ObjectName
    """Name of the Gateway."""
    namespace: Namespace | None = None
    """Its namespace; that of the ShopService when not set."""
    section_name: ObjectName | None = None
    """One of its listeners; all of them when not set."""


class ServiceAccount(Model):
    """The identity of the pods."""

    model_config = ConfigDict(
        json_schema_extra=rules(("!(has(self.name) && has(self.annotations))", FOREIGN_ACCOUNT))
    )

    name: ObjectName | None = None
    """A ServiceAccount of yours, which the operator uses and never touches. When not set, it makes one of the ShopService's name."""
    annotations: dict[str, Text] | None = Field(default=None, max_length=32)
    """Annotations of the ServiceAccount that the operator makes, such as eks.amazonaws.com/role-arn."""

    @model_validator(mode="after")
    def _own_annotations(self) -> Self:
        if self.name is not None and self.annotations is not None:
            raise ValueError(FOREIGN_ACCOUNT)
        return self


class Discovery(Model):
    """How the microservice is found from outside the cluster, where there are no Service names."""

    hostname: Annotated[
        str,
        StringConstraints(max_length=253),
        Field(json_schema_extra=rules((f"self.matches(r'{_DNS_NAME}')", NOT_A_DNS_NAME))),
        AfterValidator(_dns_name),
    ]
    """DNS name under which ExternalDNS registers the addresses of the ready pods, such as payment.shop.internal in a namespace of AWS Cloud Map."""


_REPLICAS_RULE: Final = ("!(has(self.replicas) && has(self.autoscaling))", NOT_BOTH)


def _can_be_asked(probe: str) -> str:
    """The CEL rule that a probe of a worker without a port is not set, or needs no such port."""
    at = f"self.probes.{probe}"
    return (
        f"(!has({at}) || has({at}.exec) || has({at}.grpc)"
        f" || (has({at}.httpGet) && has({at}.httpGet.port) && type({at}.httpGet.port) == int)"
        f" || (has({at}.tcpSocket) && type({at}.tcpSocket.port) == int))"
    )


_ASKED_RULE: Final = (
    f"has(self.port) || !has(self.probes) || ({' && '.join(map(_can_be_asked, _PROBES))})",
    NOTHING_TO_ASK,
)


class Worker(Model):
    """A further Deployment of the same image: a queue consumer, an outbox relay. It has no Service."""

    model_config = ConfigDict(json_schema_extra=rules(_REPLICAS_RULE, _ASKED_RULE))

    name: WorkerName
    """Name of the worker, unique in the ShopService; its Deployment is called <shopservice>-<worker>."""
    command: Command
    """Entry point in place of the image's."""
    args: Command | None = None
    """Arguments of the entry point."""
    env: Env | None = None
    """Environment variables in addition to the ShopService's; one of the same name replaces it."""
    port: Port | None = None
    """A port on which it answers about its health; with it come the default probes."""
    probes: Probes | None = None
    """How it is asked about its state. Without a port there are only those that are set here."""
    replicas: Count | None = None
    """Pods to run; 1 when neither this nor autoscaling is set."""
    autoscaling: Autoscaling | None = None
    """Let a HorizontalPodAutoscaler choose the number of pods."""
    resources: Resources | None = None
    """CPU and memory; the ShopService's when not set."""
    termination_grace_period_seconds: Seconds | None = None
    """Seconds between SIGTERM and SIGKILL, for what is in hand to be finished; 30 when not set."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.replicas is not None and self.autoscaling is not None:
            raise ValueError(NOT_BOTH)
        probes = [getattr(self.probes, each) for each in _PROBES] if self.probes else []
        if self.port is None and not all(each.has_own_port for each in probes if each is not None):
            raise ValueError(NOTHING_TO_ASK)
        return self


_FLOOR: Final = (
    "(has(self.autoscaling) ? self.autoscaling.minReplicas : (has(self.replicas) ? self.replicas : 1))"
)
_NEEDED: Final = (
    "(type(self.disruption.minAvailable) == int ? self.disruption.minAvailable"
    f" : (int(self.disruption.minAvailable.replace('%', '')) * {_FLOOR} + 99) / 100)"
)
_DRAINABLE_RULE: Final = (
    f"!has(self.disruption) || !has(self.disruption.minAvailable) || {_FLOOR} < 2 || {_NEEDED} < {_FLOOR}",
    NEVER_DISRUPTED,
)


class ShopServiceSpec(Model):
    """What a microservice shall be. The operator keeps its Deployments, Services, HorizontalPodAutoscalers, HTTPRoute and ServiceAccount as this says."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            _REPLICAS_RULE,
            ("!has(self.routes) || size(self.routes) == 0 || has(self.gateway)", NO_GATEWAY),
            (
                f"!has(self.routes) || self.routes.map(r, has(r.methods) ? size(r.methods) : 1).sum() <= {_MOST_MATCHES}",
                TOO_MANY_MATCHES,
            ),
            _DRAINABLE_RULE,
        )
    )

    image: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[!-~]+$")]
    """The container image, with a tag or a digest."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the kubelet pulls the image; Kubernetes decides by the tag when not set."""
    image_pull_secrets: (
        Annotated[
            list[LocalReference], Field(max_length=16, json_schema_extra=map_list("name")), distinct("name")
        ]
        | None
    ) = None
    """Secrets with the registry's credentials."""
    command: Command | None = None
    """Entry point in place of the image's."""
    args: Command | None = None
    """Arguments of the entry point."""
    port: Port = DEFAULT_PORT
    """The port on which the container serves HTTP. The Service has the same."""
    replicas: Count | None = None
    """Pods to run; 1 when neither this nor autoscaling is set. `kubectl scale` changes it."""
    autoscaling: Autoscaling | None = None
    """Let a HorizontalPodAutoscaler choose the number of pods."""
    resources: Resources | None = None
    """CPU and memory of each pod. Autoscaling needs the requests."""
    env: Env | None = None
    """Environment variables of the web part and of every worker."""
    env_from: EnvFrom | None = None
    """ConfigMaps and Secrets of which every key is an environment variable."""
    probes: Probes | None = None
    """How a pod is asked about its state."""
    routes: Annotated[list[Route], Field(max_length=16)] | None = None
    """Requests that come in through the gateway. Without routes the microservice is only reachable inside the cluster."""
    gateway: Gateway | None = None
    """The Gateway for the routes."""
    discovery: Discovery | None = None
    """How it is found from outside the cluster: a headless Service of its name and -discovery, which ExternalDNS reads. Not set: by its Service's name inside the cluster only."""
    workers: (
        Annotated[list[Worker], Field(max_length=16, json_schema_extra=map_list("name")), distinct("name")]
        | None
    ) = None
    """Further Deployments of the same image, without a Service."""
    depends_on: (
        Annotated[
            list[Annotated[str, StringConstraints(max_length=LABEL_LENGTH, pattern=LABEL)]],
            Field(max_length=64, json_schema_extra=SET),
            distinct(),
        ]
        | None
    ) = None
    """ShopServices of the same namespace that this one calls. On the first roll-out its pods wait, for two minutes at most, until they are available; each has its URL in a variable such as PRODUCT_URL."""
    disruption: Disruption | None = None
    """How many pods of the web part a drain may take at the same time; one when not set. There is no PodDisruptionBudget for less than two pods."""
    rollout: Rollout | None = None
    """How a new version takes the place of the old one."""
    network_policy: NetworkPolicy | None = None
    """Who may talk to the pods, and to whom they may (to port 53 always, for DNS); everybody when not set."""
    monitoring: Monitoring | None = None
    """How Prometheus finds the metrics; not at all when not set."""
    pod_template: PodTemplate | None = None
    """What no other field says about the pods."""
    suspend: bool | None = None
    """True: leave everything as it is, whatever this spec says, until it is taken back."""
    service_account: ServiceAccount | None = None
    """The identity of the pods."""
    termination_grace_period_seconds: Seconds | None = None
    """Seconds between SIGTERM and SIGKILL; 30 when not set. The first five (of less than ten, half) are for the Service to forget the pod."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.replicas is not None and self.autoscaling is not None:
            raise ValueError(NOT_BOTH)
        routes = self.routes or []
        if routes and self.gateway is None:
            raise ValueError(NO_GATEWAY)
        if sum(len(route.methods or "*") for route in routes) > _MOST_MATCHES:
            raise ValueError(TOO_MANY_MATCHES)
        needed = self.disruption.min_available if self.disruption else None
        if needed is not None and self.floor > 1 and at_least(needed, self.floor) >= self.floor:
            raise ValueError(NEVER_DISRUPTED)
        return self

    @property
    def floor(self) -> int:
        """The pods of the web part that there are at least."""
        if self.autoscaling is not None:
            return self.autoscaling.min_replicas
        return 1 if self.replicas is None else self.replicas


class Condition(Model):
    """One aspect of the state, as every Kubernetes API has it."""

    type: str
    """Ready, Available, Progressing, Reconciling, Stalled or DependenciesReady."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str
    """One word for programs."""
    message: str
    """A sentence for people."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When the status last changed."""
    observed_generation: int
    """The generation of the spec that this is about."""


class ChildStatus(Model):
    """One object that the operator keeps."""

    kind: str
    """Its kind."""
    name: str
    """Its name."""
    ready: bool
    """Whether it does what it is for."""
    message: str
    """Why not, or what it shows."""


class DriftStatus(Model):
    """One repair of what somebody else had changed."""

    time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When it was put back."""
    object: str
    """What was changed, such as Deployment web."""
    fields: list[str]
    """Which of its fields."""
    manager: str
    """The field manager that wrote the object last."""


class Drift(Model):
    """What somebody changed of the fields that the operator owns; it is put back."""

    count: int
    """How often that has happened."""
    last: DriftStatus
    """The last time."""


class RolloutStatus(Model):
    """What is known of images for an automatic rollback."""

    last_available_image: str | None = None
    """The last image with which everything was available."""
    rejected_image: str | None = None
    """The image of the spec that was rolled back; it is not tried again."""
    message: str | None = None
    """Why."""


class ShopServiceStatus(Model):
    """What the operator found. Nothing here is for users to write."""

    observed_generation: int | None = None
    """The generation of the spec that this status is about."""
    conditions: Annotated[list[Condition], Field(json_schema_extra=map_list("type"))] | None = None
    """Ready, Available, Progressing, Reconciling and Stalled, as kstatus reads them; DependenciesReady with dependsOn."""
    drift: Drift | None = None
    """What somebody changed of the fields that the operator owns."""
    rollout: RolloutStatus | None = None
    """Images, with rollout.autoRollback."""
    suspended: bool | None = None
    """Whether the operator leaves everything as it is, since spec.suspend says so."""
    replicas: int | None = None
    """Pods of the web part."""
    ready_replicas: int | None = None
    """Those of them that are ready."""
    ready: str | None = None
    """Ready and wanted pods of the web part, such as 2/2."""
    selector: str | None = None
    """Selects the pods of the web part; for the scale subresource."""
    image: str | None = None
    """The image that was rolled out."""
    autoscaling: str | None = None
    """Bounds of the autoscaler, such as 2-10."""
    url: str | None = None
    """Where the microservice answers inside the cluster."""
    children: Annotated[list[ChildStatus], Field(json_schema_extra=map_list("kind", "name"))] | None = None
    """The objects that the operator keeps, and how each is."""


@dataclass(frozen=True)
class ShopService:
    """One ShopService as the API server has it; its spec is parsed when it is asked for.

    Args:
        name: metadata.name.
        namespace: metadata.namespace.
        uid: metadata.uid.
        generation: metadata.generation.
        labels: metadata.labels.
        document: the spec as it is, maybe not valid.
    """

    name: str
    namespace: str
    uid: str
    generation: int
    labels: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_object(cls, obj: Mapping[str, Any]) -> "ShopService":
        """Read an object of the API; never refuses one."""
        metadata = obj["metadata"]
        return cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            labels=metadata.get("labels") or {},
            document=obj.get("spec") or {},
        )

    @cached_property
    def spec(self) -> ShopServiceSpec:
        """The spec as types.

        Raises:
            InvalidSpec: what is wrong, field by field, and where.
        """
        try:
            spec = ShopServiceSpec.model_validate(self.document)
        except ValidationError as error:
            raise InvalidSpec(_sentences(error)) from None
        if len(self.name) > LABEL_LENGTH or not re.fullmatch(LABEL, self.name):
            raise InvalidSpec(f"metadata.name: {NAME}.")
        if any(len(self.name) + len(worker.name) >= LABEL_LENGTH for worker in spec.workers or ()):
            raise InvalidSpec(f"spec.workers: {NAME_TOO_LONG}.")
        if spec.discovery is not None and len(self.name) > _LONGEST_DISCOVERED:
            raise InvalidSpec(f"spec.discovery: {NAME_TOO_LONG_TO_DISCOVER}.")
        if len(orjson.dumps(self.document.get("podTemplate"))) > _LARGEST_TEMPLATE:
            raise InvalidSpec(f"spec.podTemplate: {TEMPLATE_TOO_LARGE}.")
        if self.name in (spec.depends_on or ()):
            raise InvalidSpec(f"spec.dependsOn: {ITSELF}.")
        return spec


OBJECT_RULES: Final = rules(
    (f"self.metadata.name.matches('{LABEL}') && size(self.metadata.name) <= {LABEL_LENGTH}", NAME),
    (
        f"!has(self.spec.workers) || self.spec.workers.all(w, size(self.metadata.name) + size(w.name) < {LABEL_LENGTH})",
        NAME_TOO_LONG,
    ),
    (
        f"!has(self.spec.discovery) || size(self.metadata.name) <= {_LONGEST_DISCOVERED}",
        NAME_TOO_LONG_TO_DISCOVER,
    ),
    (
        "!has(self.spec.dependsOn) || !self.spec.dependsOn.exists(d, d == self.metadata.name)",
        ITSELF,
    ),
)
"""What the spec alone cannot say."""

_WORDS: Final[Mapping[str, str]] = {"extra_forbidden": "unknown field", "missing": "is required"}


def _sentences(error: ValidationError) -> str:
    found = []
    for each in error.errors(include_url=False, include_input=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in each["loc"])
        words = _WORDS.get(each["type"], each["msg"].removeprefix("Value error, "))
        found.append(f"spec{path}: {words}.")
    return " ".join(found)
