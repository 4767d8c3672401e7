"""The ShopService as types: what a user may write, and what the operator answers in its status.

These models are the one source of the CustomResourceDefinition (`crd.py` reads their JSON schemas, so the attribute
docstrings are what `kubectl explain` shows) and of what the renderer is given. A rule is written twice on purpose, once as
CEL for the API server and once in Python for `shop-operator` without one; a test holds the two to the same verdicts.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

import orjson
from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from shop_operator.api.v1alpha1.common_metadata import CommonMetadata
from shop_operator.api.v1alpha1.lifecycle import CALL_RULE, PAUSE_RULE, Lifecycle, check_lifecycle
from shop_operator.api.v1alpha1.policies import (
    Disruption,
    Monitoring,
    NetworkPolicy,
    PodTemplate,
    Queue,
    Rollout,
)
from shop_operator.api.v1alpha1.routing import MOST_ROUTES, Gateway, Route
from shop_operator.api.v1alpha1.schema import (
    ABSOLUTE,
    LABEL,
    LABEL_LENGTH,
    SET,
    Annotations,
    Count,
    DataKey,
    Divisor,
    Form,
    HeaderName,
    Model,
    ObjectName,
    Port,
    PortReference,
    Quantity,
    Seconds,
    ServiceName,
    Text,
    VariableName,
    WorkerName,
    count_set,
    distinct,
    how_many,
    map_list,
    matching,
    rules,
)
from shop_operator.errors import InvalidSpec
from shop_operator.names import DISCOVERY_SUFFIX
from shop_operator.objects.lenient import deeper, mapping

DEFAULT_PORT: Final = 8080

# At least two labels: one alone would be a name in no zone.
_DNS_NAME: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+"
_POD_FIELD: Final = Form(
    r"metadata\.(name|namespace|uid)|metadata\.(labels|annotations)\['[^']+'\]"
    r"|spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs)",
    "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'],"
    " spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP or status.podIPs",
    "self in ['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName',"
    " 'status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs']"
    """ || ((self.startsWith("metadata.labels['") || self.startsWith("metadata.annotations['"))"""
    r""" && self.matches(r"^[^']+'[^']+'\]$"))""",
)
_RESOURCE: Final = Form(
    r"(limits|requests)\.(cpu|memory|ephemeral-storage)",
    "must be limits or requests, a dot, and cpu, memory or ephemeral-storage, such as limits.memory",
)
_IMAGE: Final = Form(
    r"[!-~]+", "must be the name of an image without spaces, such as registry.example.com/web:1.2"
)
LARGEST_TEMPLATE: Final = 64 * 1024
_DEEPEST_TEMPLATE: Final = 64
_LONGEST_DISCOVERED: Final = LABEL_LENGTH - len(DISCOVERY_SUFFIX)

NOT_BOTH: Final = (
    "set either replicas or autoscaling, not both: with autoscaling, the autoscaler owns the replica count;"
    " remove replicas to let it scale, or set replicas to 0 to turn it off"
)
MIN_ABOVE_MAX: Final = "minReplicas must not be greater than maxReplicas"
NEVER_BACK: Final = (
    "minReplicas 0 requires autoscaling.queue: a HorizontalPodAutoscaler cannot scale up from zero"
)
ITSELF: Final = "dependsOn must not name the ShopService itself"
TEMPLATE_TOO_DEEP: Final = f"podTemplate must not be nested more than {_DEEPEST_TEMPLATE} levels deep"
TEMPLATE_TOO_LARGE: Final = "podTemplate must not exceed 64 KiB"
NO_GATEWAY: Final = "routes require a gateway: set spec.gateway.name to the Gateway that serves them"
NAME: Final = "the name must be a DNS label that begins with a letter (at most 63 characters), since the Service has the same name"
NAME_TOO_LONG: Final = "the names of the ShopService and of a worker must not exceed 62 characters together"
NAME_TOO_LONG_TO_DISCOVER: Final = (
    f"with discovery, the name must not exceed {_LONGEST_DISCOVERED} characters,"
    f" since the headless Service is named <name>{DISCOVERY_SUFFIX}"
)
NOT_A_DNS_NAME: Final = (
    "hostname must be a lowercase DNS name of at least two labels, such as payment.shop.internal"
)
ONE_HANDLER: Final = (
    "a probe must set exactly one of httpGet, tcpSocket, exec and grpc, or none to keep the default"
)
ONE_SUCCESS: Final = "successThreshold must be 1 for liveness and startup probes"
NOTHING_TO_ASK: Final = "a worker without a port has no default probes: set port, or use exec, grpc or a numeric port in every probe"
ONE_VALUE: Final = "a variable must not set both value and valueFrom"
ONE_SOURCE: Final = (
    "valueFrom must set exactly one of configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef"
)
ONE_ORIGIN: Final = "each item of envFrom must set exactly one of configMapRef and secretRef"
DIVISOR: Final = "divisor must be 1 or 1m for cpu, and must not be 1m for memory and ephemeral-storage"
FOREIGN_ACCOUNT: Final = "annotations apply to the ServiceAccount that the operator creates; annotate an existing ServiceAccount directly"


class KeySelector(Model):
    """One key of a ConfigMap or Secret."""

    name: ObjectName
    """Name of the object, in the namespace of the ShopService."""
    key: DataKey
    """The key to read."""
    optional: bool | None = None
    """Whether a pod may start when the object or the key is missing."""


class FieldSelector(Model):
    """A field of the pod."""

    api_version: Literal["v1"] | None = None
    """Version of the schema that the path refers to. Defaults to v1."""
    field_path: Annotated[str, StringConstraints(max_length=512), _POD_FIELD]
    """Path such as metadata.name, metadata.labels['shopservice.dev/name'] or status.podIP."""


_DIVISOR_RULE: Final = (
    "!has(self.divisor) || (self.resource.endsWith('.cpu') ? self.divisor in ['1', '1m'] : self.divisor != '1m')",
    DIVISOR,
)


class ResourceSelector(Model):
    """One resource limit or request of the container."""

    model_config = ConfigDict(json_schema_extra=rules(_DIVISOR_RULE))

    resource: Annotated[str, StringConstraints(max_length=26), _RESOURCE]
    """Resource to read, such as limits.memory."""
    divisor: Divisor | None = None
    """Unit of the value, such as 1m for cpu or 1Mi for memory. Defaults to 1."""

    @model_validator(mode="after")
    def _fitting_divisor(self) -> Self:
        divisor = self.divisor or "1"
        if divisor not in {"1", "1m"} if self.resource.endswith(".cpu") else divisor == "1m":
            raise ValueError(DIVISOR)
        return self


_SOURCES: Final = ("config_map_key_ref", "secret_key_ref", "field_ref", "resource_field_ref")


class EnvVarSource(Model):
    """Source of an environment variable's value. Exactly one field must be set."""

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
    """Value of the variable. $(OTHER) is replaced by the value of a variable defined earlier. Defaults to the empty string."""
    value_from: EnvVarSource | None = None
    """Source of the value, in place of value."""

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
    """Prefix of every variable name."""
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
    """Resources that the scheduler reserves, such as {cpu: 100m, memory: 128Mi}. Autoscaling by CPU or memory is relative to them."""
    limits: dict[str, Quantity] | None = Field(default=None, max_length=16)
    """Maximum resources that the container may use. A container that exceeds its memory limit is killed."""


