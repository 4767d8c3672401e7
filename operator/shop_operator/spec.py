"""The ShopService as types: what a user may write, and what the operator answers in its status.

These models are the one source of the CustomResourceDefinition (`crd.py` reads their JSON schemas, so the attribute
docstrings are what `kubectl explain` shows) and of what the renderer is given. A rule is written twice on purpose, once as
CEL for the API server and once in Python for `shop-operator` without one; a test holds the two to the same verdicts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from shop_operator.errors import InvalidSpec

GROUP: Final = "shopservice.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "ShopService"
PLURAL: Final = "shopservices"

LABEL_LENGTH: Final = 63
DEFAULT_PORT: Final = 8080

INT_OR_STRING: Final[dict[str, Any]] = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
}
_QUANTITY_PATTERN: Final = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"


def _exactly(schema: dict[str, Any]) -> Any:
    """A JSON schema that replaces what pydantic would say."""

    def replace(generated: dict[str, Any]) -> None:
        kept = {key: generated[key] for key in ("description",) if key in generated}
        generated.clear()
        generated.update(kept | schema)

    return replace


Quantity = Annotated[
    int | str, Field(json_schema_extra=_exactly(INT_OR_STRING | {"pattern": _QUANTITY_PATTERN}))
]
IntOrString = Annotated[int | str, Field(json_schema_extra=_exactly(INT_OR_STRING))]
Text = Annotated[str, StringConstraints(max_length=4096)]
ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=LABEL_LENGTH)]
Hostname = Annotated[
    str,
    StringConstraints(
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", max_length=253
    ),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]


def map_list(*keys: str) -> dict[str, Any]:
    """A list whose items are told apart by these fields, for server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules with the sentences that a user reads when they do not hold."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


NOT_BOTH: Final = "set either replicas or autoscaling, not both: with autoscaling the HorizontalPodAutoscaler owns the count"
MIN_ABOVE_MAX: Final = "minReplicas must not be greater than maxReplicas"
NO_GATEWAY: Final = "routes need a gateway: name the Gateway that serves them in spec.gateway.name"
SAME_WORKER: Final = "every worker needs a name of its own"
NAME_TOO_LONG: Final = "the ShopService's name and a worker's name together may have 62 characters at most"
ONE_HANDLER: Final = (
    "a probe needs exactly one of httpGet, tcpSocket, exec and grpc, or none to keep the default"
)


class Model(BaseModel):
    """What every part of the API has in common: camelCase, closed, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def to_dict(self) -> dict[str, Any]:
        """As Kubernetes writes it, without what was not set."""
        return self.model_dump(by_alias=True, exclude_none=True)


class KeySelector(Model):
    """One key of a ConfigMap or Secret."""

    name: ObjectName
    """Name of the object, in the namespace of the ShopService."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The key to read."""
    optional: bool | None = None
    """Whether a pod may start when the object or the key is missing."""


class FieldSelector(Model):
    """One field of the pod itself."""

    api_version: str | None = Field(default=None, max_length=63)
    """Version of the schema in which the path is written; v1 when not set."""
    field_path: str = Field(max_length=253)
    """Path such as metadata.name or status.podIP."""


class ResourceSelector(Model):
    """One resource limit or request of a container."""

    container_name: str | None = Field(default=None, max_length=63)
    """The container to look at."""
    resource: str = Field(max_length=253)
    """Such as limits.memory."""
    divisor: Quantity | None = None
    """Unit of the value, 1 when not set."""


class EnvVarSource(Model):
    """Where an environment variable's value comes from; exactly one of these."""

    config_map_key_ref: KeySelector | None = None
    """A key of a ConfigMap."""
    secret_key_ref: KeySelector | None = None
    """A key of a Secret."""
    field_ref: FieldSelector | None = None
    """A field of the pod."""
    resource_field_ref: ResourceSelector | None = None
    """A resource of a container."""


class EnvVar(Model):
    """One environment variable."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """Name of the variable."""
    value: Annotated[str, StringConstraints(max_length=32768)] | None = None
    """Its value; $(OTHER) is replaced by another variable."""
    value_from: EnvVarSource | None = None
    """Where its value comes from, when it is not written here."""


class ObjectReference(Model):
    """A ConfigMap or Secret as a whole."""

    name: ObjectName
    """Name of the object, in the namespace of the ShopService."""
    optional: bool | None = None
    """Whether a pod may start when it is missing."""


class EnvFromSource(Model):
    """All keys of one ConfigMap or Secret as environment variables."""

    prefix: str | None = Field(default=None, max_length=253)
    """Put before every key."""
    config_map_ref: ObjectReference | None = None
    """The ConfigMap."""
    secret_ref: ObjectReference | None = None
    """The Secret."""


class LocalReference(Model):
    """The name of an object in the same namespace."""

    name: ObjectName
    """Name of the object."""


Command = Annotated[list[Text], Field(min_length=1, max_length=64)]
Env = Annotated[list[EnvVar], Field(max_length=500, json_schema_extra=map_list("name"))]
EnvFrom = Annotated[list[EnvFromSource], Field(max_length=64)]


class Resources(Model):
    """CPU and memory of one container."""

    requests: dict[str, Quantity] | None = Field(default=None, max_length=16)
    """What the scheduler reserves, such as {cpu: 100m, memory: 128Mi}. CPU autoscaling is relative to it."""
    limits: dict[str, Quantity] | None = Field(default=None, max_length=16)
    """What the container may use at most; a container above its memory limit is killed."""


class HttpHeader(Model):
    """One header of a probe's request."""

    name: str = Field(max_length=256)
    """Name of the header."""
    value: Text
    """Its value."""


