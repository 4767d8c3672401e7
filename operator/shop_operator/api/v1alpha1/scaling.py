"""Replica counts and autoscaling, by CPU, memory or the length of an SQS queue."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shop_operator.api.v1alpha1.scalars import ObjectName, Seconds, VariableName
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


MIN_ABOVE_MAX: Final = "minReplicas must not be greater than maxReplicas"
ZERO_WITHOUT_QUEUE: Final = (
    "minReplicas 0 requires autoscaling.queue: a HorizontalPodAutoscaler cannot scale up from zero"
)


def min_replicas_in_cel(autoscaling: str) -> str:
    """The CEL expression for minReplicas of an autoscaling block, including its default."""
    return f"(has({autoscaling}.minReplicas) ? {autoscaling}.minReplicas : 1)"


class Autoscaling(Model):
    """A HorizontalPodAutoscaler, or a KEDA ScaledObject if queue is set. Without cpu, memory and queue, the target is 80 % CPU utilization."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (f"{min_replicas_in_cel('self')} <= self.maxReplicas", MIN_ABOVE_MAX),
            ("!has(self.minReplicas) || self.minReplicas > 0 || has(self.queue)", ZERO_WITHOUT_QUEUE),
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
    """Limits on the rate of scaling. Defaults to those of Kubernetes."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(MIN_ABOVE_MAX)
        if self.min_replicas == 0 and self.queue is None:
            raise ValueError(ZERO_WITHOUT_QUEUE)
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