class HttpHeader(Model):
    """One header of a probe's request."""

    name: HeaderName
    """Name of the header."""
    value: Text
    """Value of the header."""


class HttpGetAction(Model):
    """An HTTP GET request. A status from 200 to 399 is a success."""

    path: Annotated[str, StringConstraints(max_length=4096), ABSOLUTE] | None = None
    """Path of the request. Defaults to that of the default probe."""
    port: PortReference | None = None
    """Port number, or http for the port of the container. Defaults to http."""
    scheme: Literal["HTTP", "HTTPS"] | None = None
    """Scheme of the request. Defaults to HTTP."""
    http_headers: list[HttpHeader] | None = Field(default=None, max_length=32)
    """Additional headers."""


class TcpSocketAction(Model):
    """A TCP connection. An open connection is a success."""

    port: PortReference
    """Port number, or http for the port of the container."""


class ExecAction(Model):
    """A command in the container. Exit code 0 is a success."""

    command: Command
    """Program and its arguments. It is not run in a shell."""


class GrpcAction(Model):
    """A call by the gRPC health checking protocol."""

    port: Port
    """Port of the server."""
    service: str | None = Field(default=None, max_length=253)
    """Service name of the request."""


_HANDLERS: Final = ("http_get", "tcp_socket", "exec", "grpc")