class HttpGetAction(Model):
    """A GET request; 200 to 399 is success."""

    path: Text = "/"
    """Path of the request."""
    port: IntOrString | None = None
    """Number or name of the port; the container's own when not set."""
    scheme: Literal["HTTP", "HTTPS"] | None = None
    """HTTP when not set."""
    http_headers: list[HttpHeader] | None = Field(default=None, max_length=32)
    """Further headers."""


class TcpSocketAction(Model):
    """A connection that opens is success."""

    port: IntOrString
    """Number or name of the port."""


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
_PROBE_RULE: Final = (
    "[has(self.httpGet), has(self.tcpSocket), has(self.exec), has(self.grpc)].filter(x, x).size() <= 1",
    ONE_HANDLER,
)


class Probe(Model):
    """How a container is asked about its state. What is not set keeps the operator's default."""

    model_config = ConfigDict(json_schema_extra=rules(_PROBE_RULE))

    http_get: HttpGetAction | None = None
    """Ask by HTTP."""
    tcp_socket: TcpSocketAction | None = None
    """Open a connection."""
    exec: ExecAction | None = None
    """Run a command."""
    grpc: GrpcAction | None = None
    """Ask by gRPC."""
    initial_delay_seconds: int | None = Field(default=None, ge=0, le=3600)
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
        if sum(getattr(self, handler) is not None for handler in _HANDLERS) > 1:
            raise ValueError(ONE_HANDLER)
        return self

    @property
    def handler(self) -> dict[str, Any]:
        """The handler as Kubernetes writes it; empty when none is set."""
        keys = {to_camel(each) for each in _HANDLERS}
        return {key: value for key, value in self.to_dict().items() if key in keys}


class Probes(Model):
    """The three questions that the kubelet asks a container."""

    liveness: Probe | None = None
    """Is it alive? A container that fails is restarted. Default: GET /healthz, which must know nothing of dependencies."""
    readiness: Probe | None = None
    """May it have traffic? A pod that fails leaves its Service. Default: GET /readyz."""
    startup: Probe | None = None
    """Has it started? The other two wait for it. Default: GET /healthz every second for a minute."""


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

    stabilization_window_seconds: int | None = Field(default=None, ge=0, le=3600)
    """Seconds of past recommendations that are looked at; the most careful one wins."""
    select_policy: Literal["Max", "Min", "Disabled"] | None = None
    """Which policy wins, or Disabled for no change in this direction."""
    policies: list[ScalingPolicy] | None = Field(default=None, max_length=16)
    """The bounds."""


class ScalingBehavior(Model):
    """How fast the autoscaler acts, as in autoscaling/v2."""

    scale_up: ScalingRules | None = None
    """Rules for adding pods."""
    scale_down: ScalingRules | None = None
    """Rules for removing pods."""


class Autoscaling(Model):
    """A HorizontalPodAutoscaler; without cpu and memory it holds CPU at 80 %."""

    model_config = ConfigDict(
        json_schema_extra=rules(("self.minReplicas <= self.maxReplicas", MIN_ABOVE_MAX))
    )

    min_replicas: int = Field(default=1, ge=1, le=1000)
    """Pods at least; the roll-out begins with this many."""
    max_replicas: int = Field(ge=1, le=1000)
    """Pods at most."""
    cpu: int | None = Field(default=None, ge=1, le=1000)
    """Average CPU to hold, in percent of the pods' CPU request."""
    memory: int | None = Field(default=None, ge=1, le=1000)
    """Average memory to hold, in percent of the pods' memory request."""
    behavior: ScalingBehavior | None = None
    """How fast to scale."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(MIN_ABOVE_MAX)
        return self


class Route(Model):
    """Requests that the gateway sends to this microservice."""

    path: Annotated[str, StringConstraints(pattern=r"^/", max_length=1024)]
    """Path of the requests, beginning with a slash."""
    path_type: Literal["PathPrefix", "Exact"] = "PathPrefix"
    """PathPrefix matches whole path elements: /orders matches /orders/1 and not /orders2."""
    methods: (
        Annotated[list[Method], Field(max_length=9, json_schema_extra={"x-kubernetes-list-type": "set"})]
        | None
    ) = None
    """HTTP methods; all of them when not set."""
    hostnames: list[Hostname] | None = Field(default=None, max_length=16)
    """Host names; all that the Gateway's listener has when not set."""


