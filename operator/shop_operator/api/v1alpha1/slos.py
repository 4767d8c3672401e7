"""Service level objectives of a microservice, from which the operator renders burn-rate alerts."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shop_operator.api.v1alpha1.scalars import ServiceName
from shop_operator.api.v1alpha1.schema import (
    Format,
    ItemFormat,
    Model,
    count_set,
    count_set_in_cel,
    distinct,
    map_list,
    rules,
)

_METRIC: Final = ItemFormat(
    r"[a-zA-Z_:][a-zA-Z0-9_:]*", "must be the name of a metric: letters, digits, '_' and ':'"
)
_LABEL: Final = ItemFormat(
    r"[a-zA-Z_][a-zA-Z0-9_]*", "must be the name of a label of a metric: letters, digits and '_'"
)
_VALUE: Final = ItemFormat(r"[ -~]*", "must consist of printable ASCII characters: value of a label")
_OBJECTIVE: Final = Format(r"9[0-9]([.][0-9]{1,3})?", "must be a percentage from 90 to 99.999, such as 99.9")
_WINDOW: Final = Format(r"[1-9][0-9]?[dh]", "must be 1 to 99 days or hours, such as 30d")
_RUNBOOK: Final = Format(r"[!-~]+", "must be a URL without spaces")

ONE_INDICATOR: Final = "an indicator must set exactly one of availability, latency and queueAge"
_INDICATORS: Final = ("availability", "latency", "queue_age")

MetricName = Annotated[str, StringConstraints(max_length=128), _METRIC]
LabelName = Annotated[str, StringConstraints(max_length=64), _LABEL]
LabelValues = Annotated[
    list[Annotated[str, StringConstraints(max_length=128), _VALUE]], Field(min_length=1, max_length=16)
]


class Matcher(Model):
    """Restriction to time series by one label."""

    label: LabelName
    """Name of the label."""
    operator: Literal["In", "NotIn"] = "In"
    """Whether the label must have one of the values (In) or none of them (NotIn)."""
    values: LabelValues
    """Values of the label. A class of status codes such as 5xx stands for its codes."""


Selector = Annotated[list[Matcher], Field(max_length=8)]


class Availability(Model):
    """Share of requests, or of other events, without an error."""

    metric: MetricName = "http_requests_total"
    """Counter of all events."""
    error_label: LabelName = "status"
    """Label of the counter that distinguishes errors from successes."""
    error_values: LabelValues = Field(default=["5xx"])
    """Values of that label that are errors. 5xx stands for 500 to 599. Defaults to 5xx."""
    selector: Selector | None = None
    """Events to count, by their labels. Defaults to all events."""


class Latency(Model):
    """Share of requests, or of other events, that are completed in time."""

    metric: MetricName = "http_request_duration_seconds"
    """Histogram of durations in seconds, without the suffix _bucket."""
    threshold_ms: int = Field(ge=1, le=604_800_000)
    """Longest acceptable duration in milliseconds. It must be the upper bound of a bucket of the histogram."""
    selector: Selector | None = None
    """Events to count, by their labels. Defaults to all events."""


class QueueAge(Model):
    """Share of time in which no message waits too long."""

    metric: MetricName = "queue_oldest_message_age_seconds"
    """Gauge of the age of the oldest message in seconds. If several time series match, the oldest message counts."""
    threshold_seconds: int = Field(ge=1, le=604_800)
    """Longest acceptable age in seconds."""
    selector: Selector | None = None
    """Queues to consider, by the labels of the gauge. Defaults to all queues of the pods."""


class Indicator(Model):
    """The measurement to which an objective applies."""

    model_config = ConfigDict(
        json_schema_extra=rules((f"{count_set_in_cel(_INDICATORS)} == 1", ONE_INDICATOR))
    )

    availability: Availability | None = None
    """Share of requests without an error."""
    latency: Latency | None = None
    """Share of requests that are answered in time."""
    queue_age: QueueAge | None = None
    """Share of time in which no message of a queue waits too long."""

    @model_validator(mode="after")
    def _one_indicator(self) -> Self:
        if count_set(self, _INDICATORS) != 1:
            raise ValueError(ONE_INDICATOR)
        return self

    @property
    def measured(self) -> Availability | Latency | QueueAge:
        """The field that is set."""
        return next(each for each in (self.availability, self.latency, self.queue_age) if each is not None)


class Slo(Model):
    """A service level objective, with alerts for the rate at which its error budget is consumed."""

    name: Annotated[ServiceName, StringConstraints(max_length=40)]
    """Name of the objective, a label of its alerts."""
    objective: Annotated[str, StringConstraints(max_length=6), _OBJECTIVE]
    """Percentage of events that must be good, as a string."""
    window: Annotated[str, StringConstraints(max_length=3), _WINDOW] = "30d"
    """Period over which the objective holds. The windows of the alerts are fractions of it."""
    indicator: Indicator
    """Measurement. Exactly one field must be set."""
    runbook_url: Annotated[str, StringConstraints(min_length=1, max_length=1024), _RUNBOOK] | None = None
    """Address of the page that describes how to respond to the alerts. It is an annotation of each alert."""


Slos = Annotated[list[Slo], Field(max_length=16, json_schema_extra=map_list("name")), distinct("name")]
