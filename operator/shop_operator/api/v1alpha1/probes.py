"""Health checks of a container."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, PlainValidator, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from shop_operator.api.v1alpha1.container import Command
from shop_operator.api.v1alpha1.scalars import ABSOLUTE, LABEL_LENGTH, LAST_PORT, Port, Seconds, Text
from shop_operator.api.v1alpha1.schema import (
    Format,
    Model,
    count_set,
    count_set_in_cel,
    int_or_string,
    matching,
    rules,
)
from shop_operator.names import PORT_NAME

HEADER: Final = Format(
    r"[-A-Za-z0-9]+", "must be the name of an HTTP header: letters, digits and '-', such as X-Request-Id"
)
HeaderName = Annotated[str, StringConstraints(max_length=256), HEADER]
INVALID_PORT: Final = "must be a number from 1 to 65535, or http for the container's own port"


def _port_reference(value: Any) -> int | str:
    if isinstance(value, str) and value == PORT_NAME:
        return value
    if type(value) is int and 1 <= value <= LAST_PORT:
        return value
    raise ValueError(INVALID_PORT)


PortReference = Annotated[
    int | str,
    PlainValidator(_port_reference),
    int_or_string(
        **rules((f"type(self) == int || {matching('self', PORT_NAME)}", INVALID_PORT)),
        # Without a limit, the estimated cost would be that of the largest request.
        maxLength=LABEL_LENGTH,
        minimum=1,
        maximum=LAST_PORT,
    ),
]


class HttpHeader(Model):
    """One header of a probe's request."""

    name: HeaderName
    """Name of the header."""
    value: Text
    """Value of the header."""


class HttpGetAction(Model):
    """An HTTP GET request. A status from 200 to 399 is a success."""

    path: Annotated[str, StringConstraints(max_length=4096), ABSOLUTE] | None = None
    """Path of the request. Defaults to the path of the default probe."""
    port: PortReference | None = None
    """Port number, or http for the port of the container. Defaults to http."""
    scheme: Literal["HTTP", "HTTPS"] | None = None
    """Scheme of the request. Defaults to HTTP."""
    http_headers: list[HttpHeader] | None = Field(default=None, max_length=32)
    """Additional headers of the request. Defaults to none."""


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


ONE_HANDLER: Final = (
    "a probe must set exactly one of httpGet, tcpSocket, exec and grpc, or none to keep the default"
)
_HANDLERS: Final = ("http_get", "tcp_socket", "exec", "grpc")


class Probe(Model):
    """A health check of a container. Fields that are not set keep the operator's defaults."""

    model_config = ConfigDict(json_schema_extra=rules((f"{count_set_in_cel(_HANDLERS)} <= 1", ONE_HANDLER)))

    http_get: HttpGetAction | None = None
    """Check by an HTTP GET request."""
    tcp_socket: TcpSocketAction | None = None
    """Check by opening a TCP connection."""
    exec: ExecAction | None = None
    """Check by running a command in the container."""
    grpc: GrpcAction | None = None
    """Check by a gRPC call."""
    initial_delay_seconds: Seconds | None = None
    """Seconds to wait after the start of the container before the first check. Defaults to 0."""
    period_seconds: int | None = Field(default=None, ge=1, le=3600)
    """Seconds between checks. Defaults to 10 for liveness, 5 for readiness and 1 for startup."""
    timeout_seconds: int | None = Field(default=None, ge=1, le=3600)
    """Seconds after which a check times out. Defaults to 5 for liveness and to 2 for readiness and startup."""
    success_threshold: int | None = Field(default=None, ge=1, le=1000)
    """Minimum consecutive successes for the probe to be considered successful after a failure. Defaults to 1."""
    failure_threshold: int | None = Field(default=None, ge=1, le=1000)
    """Minimum consecutive failures for the probe to be considered failed. Defaults to 6 for liveness, 3 for readiness and 60 for startup."""

    @model_validator(mode="after")
    def _one_handler(self) -> Self:
        if count_set(self, _HANDLERS) > 1:
            raise ValueError(ONE_HANDLER)
        return self

    @property
    def has_own_port(self) -> bool:
        """Whether the probe works for a container without a port of its own."""
        port = (self.http_get and self.http_get.port) or (self.tcp_socket and self.tcp_socket.port)
        return self.exec is not None or self.grpc is not None or isinstance(port, int)

    @property
    def handler(self) -> dict[str, Any]:
        """The handler in the format of Kubernetes, empty if none is set."""
        keys = {to_camel(each) for each in _HANDLERS}
        return {key: value for key, value in self.to_dict().items() if key in keys}


ONE_SUCCESS: Final = "successThreshold must be 1 for liveness and startup probes"
PROBES: Final = ("liveness", "readiness", "startup")
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