class Gateway(Model):
    """The Gateway (gateway.networking.k8s.io) to which the routes are attached."""

    name: ObjectName
    """Name of the Gateway."""
    namespace: Label | None = None
    """Its namespace; that of the ShopService when not set."""
    section_name: ObjectName | None = None
    """One of its listeners; all of them when not set."""


class ServiceAccount(Model):
    """The identity of the pods."""

    name: ObjectName | None = None
    """A ServiceAccount of yours, which the operator uses and never touches. When not set, it makes one of the ShopService's name."""
    annotations: dict[str, Text] | None = Field(default=None, max_length=32)
    """Annotations of the ServiceAccount that the operator makes, such as eks.amazonaws.com/role-arn."""


_REPLICAS_RULE: Final = ("!(has(self.replicas) && has(self.autoscaling))", NOT_BOTH)


class Worker(Model):
    """A further Deployment of the same image: a queue consumer, an outbox relay. It has no Service."""

    model_config = ConfigDict(json_schema_extra=rules(_REPLICAS_RULE))

    name: Annotated[Label, StringConstraints(max_length=40)]
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
    replicas: int | None = Field(default=None, ge=0, le=1000)
    """Pods to run; 1 when neither this nor autoscaling is set."""
    autoscaling: Autoscaling | None = None
    """Let a HorizontalPodAutoscaler choose the number of pods."""
    resources: Resources | None = None
    """CPU and memory; the ShopService's when not set."""
    termination_grace_period_seconds: int | None = Field(default=None, ge=0, le=3600)
    """Seconds between SIGTERM and SIGKILL, for what is in hand to be finished; 30 when not set."""

    @model_validator(mode="after")
    def _one_owner_of_replicas(self) -> Self:
        if self.replicas is not None and self.autoscaling is not None:
            raise ValueError(NOT_BOTH)
        return self


class ShopServiceSpec(Model):
    """What a microservice shall be. The operator keeps its Deployments, Service, HorizontalPodAutoscalers, HTTPRoute and ServiceAccount as this says."""

    model_config = ConfigDict(
        json_schema_extra=rules(_REPLICAS_RULE, ("!has(self.routes) || has(self.gateway)", NO_GATEWAY))
    )

    image: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^\S+$")]
    """The container image, with a tag or a digest."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the kubelet pulls the image; Kubernetes decides by the tag when not set."""
    image_pull_secrets: (
        Annotated[list[LocalReference], Field(max_length=16, json_schema_extra=map_list("name"))] | None
    ) = None
    """Secrets with the registry's credentials."""
    command: Command | None = None
    """Entry point in place of the image's."""
    args: Command | None = None
    """Arguments of the entry point."""
    port: Port = DEFAULT_PORT
    """The port on which the container serves HTTP. The Service has the same."""
    replicas: int | None = Field(default=None, ge=0, le=1000)
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
    workers: Annotated[list[Worker], Field(max_length=16, json_schema_extra=map_list("name"))] | None = None
    """Further Deployments of the same image, without a Service."""
    service_account: ServiceAccount | None = None
    """The identity of the pods."""
    termination_grace_period_seconds: int | None = Field(default=None, ge=0, le=3600)
    """Seconds between SIGTERM and SIGKILL; 30 when not set. The first five are for the Service to forget the pod."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.replicas is not None and self.autoscaling is not None:
            raise ValueError(NOT_BOTH)
        if self.routes is not None and self.gateway is None:
            raise ValueError(NO_GATEWAY)
        names = [worker.name for worker in self.workers or ()]
        if len(set(names)) != len(names):
            raise ValueError(SAME_WORKER)
        return self


class Condition(Model):
    """One aspect of the state, as every Kubernetes API has it."""

    type: str
    """Ready, Available, Progressing, Reconciling or Stalled."""
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


class ShopServiceStatus(Model):
    """What the operator found. Nothing here is for users to write."""

    observed_generation: int | None = None
    """The generation of the spec that this status is about."""
    conditions: Annotated[list[Condition], Field(json_schema_extra=map_list("type"))] | None = None
    """Ready, Available, Progressing, Reconciling and Stalled, as kstatus reads them."""
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
        if any(len(self.name) + len(worker.name) >= LABEL_LENGTH for worker in spec.workers or ()):
            raise InvalidSpec(f"spec.workers: {NAME_TOO_LONG}.")
        return spec


def _sentences(error: ValidationError) -> str:
    found = []
    for each in error.errors(include_url=False, include_input=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in each["loc"])
        found.append(f"spec{path}: {each['msg'].removeprefix('Value error, ')}.")
    return " ".join(found)
