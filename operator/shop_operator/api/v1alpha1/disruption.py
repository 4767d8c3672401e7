"""Number of pods that may be evicted at the same time."""

from typing import Final, Self

from pydantic import ConfigDict, model_validator

from shop_operator.api.v1alpha1.schema import Model, rules
from shop_operator.api.v1alpha1.shares import Share, is_zero, is_zero_in_cel

ONE_BOUND: Final = "disruption must set exactly one of minAvailable and maxUnavailable"
NO_EVICTIONS: Final = (
    "disruption must leave room for a drain: maxUnavailable must be at least 1 or 1%,"
    " and minAvailable must be less than 100%"
)


class Disruption(Model):
    """Number of pods that may be evicted at the same time."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.minAvailable) != has(self.maxUnavailable)", ONE_BOUND),
            (f"!has(self.maxUnavailable) || !{is_zero_in_cel('self.maxUnavailable')}", NO_EVICTIONS),
            (
                "!has(self.minAvailable) || type(self.minAvailable) == int || self.minAvailable != '100%'",
                NO_EVICTIONS,
            ),
        )
    )

    min_available: Share | None = None
    """Minimum number of pods that must stay available, as a number or a percentage. If so few pods run that none may be evicted, maxUnavailable: 1 applies instead."""
    max_unavailable: Share | None = None
    """Maximum number of pods that may be unavailable, as a number or a percentage."""

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if (self.min_available is None) == (self.max_unavailable is None):
            raise ValueError(ONE_BOUND)
        if self.max_unavailable is not None and is_zero(self.max_unavailable):
            raise ValueError(NO_EVICTIONS)
        if self.min_available == "100%":
            raise ValueError(NO_EVICTIONS)
        return self
