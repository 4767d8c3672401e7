"""Replica counts and autoscaling: by CPU, memory or other metrics, by the length of an SQS queue, and by the time of day."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shop_operator.api.v1alpha1.scalars import ObjectName, Seconds, VariableName
from shop_operator.api.v1alpha1.scaling_metrics import Metric
from shop_operator.api.v1alpha1.scaling_schedule import Peak
from shop_operator.api.v1alpha1.schema import Format, Model, rules

_QUEUE_URL: Final = Format(
    r"https?://[!-~]+", "must be a URL that begins with https:// or http://, without spaces"
)
_REGION: Final = Format(r"[a-z0-9-]+", "must be an AWS region, such as eu-west-1")
# The region in the URL of a queue on AWS.
_REGION_IN_URL: Final = r"^https?://sqs[.]([a-z0-9-]+)[.]amazonaws[.]com(/|$|[.])"

ONE_QUEUE: Final = "a queue must set exactly one of url and urlFrom"
MISSING_REGION: Final = "set queue.region: the URL of the queue does not contain the region"
_REGION_RULE: Final = (
    f"has(self.region) || (has(self.url) && self.url.matches(r'{_REGION_IN_URL}'))",
    MISSING_REGION,
)


class QueueFallback(Model):
    """Number of pods while the length of the queue is unknown."""

    replicas: int = Field(ge=1, le=1000)
    """Minimum number of pods while the length is unknown. A higher current number is kept."""
    failures: int = Field(default=3, ge=1, le=100)
    """Number of consecutive failed readings after which the fallback applies."""


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
    """Target number of messages per pod, waiting or in flight."""
    activation_messages: int | None = Field(default=None, ge=0, le=100000)
    """Number of messages above which the first pod is created. Applies only with minReplicas 0. Defaults to 0."""
    polling_seconds: int = Field(default=15, ge=1, le=3600)
    """Seconds between two readings of the length by KEDA, which creates the first pod. With pods, the HorizontalPodAutoscaler reads it every 15 seconds."""
    cooldown_seconds: int = Field(default=300, ge=0, le=86400)
    """Seconds after the last reading above activationMessages before the last pods are removed. Applies only with minReplicas 0."""
    fallback: QueueFallback | None = None
    """Number of pods while the length cannot be read. Defaults to the current number, but at least minReplicas and at least 1."""
    endpoint: Annotated[str, StringConstraints(max_length=1024), _QUEUE_URL] | None = None
    """Endpoint of SQS, such as that of an emulator. KEDA authenticates to it with its own identity, so it must be an endpoint of Amazon SQS or be allowed by the operator's allowedQueueEndpoints. Defaults to the endpoint of the region."""
    authentication: ObjectName | None = None
    """Name of a TriggerAuthentication. Defaults to the identity of KEDA."""

    @model_validator(mode="after")
    def _one_queue(self) -> Self:
        if (self.url is None) == (self.url_from is None):
            raise ValueError(ONE_QUEUE)
        if self.region_of_url is None:
            raise ValueError(MISSING_REGION)
        return self

    @property
    def region_of_url(self) -> str | None:
        """The region from the field or from the URL of a queue on AWS, None if neither contains it."""
        found = re.search(_REGION_IN_URL, self.url or "")
        return self.region or (found[1] if found else None)


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
    """Seconds of past recommendations to consider; the most conservative one applies. Defaults to 0 for scaleUp and 300 for scaleDown."""
    select_policy: Literal["Max", "Min", "Disabled"] | None = None
    """Policy that applies: the one with the largest (Max) or the smallest (Min) change. Disabled turns scaling in this direction off. Defaults to Max."""
    policies: list[ScalingPolicy] | None = Field(default=None, min_length=1, max_length=16)
    """Limits on the rate of change. Defaults to those of Kubernetes."""


class ScalingBehavior(Model):
    """Scaling behavior of the autoscaler, as in autoscaling/v2."""

    scale_up: ScalingRules | None = None
    """Rules for the addition of pods."""
    scale_down: ScalingRules | None = None
    """Rules for the removal of pods."""


