"""Observed state of a ShopService: the fields that only the operator writes."""

from typing import Annotated, Any, Literal

from pydantic import Field

from shop_operator.api.v1alpha1.schema import Model, map_list


class Condition(Model):
    """One aspect of the state, as in other Kubernetes APIs."""

    type: str
    """Type of the condition: Ready, Available, Progressing, Reconciling, Stalled or DependenciesReady."""
    status: Literal["True", "False", "Unknown"]
    """Status of the condition: True, False or Unknown."""
    reason: str
    """Machine-readable reason, in CamelCase."""
    message: str
    """Human-readable explanation."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """Time of the last change of status."""
    observed_generation: int
    """Generation of the spec that the condition describes."""


class ChildStatus(Model):
    """One object that the operator manages."""

    kind: str
    """Kind of the object."""
    name: str
    """Name of the object."""
    ready: bool
    """Whether the object is ready."""
    message: str
    """State of the object. If it is not ready, the reason."""


class DriftStatus(Model):
    """Fields of one object that were modified outside the operator and reverted."""

    time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """Time of the repair."""
    object: str
    """Kind and name of the object, such as Deployment web."""
    fields: list[str]
    """Paths of the fields."""
    manager: str
    """Field managers that owned these fields, according to metadata.managedFields. Empty if it does not list an owner for every field."""


class Drift(Model):
    """Fields that the operator owns and that another client changed; the operator reverts them."""

    count: int
    """Number of reverted modifications."""
    last: DriftStatus
    """Last reverted modification."""


class RolloutStatus(Model):
    """State of automatic rollback."""

    last_available_image: str | None = None
    """Image of the last release that was available."""
    last_available: Annotated[
        dict[str, Any] | None, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = None
    """Pod-related fields of the spec of the last release that was available. Omitted above 128 KiB; a rollback then restores the image alone."""
    last_available_configuration: dict[str, str] | None = None
    """Checksums of the configuration of that release, by Deployment."""
    last_available_release: str | None = None
    """Identity of that release: a hash of its pod templates, and digests of the configuration and of the dependencies' ports that its pods use."""
    rejected_image: str | None = None
    """Image of the release that was rolled back."""
    rejected_release: str | None = None
    """Identity of the release that was rolled back, in the same form. It is retried when the annotation shopservice.dev/retry of the ShopService gets a new value. A different release is rolled out immediately: other pod templates, or other content of a ConfigMap or Secret that the pods use. A missing ConfigMap or Secret counts as unchanged. Omitted if the configuration of the pods could not be read when the release failed; then only another image is a different release."""
    retry: str | None = None
    """Value of the annotation shopservice.dev/retry when the release was rolled back."""
    message: str | None = None
    """Reason for the rollback, or for the absence of a rollback after a failed rollout."""


class ShopServiceStatus(Model):
    """Observed state, written by the operator."""

    observed_generation: int | None = None
    """Generation of the spec that the operator last reconciled."""
    conditions: Annotated[list[Condition], Field(json_schema_extra=map_list("type"))] | None = None
    """Conditions Ready, Available, Progressing, Reconciling and Stalled, which follow kstatus, and DependenciesReady if dependsOn is set."""
    drift: Drift | None = None
    """Modifications of operator-owned fields that were reverted."""
    rollout: RolloutStatus | None = None
    """State of automatic rollback. Present only with rollout.autoRollback."""
    suspended: bool | None = None
    """Whether reconciliation is suspended by spec.suspend."""
    replicas: int | None = None
    """Number of web pods."""
    ready_replicas: int | None = None
    """Number of web pods that are ready."""
    ready: str | None = None
    """Ready and desired web pods, such as 2/2."""
    selector: str | None = None
    """Label selector of the web pods, for the scale subresource."""
    image: str | None = None
    """Container image of the current rollout."""
    autoscaling: str | None = None
    """Minimum and maximum of the autoscaler, such as 2-10; off if spec.replicas is 0."""
    url: str | None = None
    """URL of the microservice inside the cluster."""
    children: Annotated[list[ChildStatus], Field(json_schema_extra=map_list("kind", "name"))] | None = None
    """Objects that the operator manages, with their state."""
