"""Times of day at which a workload needs more pods, regardless of its load."""

from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shop_operator.api.v1alpha1.schema import Format, Model, rules

_FIELD: Final = r"[0-9A-Za-z*/,?-]+"
_CRON: Final = Format(
    rf"{_FIELD}( {_FIELD}){{4}}",
    'must be a cron expression: minute, hour, day of the month, month and day of the week, such as "30 7 * * 1-5"',
)
_TIME_ZONE: Final = Format(
    r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", "must be the name of a time zone, such as Europe/Berlin"
)

SAME_TIMES: Final = "start and end of a peak must differ"


class Peak(Model):
    """A recurring time span with a minimum number of pods."""

    model_config = ConfigDict(json_schema_extra=rules(("self.start != self.end", SAME_TIMES)))

    start: Annotated[str, StringConstraints(max_length=100), _CRON]
    """Start of the span as a cron expression of five fields, such as "30 7 * * 1-5". Set it ahead of the load, by the time that new pods and nodes need to start."""
    end: Annotated[str, StringConstraints(max_length=100), _CRON]
    """End of the span as a cron expression."""
    time_zone: Annotated[str, StringConstraints(max_length=64), _TIME_ZONE] = "UTC"
    """Time zone of start and end, by its name in the IANA database. Defaults to UTC."""
    replicas: int = Field(ge=1, le=1000)
    """Minimum number of pods during the span."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.start == self.end:
            raise ValueError(SAME_TIMES)
        return self
