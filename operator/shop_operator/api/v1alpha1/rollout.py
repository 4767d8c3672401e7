"""Rollout of a new version."""

from typing import Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from shop_operator.api.v1alpha1.canary import Canary
from shop_operator.api.v1alpha1.schema import Model, rules
from shop_operator.api.v1alpha1.shares import Share, is_zero, is_zero_in_cel

DEADLINE_SECONDS: Final = 300
"""Default of progressDeadlineSeconds."""

NO_PROGRESS: Final = "rollout cannot make progress: maxSurge and maxUnavailable must not both be zero"
_PROGRESSES: Final = (
    f"!has(self.maxSurge) || !{is_zero_in_cel('self.maxSurge')}"
    f" || (has(self.maxUnavailable) && !{is_zero_in_cel('self.maxUnavailable')})"
)

SURGE_WITH_RECREATE: Final = (
    "rollout.type Recreate deletes all pods before it creates new ones, so it does not allow maxSurge or maxUnavailable;"
    " remove them, or set type: RollingUpdate"
)
_RECREATE_RULE: Final = (
    "!has(self.type) || self.type != 'Recreate' || (!has(self.maxSurge) && !has(self.maxUnavailable))",
    SURGE_WITH_RECREATE,
)

CANARY_WITH_RECREATE: Final = "rollout.type Recreate stops the previous version first, so it does not allow canary; remove one of the two"
_CANARY_RULE: Final = (
    "!has(self.type) || self.type != 'Recreate' || !has(self.canary)",
    CANARY_WITH_RECREATE,
)

DEADLINE_TOO_SHORT: Final = "rollout.minReadySeconds must be less than progressDeadlineSeconds (default: 300)"
_DEADLINE: Final = f"(has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : {DEADLINE_SECONDS})"
_DEADLINE_RULE: Final = (
    f"!has(self.minReadySeconds) || self.minReadySeconds < {_DEADLINE}",
    DEADLINE_TOO_SHORT,
)


class Rollout(Model):
    """Rollout of a new version."""

    model_config = ConfigDict(
        json_schema_extra=rules((_PROGRESSES, NO_PROGRESS), _RECREATE_RULE, _CANARY_RULE, _DEADLINE_RULE)
    )

    type: Literal["RollingUpdate", "Recreate"] | None = None
    """Strategy of every Deployment. Defaults to RollingUpdate: old pods are deleted as new ones become ready. Recreate deletes all old pods before it creates new ones, as a ReadWriteOnce volume requires; the microservice is unavailable in between."""
    min_ready_seconds: int | None = Field(default=None, ge=0, le=3599)
    """Seconds for which a new pod must be ready before it is considered available and the rollout continues. Defaults to 0."""
    max_surge: Share | None = None
    """Maximum number of pods above the desired number during a rollout, as a number or a percentage. Defaults to 25%."""
    max_unavailable: Share | None = None
    """Maximum number of pods that may be unavailable during a rollout, as a number or a percentage. Defaults to 0."""
    progress_deadline_seconds: int | None = Field(default=None, ge=10, le=3600)
    """Seconds without progress after which a rollout is considered failed. Defaults to 300."""
    auto_rollback: bool | None = None
    """Whether to roll a failed rollout back to the last release that was available, with its image, configuration, probes and all other settings of the pods. The failed release is retried when it changes, or when the annotation shopservice.dev/retry is set to a new value. Defaults to false."""
    canary: Canary | None = None
    """Releases the web Deployment step by step, by the share of the requests that the new version gets. Defaults to none: the pods are replaced one after another."""

    @model_validator(mode="after")
    def _progresses(self) -> Self:
        surge, missing = self.max_surge, self.max_unavailable
        if self.type == "Recreate" and (surge is not None or missing is not None):
            raise ValueError(SURGE_WITH_RECREATE)
        if self.type == "Recreate" and self.canary is not None:
            raise ValueError(CANARY_WITH_RECREATE)
        if (self.min_ready_seconds or 0) >= (self.progress_deadline_seconds or DEADLINE_SECONDS):
            raise ValueError(DEADLINE_TOO_SHORT)
        if surge is not None and is_zero(surge) and (missing is None or is_zero(missing)):
            raise ValueError(NO_PROGRESS)
        return self
