"""Additional Deployments of the same image."""

from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shop_operator.api.v1alpha1.container import Command
from shop_operator.api.v1alpha1.environment import Env
from shop_operator.api.v1alpha1.lifecycle import HOOK_PORT_RULE, SLEEP_RULE, Lifecycle, check_lifecycle
from shop_operator.api.v1alpha1.probes import PROBES, Probes
from shop_operator.api.v1alpha1.resources import Resources
from shop_operator.api.v1alpha1.scalars import DNS_LABEL, LABEL_LENGTH, Count, Port, Seconds
from shop_operator.api.v1alpha1.scaling import REPLICAS_RULE, Autoscaling, check_replicas
from shop_operator.api.v1alpha1.schema import Model, distinct, map_list, rules

WorkerName = Annotated[str, StringConstraints(max_length=40), DNS_LABEL]

NAME_TOO_LONG: Final = "the names of the ShopService and of a worker must not exceed 62 characters together"
NAME_RULE: Final = (
    f"!has(self.spec.workers) || self.spec.workers.all(w, size(self.metadata.name) + size(w.name) < {LABEL_LENGTH})",
    NAME_TOO_LONG,
)
"""Rule of a ShopService; `name_problem` is the same in Python."""

NO_PROBE_PORT: Final = "a worker without a port has no default probes: set port, or use exec, grpc or a numeric port in every probe"


def _works_without_port(probe: str) -> str:
    """The CEL rule that a probe of a worker without a port is not set, or has an exec or grpc handler or a numeric port."""
    at = f"self.probes.{probe}"
    return (
        f"(!has({at}) || has({at}.exec) || has({at}.grpc)"
        f" || (has({at}.httpGet) && has({at}.httpGet.port) && type({at}.httpGet.port) == int)"
        f" || (has({at}.tcpSocket) && type({at}.tcpSocket.port) == int))"
    )


_PROBE_RULE: Final = (
    f"has(self.port) || !has(self.probes) || ({' && '.join(map(_works_without_port, PROBES))})",
    NO_PROBE_PORT,
)


class Worker(Model):
    """An additional Deployment of the same image, such as a queue consumer or an outbox relay. It has no Service."""

    model_config = ConfigDict(json_schema_extra=rules(REPLICAS_RULE, _PROBE_RULE, HOOK_PORT_RULE, SLEEP_RULE))

    name: WorkerName
    """Name of the worker, unique in the ShopService; its Deployment is named <shopservice>-<worker>."""
    command: Command
    """Entry point of the container. It is not run in a shell."""
    args: Command | None = None
    """Arguments to the entry point."""
    env: Env | None = None
    """Additional environment variables. A variable with the same name as one of the ShopService replaces it."""
    port: Port | None = None
    """Port for health checks. With a port, the worker has the default probes. Defaults to none."""
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
    """Seconds between SIGTERM and SIGKILL, for the worker to finish its work in progress. Defaults to 30."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_replicas(self.replicas, self.autoscaling)
        probes = [getattr(self.probes, each) for each in PROBES] if self.probes else []
        if self.port is None and not all(each.has_own_port for each in probes if each is not None):
            raise ValueError(NO_PROBE_PORT)
        check_lifecycle(self.lifecycle, self.termination_grace_period_seconds, self.port)
        return self


Workers = Annotated[list[Worker], Field(max_length=16, json_schema_extra=map_list("name")), distinct("name")]


def name_problem(shop: str, workers: Workers | None) -> str | None:
    """The message of NAME_RULE when a worker's Deployment would have too long a name, otherwise None."""
    too_long = any(len(shop) + len(worker.name) >= LABEL_LENGTH for worker in workers or ())
    return NAME_TOO_LONG if too_long else None
