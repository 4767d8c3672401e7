"""Metrics from APIs other than that of metrics-server, by which a HorizontalPodAutoscaler scales."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, StringConstraints, model_validator

from shop_operator.api.v1alpha1.resources import TypedQuantity
from shop_operator.api.v1alpha1.scalars import Labels, ObjectName
from shop_operator.api.v1alpha1.schema import Format, Model, rules

_NAME: Final = Format(
    r"[!-$&-.0-~]+", "must be the name of a metric: printable ASCII characters except spaces, / and %"
)
_KIND: Final = Format(r"[A-Z][A-Za-z0-9]*", "must be a kind, such as HTTPRoute")
_API_VERSION: Final = Format(
    r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[a-z0-9]+", "must be an API version, such as apps/v1"
)

ONE_TARGET: Final = "a metric must set exactly one of value and averageValue"
AVERAGE_OF_PODS: Final = (
    "a metric of the type Pods must set averageValue: it is measured at each pod, so it has no single value"
)
OBJECT_OF_METRIC: Final = "object must be set in a metric of the type Object, and in no other"


class MeasuredObject(Model):
    """An object of the namespace that a metric describes."""

    api_version: Annotated[str, StringConstraints(max_length=317), _API_VERSION]
    """API version of the object, such as gateway.networking.k8s.io/v1."""
    kind: Annotated[str, StringConstraints(max_length=63), _KIND]
    """Kind of the object."""
    name: ObjectName
    """Name of the object."""


class Metric(Model):
    """A metric of the API custom.metrics.k8s.io (Pods, Object) or external.metrics.k8s.io (External)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.value) != has(self.averageValue)", ONE_TARGET),
            ("self.type != 'Pods' || has(self.averageValue)", AVERAGE_OF_PODS),
            ("has(self.object) == (self.type == 'Object')", OBJECT_OF_METRIC),
        )
    )

    type: Literal["Pods", "Object", "External"]
    """Subject of the metric: the pods of this Deployment, another object of the namespace, or a system outside the cluster. An adapter in the cluster must serve the metric."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=253), _NAME]
    """Name of the metric, as the adapter serves it."""
    selector: Labels | None = None
    """Labels of the series to use. Defaults to all series of the metric."""
    object: MeasuredObject | None = None
    """Object that the metric describes. Required for the type Object."""
    average_value: TypedQuantity | None = None
    """Target value per pod, such as 10 or 500m: the number of pods is the metric divided by it."""
    value: TypedQuantity | None = None
    """Target value of the metric itself, regardless of the number of pods."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.value is None) == (self.average_value is None):
            raise ValueError(ONE_TARGET)
        if self.type == "Pods" and self.average_value is None:
            raise ValueError(AVERAGE_OF_PODS)
        if (self.object is not None) != (self.type == "Object"):
            raise ValueError(OBJECT_OF_METRIC)
        return self