class Probe(Model):
    """A health check of a container. Fields that are not set keep the operator's defaults."""

    model_config = ConfigDict(json_schema_extra=rules((f"{how_many(_HANDLERS)} <= 1", ONE_HANDLER)))

    http_get: HttpGetAction | None = None
    """Check by an HTTP GET request."""
    tcp_socket: TcpSocketAction | None = None
    """Check by opening a TCP connection."""
    exec: ExecAction | None = None
    """Check by running a command in the container."""
    grpc: GrpcAction | None = None
    """Check by a gRPC call."""
    initial_delay_seconds: Seconds | None = None
    """Seconds after the container has started before the first check."""
    period_seconds: int | None = Field(default=None, ge=1, le=3600)
    """Seconds between checks."""
    timeout_seconds: int | None = Field(default=None, ge=1, le=3600)
    """Seconds after which a check times out."""
    success_threshold: int | None = Field(default=None, ge=1, le=1000)
    """Minimum consecutive successes for the probe to be considered successful after a failure."""
    failure_threshold: int | None = Field(default=None, ge=1, le=1000)
    """Minimum consecutive failures for the probe to be considered failed."""

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
    """Health checks that the kubelet runs on a container."""

    model_config = ConfigDict(json_schema_extra=rules(_ONE_SUCCESS_RULE))

    liveness: Probe | None = None
    """Liveness probe. A container that fails it is restarted, so it must not check dependencies. Defaults to GET /healthz."""
    readiness: Probe | None = None
    """Readiness probe. A pod that fails it receives no traffic from its Service. Defaults to GET /readyz."""
    startup: Probe | None = None
    """Startup probe. The other probes do not run until it succeeds. Defaults to GET /healthz every second for one minute."""

    @model_validator(mode="after")
    def _one_success(self) -> Self:
        for probe in (self.liveness, self.startup):
            if probe is not None and probe.success_threshold not in {None, 1}:
                raise ValueError(ONE_SUCCESS)
        return self


class ScalingPolicy(Model):
    """A limit on how fast the number of pods may change."""

    type: Literal["Pods", "Percent"]
    """Unit of value: a number of pods, or a percentage of the current pods."""
    value: int = Field(ge=1)
    """Maximum change within one period."""
    period_seconds: int = Field(ge=1, le=1800)
    """Length of the period in seconds."""


class ScalingRules(Model):
    """Scaling rules for one direction."""

    stabilization_window_seconds: Seconds | None = None
    """Seconds of past recommendations to consider; the most conservative one is used."""
    select_policy: Literal["Max", "Min", "Disabled"] | None = None
    """Policy that applies: the one with the largest (Max) or the smallest (Min) change. Disabled turns scaling in this direction off."""
    policies: list[ScalingPolicy] | None = Field(default=None, min_length=1, max_length=16)
    """Limits on the rate of change. Defaults to those of Kubernetes."""


class ScalingBehavior(Model):
    """Scaling behavior of the autoscaler, as in autoscaling/v2."""

    scale_up: ScalingRules | None = None
    """Rules for adding pods."""
    scale_down: ScalingRules | None = None
    """Rules for removing pods."""


def least_pods(autoscaling: str) -> str:
    """The CEL expression for the minReplicas of an autoscaling block, the default included."""
    return f"(has({autoscaling}.minReplicas) ? {autoscaling}.minReplicas : 1)"


