"""The spec of a ShopService: every field at its top level. The types of the fields are in a module for each topic.

These models are the only source of the CustomResourceDefinition (`crd.py`) and of the input of `render`. The docstring of a field
is its description in `kubectl explain`. Every rule is written twice, side by side and with the same message: in CEL for the API
server, and in Python for a client without one. Tests pass the same specs to both.
"""

from typing import Final, Literal, Self

from pydantic import ConfigDict, model_validator

from shop_operator.api.v1alpha1.canary import Canary
from shop_operator.api.v1alpha1.common_metadata import CommonMetadata
from shop_operator.api.v1alpha1.container import Command, Image, ImagePullSecrets
from shop_operator.api.v1alpha1.dependencies import DependsOn
from shop_operator.api.v1alpha1.discovery import Discovery
from shop_operator.api.v1alpha1.disruption import Disruption
from shop_operator.api.v1alpha1.environment import Env, EnvFrom
from shop_operator.api.v1alpha1.lifecycle import SLEEP_RULE, Lifecycle, check_lifecycle
from shop_operator.api.v1alpha1.monitoring import Monitoring
from shop_operator.api.v1alpha1.network_policy import NetworkPolicy
from shop_operator.api.v1alpha1.pod_template import PodTemplate
from shop_operator.api.v1alpha1.probes import Probes
from shop_operator.api.v1alpha1.resources import Resources
from shop_operator.api.v1alpha1.rollout import Rollout
from shop_operator.api.v1alpha1.routing import Gateway, Gateways, Routes
from shop_operator.api.v1alpha1.scalars import Count, Port, Seconds
from shop_operator.api.v1alpha1.scaling import REPLICAS_RULE, Autoscaling, check_replicas
from shop_operator.api.v1alpha1.schema import Model, rules
from shop_operator.api.v1alpha1.service_account import ServiceAccount
from shop_operator.api.v1alpha1.worker import Workers

DEFAULT_PORT: Final = 8080

MISSING_GATEWAY: Final = "routes require a gateway: set spec.gateway.name to the Gateway that serves them"
_GATEWAY_RULE: Final = ("!has(self.routes) || size(self.routes) == 0 || has(self.gateway)", MISSING_GATEWAY)
UNKNOWN_SLO: Final = "rollout.canary.analysis.slos must name objectives of monitoring.slos with the indicator availability or latency"
_CANARY: Final = "self.rollout.canary"
_ANALYSIS: Final = f"{_CANARY}.analysis"
_SLO_RULE: Final = (
    (
        f"!has(self.rollout) || !has(self.rollout.canary) || !has({_ANALYSIS}) || !has({_ANALYSIS}.slos)"
        f" || (has(self.monitoring) && has(self.monitoring.slos) && {_ANALYSIS}.slos.all(n,"
        " self.monitoring.slos.exists(s, s.name == n && !has(s.indicator.queueAge))))"
    ),
    UNKNOWN_SLO,
)
UNMEASURED: Final = (
    "rollout.canary.analysis requires monitoring, by which Prometheus finds the pods: set monitoring, with enabled: false if"
    " another scrape configuration finds them, or remove analysis"
)
_MONITORING_RULE: Final = (
    f"!has(self.rollout) || !has({_CANARY}) || !has({_ANALYSIS}) || has(self.monitoring)",
    UNMEASURED,
)
UNREADABLE_QUEUE: Final = (
    "with rollout.canary, KEDA cannot read autoscaling.queue.urlFrom from a ConfigMap or Secret: name a variable of env that has"
    " a value, or set autoscaling.queue.url"
)
_QUEUE_RULE: Final = (
    (
        f"!has(self.rollout) || !has({_CANARY}) || !has(self.autoscaling) || !has(self.autoscaling.queue)"
        " || !has(self.autoscaling.queue.urlFrom)"
        " || (has(self.env) && self.env.exists(e, e.name == self.autoscaling.queue.urlFrom && has(e.value)))"
    ),
    UNREADABLE_QUEUE,
)