FALLBACK_ABOVE_MAX: Final = "queue.fallback.replicas must not be greater than maxReplicas"
PEAK_ABOVE_MAX: Final = (
    "schedule.replicas must not be greater than maxReplicas: it is also the maximum during a peak"
)
METRICS_WITH_KEDA: Final = "metrics cannot be combined with queue or schedule: with these, KEDA scales, which does not read metrics of other adapters"
MIN_ABOVE_MAX: Final = "minReplicas must not be greater than maxReplicas"
ZERO_WITHOUT_QUEUE: Final = (
    "minReplicas 0 requires autoscaling.queue: a HorizontalPodAutoscaler cannot scale up from zero"
)


def min_replicas_in_cel(autoscaling: str) -> str:
    """The CEL expression for minReplicas of an autoscaling block, including its default."""
    return f"(has({autoscaling}.minReplicas) ? {autoscaling}.minReplicas : 1)"


class Autoscaling(Model):
    """A HorizontalPodAutoscaler, or a KEDA ScaledObject if queue or schedule is set. Without cpu, memory, metrics and queue, the target is 80 % CPU utilization."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (f"{min_replicas_in_cel('self')} <= self.maxReplicas", MIN_ABOVE_MAX),
            ("!has(self.minReplicas) || self.minReplicas > 0 || has(self.queue)", ZERO_WITHOUT_QUEUE),
            (
                "!has(self.queue) || !has(self.queue.fallback) || self.queue.fallback.replicas <= self.maxReplicas",
                FALLBACK_ABOVE_MAX,
            ),
            ("!has(self.schedule) || self.schedule.all(s, s.replicas <= self.maxReplicas)", PEAK_ABOVE_MAX),
            ("!has(self.metrics) || !(has(self.queue) || has(self.schedule))", METRICS_WITH_KEDA),
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
    metrics: list[Metric] | None = Field(default=None, min_length=1, max_length=8)
    """Metrics that an adapter in the cluster serves, such as prometheus-adapter. The autoscaler uses the metric that requires the most pods. Cannot be combined with queue or schedule. Defaults to none."""
    schedule: list[Peak] | None = Field(default=None, min_length=1, max_length=8)
    """Known peaks, before which pods are added. At any time, the number of pods is the highest that a peak or a metric requires. Requires KEDA in the cluster. Defaults to none."""
    behavior: ScalingBehavior | None = None
    """Limits on the rate of scaling. Defaults to those of Kubernetes for scaleUp. The default for scaleDown keeps pods for 300 seconds and then removes one pod or 10 % per minute, whichever is more, so that a load that rises and falls within minutes does not remove and create pods."""

    @property
    def by_keda(self) -> bool:
        """Whether a ScaledObject is required."""
        return self.queue is not None or self.schedule is not None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(MIN_ABOVE_MAX)
        if self.min_replicas == 0 and self.queue is None:
            raise ValueError(ZERO_WITHOUT_QUEUE)
        fallback = self.queue.fallback if self.queue else None
        if fallback is not None and fallback.replicas > self.max_replicas:
            raise ValueError(FALLBACK_ABOVE_MAX)
        if any(peak.replicas > self.max_replicas for peak in self.schedule or ()):
            raise ValueError(PEAK_ABOVE_MAX)
        if self.metrics is not None and self.by_keda:
            raise ValueError(METRICS_WITH_KEDA)
        return self


REPLICAS_AND_AUTOSCALING: Final = (
    "set either replicas or autoscaling, not both: with autoscaling, the autoscaler owns the replica count;"
    " remove replicas to let it scale, or set replicas to 0 to turn it off"
)
REPLICAS_RULE: Final = (
    "!has(self.replicas) || !has(self.autoscaling) || self.replicas == 0",
    REPLICAS_AND_AUTOSCALING,
)
"""Rule of a model with replicas and autoscaling; `check_replicas` is the same in Python."""


def check_replicas(replicas: int | None, autoscaling: Autoscaling | None) -> None:
    """Check REPLICAS_RULE.

    Raises:
        ValueError: with the message of the rule.
    """
    if replicas and autoscaling is not None:
        raise ValueError(REPLICAS_AND_AUTOSCALING)