class Autoscaling(Model):
    """A HorizontalPodAutoscaler, or a KEDA ScaledObject if queue is set. Without cpu, memory and queue, the target is 80 % CPU utilization."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (f"{least_pods('self')} <= self.maxReplicas", MIN_ABOVE_MAX),
            ("!has(self.minReplicas) || self.minReplicas > 0 || has(self.queue)", NEVER_BACK),
        )
    )

    min_replicas: int = Field(default=1, ge=0, le=1000)
    """Minimum number of pods, and the number that a new Deployment starts with. 0 requires queue."""
    max_replicas: int = Field(ge=1, le=1000)
    """Maximum number of pods."""
    cpu: int | None = Field(default=None, ge=1, le=1000)
    """Target average CPU utilization in percent of the container's CPU request. Sidecars are not counted."""
    memory: int | None = Field(default=None, ge=1, le=1000)
    """Target average memory utilization in percent of the container's memory request. Sidecars are not counted."""
    queue: Queue | None = None
    """SQS queue to scale by, at a number of messages per pod. Requires KEDA in the cluster."""
    behavior: ScalingBehavior | None = None
    """Limits on how fast to scale."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(MIN_ABOVE_MAX)
        if self.min_replicas == 0 and self.queue is None:
            raise ValueError(NEVER_BACK)
        return self


class ServiceAccount(Model):
    """The identity of the pods."""

    model_config = ConfigDict(
        json_schema_extra=rules(("!(has(self.name) && has(self.annotations))", FOREIGN_ACCOUNT))
    )

    name: ObjectName | None = None
    """Name of an existing ServiceAccount in the namespace. The operator never changes it; its permissions become available to the author of the ShopService. Defaults to a ServiceAccount that the operator creates with the name of the ShopService."""
    annotations: Annotations | None = None
    """Annotations of the ServiceAccount that the operator creates, such as eks.amazonaws.com/role-arn."""

    @model_validator(mode="after")
    def _own_annotations(self) -> Self:
        if self.name is not None and self.annotations is not None:
            raise ValueError(FOREIGN_ACCOUNT)
        return self


class Discovery(Model):
    """Discovery of the microservice by DNS from outside the cluster."""

    hostname: Annotated[
        str,
        StringConstraints(max_length=253),
        Form(_DNS_NAME, NOT_A_DNS_NAME),
    ]
    """DNS name under which ExternalDNS registers the addresses of the ready pods, such as payment.shop.internal in a namespace of AWS Cloud Map."""


_REPLICAS_RULE: Final = ("!has(self.replicas) || !has(self.autoscaling) || self.replicas == 0", NOT_BOTH)


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
    """An additional Deployment of the same image, such as a queue consumer or an outbox relay. It has no Service."""

    model_config = ConfigDict(json_schema_extra=rules(_REPLICAS_RULE, _ASKED_RULE, CALL_RULE, PAUSE_RULE))

    name: WorkerName
    """Name of the worker, unique in the ShopService; its Deployment is named <shopservice>-<worker>."""
    command: Command
    """Entry point, in place of the image's."""
    args: Command | None = None
    """Arguments to the entry point."""
    env: Env | None = None
    """Additional environment variables. A variable with the same name as one of the ShopService replaces it."""
    port: Port | None = None
    """Port for health checks. If set, the worker has the default probes."""
    probes: Probes | None = None
    """Health checks of the container. Without port, only the probes that are set here apply."""
    lifecycle: Lifecycle | None = None
    """Lifecycle hooks of the container. Those of the ShopService do not apply. Defaults to none."""
    replicas: Count | None = None
    """Number of pods. Defaults to 1 if autoscaling is not set. With autoscaling, only 0 is allowed: it scales to zero and turns the autoscaler off until the field is removed."""
    autoscaling: Autoscaling | None = None
    """Automatic scaling of the number of pods. Defaults to none."""
    resources: Resources | None = None
    """CPU and memory of each pod. Defaults to those of the ShopService."""
    termination_grace_period_seconds: Seconds | None = None
    """Seconds between SIGTERM and SIGKILL, in which to finish the work in progress. Defaults to 30."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.replicas and self.autoscaling is not None:
            raise ValueError(NOT_BOTH)
        probes = [getattr(self.probes, each) for each in _PROBES] if self.probes else []
        if self.port is None and not all(each.has_own_port for each in probes if each is not None):
            raise ValueError(NOTHING_TO_ASK)
        check_lifecycle(self.lifecycle, self.termination_grace_period_seconds, self.port)
        return self


class ShopServiceSpec(Model):
    """Desired state of one microservice. The operator reconciles its Deployments, Services, HorizontalPodAutoscalers, HTTPRoutes, ServiceAccount and other objects to match it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            _REPLICAS_RULE,
            ("!has(self.routes) || size(self.routes) == 0 || has(self.gateway)", NO_GATEWAY),
            PAUSE_RULE,
        )
    )

    image: Annotated[str, StringConstraints(min_length=1, max_length=1024), _IMAGE]
    """Container image, with a tag or a digest."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the kubelet pulls the image. Defaults to Always for the tag latest or no tag, otherwise to IfNotPresent, as in Kubernetes."""
    image_pull_secrets: (
        Annotated[
            list[LocalReference], Field(max_length=16, json_schema_extra=map_list("name")), distinct("name")
        ]
        | None
    ) = None
    """Secrets that contain credentials for the registry."""
    command: Command | None = None
    """Entry point, in place of the image's."""
    args: Command | None = None
    """Arguments to the entry point."""
    port: Port = DEFAULT_PORT
    """Port on which the container serves HTTP, and port of the Service."""
    replicas: Count | None = None
    """Number of pods. Defaults to 1 if autoscaling is not set. `kubectl scale` changes it. With autoscaling, only 0 is allowed: it scales to zero and turns the autoscaler off until the field is removed."""
    autoscaling: Autoscaling | None = None
    """Automatic scaling of the number of pods. Defaults to none."""
    resources: Resources | None = None
    """CPU and memory of each pod. Autoscaling requires requests of the measured resource."""
    env: Env | None = None
    """Environment variables of the web Deployment and of every worker, as a list: `[{name: GREETING, value: hello}]`."""
    env_from: EnvFrom | None = None
    """ConfigMaps and Secrets whose keys become environment variables. Any object of the namespace may be named: the author of a ShopService can read all of them through its pods."""
    probes: Probes | None = None
    """Health checks of the web container."""
    lifecycle: Lifecycle | None = None
    """Lifecycle hooks of the web container: actions after it has started and before it is stopped."""
    routes: Annotated[list[Route], Field(max_length=MOST_ROUTES)] | None = None
    """Requests that the Gateway forwards to the microservice. Without routes, it is reachable only inside the cluster."""
    gateway: Gateway | None = None
    """Gateway that serves the routes."""
    gateways: Annotated[list[Gateway], Field(max_length=15)] | None = None
    """Additional Gateways for the same routes, such as an internal one. Defaults to none."""
    discovery: Discovery | None = None
    """Discovery from outside the cluster, by a headless Service named <name>-discovery that ExternalDNS reads. Defaults to none: the microservice is found by the name of its Service inside the cluster only."""
    workers: (
        Annotated[list[Worker], Field(max_length=16, json_schema_extra=map_list("name")), distinct("name")]
        | None
    ) = None
    """Additional Deployments of the same image, without a Service."""
    depends_on: (
        Annotated[
            list[ServiceName],
            Field(max_length=64, json_schema_extra=SET),
            distinct(),
        ]
        | None
    ) = None
    """ShopServices of the same namespace that this one calls. On the first rollout, the pods are created once these are available, or after two minutes. The URL of each is in an environment variable such as PRODUCT_URL."""
    disruption: Disruption | None = None
    """Number of web pods that may be evicted at the same time, such as by a node drain. Defaults to one. Every Deployment that may run more than one pod, workers included, has a PodDisruptionBudget."""
    rollout: Rollout | None = None
    """Rollout of a new version."""
    network_policy: NetworkPolicy | None = None
    """NetworkPolicy for the pods. DNS (port 53) is always allowed. Defaults to none: connections are not restricted."""
    monitoring: Monitoring | None = None
    """Prometheus scraping, by a ServiceMonitor and a PodMonitor. Defaults to none."""
    common_metadata: CommonMetadata | None = None
    """Labels and annotations of every object that the operator creates for this ShopService, except pods: set those in podTemplate.metadata. A change here restarts no pods."""
    pod_template: PodTemplate | None = None
    """Strategic merge patch of the pod template, for settings without a field of their own. The pods must meet the Pod Security Standard of the namespace, restricted by default. Permission to create a ShopService equals permission to create pods in its namespace, with its Secrets and ServiceAccounts."""
    suspend: bool | None = None
    """Suspends reconciliation of all resources of this ShopService. Defaults to false."""
    service_account: ServiceAccount | None = None
    """The identity of the pods."""
    termination_grace_period_seconds: Seconds | None = None
    """Seconds between SIGTERM and SIGKILL. Defaults to 30. The first five of them (half of a period below ten) are a pause in which the pod is removed from its Service, unless lifecycle.preStop is set."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.replicas and self.autoscaling is not None:
            raise ValueError(NOT_BOTH)
        if self.routes and self.gateway is None:
            raise ValueError(NO_GATEWAY)
        check_lifecycle(self.lifecycle, self.termination_grace_period_seconds, self.port)
        return self


class Condition(Model):
    """One aspect of the state, as in other Kubernetes APIs."""

    type: str
    """Ready, Available, Progressing, Reconciling, Stalled or DependenciesReady."""
    status: Literal["True", "False", "Unknown"]
    """Status of the condition."""
    reason: str
    """Machine-readable reason, in CamelCase."""
    message: str
    """Human-readable explanation."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """Time of the last change of status."""
    observed_generation: int
    """Generation of the spec that the condition describes."""


class ChildStatus(Model):
    """One object that the operator manages."""

    kind: str
    """Kind of the object."""
    name: str
    """Name of the object."""
    ready: bool
    """Whether the object is ready."""
    message: str
    """State of the object, and why it is not ready."""


class DriftStatus(Model):
    """Fields of one object that were modified outside the operator and reverted."""

    time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """Time of the repair."""
    object: str
    """Kind and name of the object, such as Deployment web."""
    fields: list[str]
    """Paths of the fields."""
    manager: str
    """Field managers that owned these fields, as metadata.managedFields says; empty when it does not say for all of them."""


class Drift(Model):
    """Fields that the operator owns and that another client changed; the operator reverts them."""

    count: int
    """Number of reverted modifications."""
    last: DriftStatus
    """The last one."""


class RolloutStatus(Model):
    """State of automatic rollback."""

    last_available_image: str | None = None
    """Image of the last release that was available."""
    last_available: Annotated[
        dict[str, Any] | None, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = None
    """Pod-related fields of the spec of the last release that was available. Omitted above 128 KiB; a rollback then restores the image alone."""
    last_available_configuration: dict[str, str] | None = None
    """Checksums of the configuration of that release, by Deployment."""
    last_available_release: str | None = None
    """Identity of that release: a hash of its pod templates, and digests of the configuration and of the dependencies' ports that its pods got."""
    rejected_image: str | None = None
    """Image of the release that was rolled back."""
    rejected_release: str | None = None
    """Identity of the release that was rolled back, in the same form. It is tried again when the annotation shopservice.dev/retry of the ShopService gets a new value. Another release is tried at once: other pod templates, or other content of a ConfigMap or Secret that is used; one that is absent counts as unchanged."""
    retry: str | None = None
    """Value of the annotation shopservice.dev/retry when the release was rolled back."""
    message: str | None = None
    """Why the release was rolled back, or why a failed one was not."""