class ShopServiceSpec(Model):
    """Desired state of one microservice. The operator reconciles its Deployments, Services, HorizontalPodAutoscalers, HTTPRoutes, ServiceAccount and other objects to match it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            REPLICAS_RULE, _GATEWAY_RULE, _SLO_RULE, _MONITORING_RULE, _QUEUE_RULE, SLEEP_RULE
        )
    )

    image: Image
    """Container image, with a tag or a digest."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """Pull policy of the image. Defaults to Always if the tag is latest or omitted, otherwise to IfNotPresent."""
    image_pull_secrets: ImagePullSecrets | None = None
    """Secrets with the credentials for the image registry."""
    command: Command | None = None
    """Entry point of the container. It is not run in a shell. Defaults to the entry point of the image."""
    args: Command | None = None
    """Arguments to the entry point. Defaults to the arguments of the image if command is not set."""
    port: Port = DEFAULT_PORT
    """Port on which the container serves HTTP, and port of the Service. Defaults to 8080."""
    replicas: Count | None = None
    """Number of pods. Defaults to 1 if autoscaling is not set. `kubectl scale` sets this field. With autoscaling, only 0 is allowed: it scales to zero and turns the autoscaler off until the field is removed."""
    autoscaling: Autoscaling | None = None
    """Automatic scaling of the number of pods. Defaults to none."""
    resources: Resources | None = None
    """CPU and memory of each pod. Autoscaling by CPU or memory requires a request of that resource."""
    env: Env | None = None
    """Environment variables of the web Deployment and of every worker, as a list: `[{name: GREETING, value: hello}]`."""
    env_from: EnvFrom | None = None
    """ConfigMaps and Secrets whose keys become environment variables. Every ConfigMap and Secret of the namespace is allowed: the author of a ShopService can read all of them through its pods."""
    probes: Probes | None = None
    """Health checks of the web container."""
    lifecycle: Lifecycle | None = None
    """Lifecycle hooks of the web container: actions after it has started and before it is stopped."""
    routes: Routes | None = None
    """Requests that the Gateway forwards to the microservice. Without routes, it is reachable only inside the cluster."""
    gateway: Gateway | None = None
    """Gateway that serves the routes. Required with routes."""
    gateways: Gateways | None = None
    """Additional Gateways for the same routes, such as an internal one. Defaults to none."""
    discovery: Discovery | None = None
    """Discovery from outside the cluster, by a headless Service named <name>-discovery that ExternalDNS reads. Defaults to none: only clients inside the cluster find the microservice, by the name of its Service."""
    workers: Workers | None = None
    """Additional Deployments of the same image, without a Service."""
    depends_on: DependsOn | None = None
    """Names of the ShopServices in the same namespace that this one calls. On the first rollout, the pods are created once these are available, or after two minutes. The pods have the URL of every dependency in an environment variable, such as PRODUCT_URL for product."""
    disruption: Disruption | None = None
    """Number of web pods that may be evicted at the same time, such as by a node drain. Defaults to maxUnavailable 1. Every Deployment that may run more than one pod, workers included, has a PodDisruptionBudget."""
    rollout: Rollout | None = None
    """Strategy and limits of the rollout of a new version."""
    network_policy: NetworkPolicy | None = None
    """NetworkPolicy for the pods. DNS (port 53) is always allowed. Defaults to none: connections are not restricted."""
    monitoring: Monitoring | None = None
    """Prometheus scraping, by a ServiceMonitor and a PodMonitor. Defaults to none."""
    common_metadata: CommonMetadata | None = None
    """Labels and annotations of every object that the operator creates for this ShopService, except pods: set those in podTemplate.metadata. Changes do not restart the pods."""
    pod_template: PodTemplate | None = None
    """Strategic merge patch of the pod template, for settings without a field of their own. The pods must meet the Pod Security Standard of the namespace, restricted by default. Permission to create a ShopService equals permission to create pods in its namespace, with its Secrets and ServiceAccounts."""
    suspend: bool | None = None
    """Whether to suspend reconciliation of all resources of this ShopService. Defaults to false."""
    service_account: ServiceAccount | None = None
    """ServiceAccount of the pods: their identity in Kubernetes, and in AWS if it has an IAM role."""
    termination_grace_period_seconds: Seconds | None = None
    """Seconds between SIGTERM and SIGKILL. Defaults to 30. The first 5 seconds (half of a period below 10 seconds) are a pause during which the pod is removed from its Service, unless lifecycle.preStop is set."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_replicas(self.replicas, self.autoscaling)
        if self.routes and self.gateway is None:
            raise ValueError(MISSING_GATEWAY)
        if not self._analyzed() <= self._of_requests():
            raise ValueError(UNKNOWN_SLO)
        if self._canary is not None and self._canary.analysis is not None and self.monitoring is None:
            raise ValueError(UNMEASURED)
        if self._canary is not None and not self._queue_is_readable():
            raise ValueError(UNREADABLE_QUEUE)
        check_lifecycle(self.lifecycle, self.termination_grace_period_seconds, self.port)
        return self

    @property
    def _canary(self) -> Canary | None:
        return self.rollout.canary if self.rollout else None

    def _analyzed(self) -> set[str]:
        """The objectives that a canary release is measured by."""
        canary = self._canary
        return set((canary.analysis.slos if canary and canary.analysis else None) or ())

    def _queue_is_readable(self) -> bool:
        """Whether the address of the queue of the web Deployment is in the spec: KEDA finds no variables in a Rollout."""
        queue = self.autoscaling.queue if self.autoscaling else None
        if queue is None or queue.url_from is None:
            return True
        return any(each.name == queue.url_from and each.value is not None for each in self.env or ())

    def _of_requests(self) -> set[str]:
        """The objectives about requests, which a version answers."""
        slos = (self.monitoring.slos if self.monitoring else None) or ()
        return {each.name for each in slos if each.indicator.queue_age is None}
