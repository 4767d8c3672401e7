"""Canary releases by Argo Rollouts: a new version gets a growing share of the requests, and is withdrawn if it does worse than allowed."""

from typing import Annotated, Final, Protocol, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shop_operator.api.v1alpha1.scalars import LABEL_LENGTH, ServiceName
from shop_operator.api.v1alpha1.schema import SET, Format, Model, count_set, count_set_in_cel, distinct, rules
from shop_operator.names import CANARY_SUFFIX, STABLE_SUFFIX

INVALID_PAUSE: Final = "must be a duration in seconds, minutes or hours, such as 30s, 5m or 1h"
INVALID_RATE: Final = "must be a percentage with at most two decimals, such as 1% or 0.5%"
_PAUSE: Final = Format(r"[1-9][0-9]{0,3}[smh]", INVALID_PAUSE)
_RATE: Final = Format(r"(100|[0-9]{1,2}([.][0-9]{1,2})?)%", INVALID_RATE)
_LIMITS: Final = ("slos", "max_error_rate", "max_latency_ms")

NO_LIMIT: Final = "analysis requires a limit: set slos, maxErrorRate or maxLatencyMs"
FALLING_WEIGHTS: Final = "the weights of the steps must not fall from one step to the next"

_LONGEST_NAME: Final = LABEL_LENGTH - max(len(CANARY_SUFFIX), len(STABLE_SUFFIX))
NAME_TOO_LONG: Final = (
    f"with rollout.canary, the name must not exceed {_LONGEST_NAME} characters, since the Services of the two versions are named"
    f" <name>{STABLE_SUFFIX} and <name>{CANARY_SUFFIX}"
)
NAME_RULE: Final = (
    f"!has(self.spec.rollout) || !has(self.spec.rollout.canary) || size(self.metadata.name) <= {_LONGEST_NAME}",
    NAME_TOO_LONG,
)
"""Rule of a ShopService; `name_problem` is the same in Python."""


class CanaryStep(Model):
    """A share of the requests, and how long it is kept."""

    weight: int = Field(ge=1, le=100)
    """Percentage of the requests that the new version gets."""
    pause: Annotated[str, StringConstraints(max_length=5), _PAUSE] | None = None
    """Time before the next step, such as 5m. Defaults to none: the next step begins once the pods of this one are available."""


class CanaryAnalysis(Model):
    """Limits for the pods of the new version, which Prometheus measures while the steps run. If one is exceeded, all requests return to the previous version, and the rollout is aborted."""

    model_config = ConfigDict(json_schema_extra=rules((f"{count_set_in_cel(_LIMITS)} > 0", NO_LIMIT)))

    slos: (
        Annotated[
            list[Annotated[ServiceName, StringConstraints(max_length=40)]],
            Field(min_length=1, max_length=16, json_schema_extra=SET),
            distinct(),
        ]
        | None
    ) = None
    """Names of availability or latency objectives in monitoring.slos. The new version must not consume an error budget at the rate of the objective's fastest alert, such as 14.4 times the allowed rate."""
    max_error_rate: Annotated[str, StringConstraints(max_length=6), _RATE] | None = None
    """Highest percentage of requests that may be answered with a 5xx status, such as 1%. Measured by http_requests_total, once the new version has answered ten requests."""
    max_latency_ms: int | None = Field(default=None, ge=1, le=60_000)
    """Highest 95th percentile of the duration of requests, in milliseconds. Measured by http_request_duration_seconds, once the new version has answered ten requests."""

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if not count_set(self, _LIMITS):
            raise ValueError(NO_LIMIT)
        return self


class Canary(Model):
    """Canary releases of the web Deployment. Requires Argo Rollouts and, with routes, its plugin for the Gateway API. Without Argo Rollouts, pods are replaced step by step as without canary. Workers are not part of it: their pods are replaced at once."""

    model_config = ConfigDict(
        json_schema_extra=rules(("self.steps.map(s, s.weight).isSorted()", FALLING_WEIGHTS))
    )

    steps: list[CanaryStep] = Field(min_length=1, max_length=20)
    """Shares of the requests that the new version gets, in order. After the last step, it gets all requests."""
    analysis: CanaryAnalysis | None = None
    """Limits for the new version. Requires monitoring, and the address of Prometheus in the settings of the operator. Defaults to none: the rollout is only aborted if its pods do not become ready in time."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        weights = [each.weight for each in self.steps]
        if weights != sorted(weights):
            raise ValueError(FALLING_WEIGHTS)
        return self


class Releases(Protocol):
    """rollout.Rollout."""

    @property
    def canary(self) -> Canary | None:
        """How new versions are released."""


def name_problem(shop: str, rollout: Releases | None) -> str | None:
    """The message of NAME_RULE when the Services of the two versions would have too long names, otherwise None."""
    return NAME_TOO_LONG if rollout and rollout.canary and len(shop) > _LONGEST_NAME else None