class ShopServiceStatus(Model):
    """Observed state, written by the operator."""

    observed_generation: int | None = None
    """Generation of the spec that this status describes."""
    conditions: Annotated[list[Condition], Field(json_schema_extra=map_list("type"))] | None = None
    """Ready, Available, Progressing, Reconciling and Stalled, as kstatus reads them; DependenciesReady with dependsOn."""
    drift: Drift | None = None
    """Modifications of operator-owned fields that were reverted."""
    rollout: RolloutStatus | None = None
    """State of automatic rollback. Present only with rollout.autoRollback."""
    suspended: bool | None = None
    """Whether reconciliation is suspended by spec.suspend."""
    replicas: int | None = None
    """Number of web pods."""
    ready_replicas: int | None = None
    """Number of web pods that are ready."""
    ready: str | None = None
    """Ready and desired web pods, such as 2/2."""
    selector: str | None = None
    """Label selector of the web pods, for the scale subresource."""
    image: str | None = None
    """Image that is rolled out."""
    autoscaling: str | None = None
    """Minimum and maximum of the autoscaler, such as 2-10; off if spec.replicas is 0."""
    url: str | None = None
    """URL of the microservice inside the cluster."""
    children: Annotated[list[ChildStatus], Field(json_schema_extra=map_list("kind", "name"))] | None = None
    """Objects that the operator manages, each with its state."""


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
        annotations: metadata.annotations.
        created: metadata.creationTimestamp, as RFC 3339.
        status: the status as it is.
    """

    name: str
    namespace: str
    uid: str
    generation: int
    labels: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    created: str = "1970-01-01T00:00:00Z"
    status: Mapping[str, Any] = field(default_factory=dict)

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
            annotations=mapping(metadata.get("annotations")),
            # The API server always says so.
            created=metadata.get("creationTimestamp", cls.created),
            status=mapping(obj.get("status")),
        )

    @cached_property
    def spec(self) -> ShopServiceSpec:
        """The spec as types.

        Raises:
            InvalidSpec: what is wrong, field by field, and where.
        """
        try:
            spec = ShopServiceSpec.model_validate(without_nulls(self.document))
        except ValidationError as error:
            raise InvalidSpec(_sentences(error)) from None
        if len(self.name) > LABEL_LENGTH or not re.fullmatch(LABEL, self.name):
            raise InvalidSpec(f"metadata.name: {NAME}.")
        if any(len(self.name) + len(worker.name) >= LABEL_LENGTH for worker in spec.workers or ()):
            raise InvalidSpec(f"spec.workers: {NAME_TOO_LONG}.")
        if spec.discovery is not None and len(self.name) > _LONGEST_DISCOVERED:
            raise InvalidSpec(f"spec.discovery: {NAME_TOO_LONG_TO_DISCOVER}.")
        if deeper(self.document.get("podTemplate"), _DEEPEST_TEMPLATE):
            raise InvalidSpec(f"spec.podTemplate: {TEMPLATE_TOO_DEEP}.")
        if len(orjson.dumps(self.document.get("podTemplate"))) > LARGEST_TEMPLATE:
            raise InvalidSpec(f"spec.podTemplate: {TEMPLATE_TOO_LARGE}.")
        if self.name in (spec.depends_on or ()):
            raise InvalidSpec(f"spec.dependsOn: {ITSELF}.")
        return spec


def without_nulls(value: Any) -> Any:
    """A document as the API server stores it: a null field counts as not set, except in a patch.

    Args:
        value: the spec, or something in it.
    """
    if isinstance(value, dict):
        return {
            key: _patch(each) if key == "podTemplate" else without_nulls(each)
            for key, each in value.items()
            if each is not None
        }
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def _patch(template: Any) -> Any:
    """In the podTemplate's spec, null takes a field away."""
    if not isinstance(template, dict):
        return template
    return {
        key: each if key == "spec" else without_nulls(each)
        for key, each in template.items()
        if each is not None
    }


OBJECT_RULES: Final = rules(
    (f"{matching('self.metadata.name', LABEL)} && size(self.metadata.name) <= {LABEL_LENGTH}", NAME),
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

UNKNOWN: Final = "unknown field"
_WORDS: Final[Mapping[str, str]] = {
    "extra_forbidden": UNKNOWN,
    "missing": "is required",
    "string_type": "Input should be a valid string; write a number, true and false in quotes",
    "int_type": "must be a whole number without quotes",
    "bool_type": "must be true or false without quotes",
    "list_type": "must be a list: begin each item with a hyphen",
    "dict_type": "must be a map of names and values",
    "model_type": "must be a map of fields",
}
NO_VARIABLES: Final = "must be a list, such as [{name: GREETING, value: hello}]"


def path_of(location: Iterable[int | str]) -> str:
    """A field as it is written in a sentence: `spec.workers[0].name`."""
    return "spec" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def problems(error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    """The place of each problem below the spec, and what is wrong there, without a full stop."""
    return [(each["loc"], _words(each)) for each in error.errors(include_url=False, include_input=False)]


def _words(problem: ErrorDetails) -> str:
    if problem["type"] == "list_type" and problem["loc"][-1] == "env":
        return NO_VARIABLES
    return _WORDS.get(problem["type"], problem["msg"].removeprefix("Value error, "))


def _sentences(error: ValidationError) -> str:
    return " ".join(f"{path_of(location)}: {words}." for location, words in problems(error))
