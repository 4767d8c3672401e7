"""Environment variables: their values, and the ConfigMaps, Secrets and fields that the values are read from."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shop_operator.api.v1alpha1.scalars import ObjectName, VariableName
from shop_operator.api.v1alpha1.schema import (
    Format,
    Model,
    count_set,
    count_set_in_cel,
    distinct,
    map_list,
    rules,
)

_POD_FIELD: Final = Format(
    r"metadata\.(name|namespace|uid)|metadata\.(labels|annotations)\['[^']+'\]"
    r"|spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs)",
    "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'],"
    " spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP or status.podIPs",
    "self in ['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName',"
    " 'status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs']"
    """ || ((self.startsWith("metadata.labels['") || self.startsWith("metadata.annotations['"))"""
    r""" && self.matches(r"^[^']+'[^']+'\]$"))""",
)
_RESOURCE: Final = Format(
    r"(limits|requests)\.(cpu|memory|ephemeral-storage)",
    "must be limits or requests, a dot, and cpu, memory or ephemeral-storage, such as limits.memory",
)

DataKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Format(
        r"\.?[-\w][-.\w]*",
        "must be a key of a ConfigMap or Secret: letters, digits, '-', '_' and '.', such as app.yaml",
    ),
]
Divisor = Literal["1", "1m", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"]


class KeySelector(Model):
    """One key of a ConfigMap or Secret."""

    name: ObjectName
    """Name of the object, in the namespace of the ShopService."""
    key: DataKey
    """Key to read."""
    optional: bool | None = None
    """Whether the pod may start if the object or the key is missing. Defaults to false."""


class FieldSelector(Model):
    """A field of the pod."""

    api_version: Literal["v1"] | None = None
    """Version of the schema that the path refers to. Defaults to v1."""
    field_path: Annotated[str, StringConstraints(max_length=512), _POD_FIELD]
    """Path such as metadata.name, metadata.labels['shopservice.dev/name'] or status.podIP."""


DIVISOR: Final = "divisor must be 1 or 1m for cpu, and must not be 1m for memory and ephemeral-storage"
_DIVISOR_RULE: Final = (
    "!has(self.divisor) || (self.resource.endsWith('.cpu') ? self.divisor in ['1', '1m'] : self.divisor != '1m')",
    DIVISOR,
)


class ResourceSelector(Model):
    """One resource limit or request of the container."""

    model_config = ConfigDict(json_schema_extra=rules(_DIVISOR_RULE))

    resource: Annotated[str, StringConstraints(max_length=26), _RESOURCE]
    """Resource to read, such as limits.memory."""
    divisor: Divisor | None = None
    """Unit of the value, such as 1m for cpu or 1Mi for memory. Defaults to 1."""

    @model_validator(mode="after")
    def _fitting_divisor(self) -> Self:
        divisor = self.divisor or "1"
        if divisor not in {"1", "1m"} if self.resource.endswith(".cpu") else divisor == "1m":
            raise ValueError(DIVISOR)
        return self


ONE_SOURCE: Final = (
    "valueFrom must set exactly one of configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef"
)
_SOURCES: Final = ("config_map_key_ref", "secret_key_ref", "field_ref", "resource_field_ref")


class EnvVarSource(Model):
    """Source of an environment variable's value. Exactly one field must be set."""

    model_config = ConfigDict(json_schema_extra=rules((f"{count_set_in_cel(_SOURCES)} == 1", ONE_SOURCE)))

    config_map_key_ref: KeySelector | None = None
    """Key of a ConfigMap."""
    secret_key_ref: KeySelector | None = None
    """Key of a Secret."""
    field_ref: FieldSelector | None = None
    """Field of the pod."""
    resource_field_ref: ResourceSelector | None = None
    """Resource request or limit of the container."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if count_set(self, _SOURCES) != 1:
            raise ValueError(ONE_SOURCE)
        return self


ONE_VALUE: Final = "a variable must not set both value and valueFrom"


class EnvVar(Model):
    """One environment variable."""

    model_config = ConfigDict(
        json_schema_extra=rules(("!(has(self.value) && has(self.valueFrom))", ONE_VALUE))
    )

    name: VariableName
    """Name of the variable."""
    value: Annotated[str, StringConstraints(max_length=32768)] | None = None
    """Value of the variable. $(OTHER) is replaced by the value of a variable defined earlier. Defaults to the empty string."""
    value_from: EnvVarSource | None = None
    """Source of the value, as an alternative to value."""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError(ONE_VALUE)
        return self


class ObjectReference(Model):
    """A ConfigMap or Secret as a whole."""

    name: ObjectName
    """Name of the object, in the namespace of the ShopService."""
    optional: bool | None = None
    """Whether the pod may start if the object is missing. Defaults to false."""


ONE_ORIGIN: Final = "each item of envFrom must set exactly one of configMapRef and secretRef"
_ORIGINS: Final = ("config_map_ref", "secret_ref")


class EnvFromSource(Model):
    """All keys of one ConfigMap or Secret as environment variables."""

    model_config = ConfigDict(json_schema_extra=rules((f"{count_set_in_cel(_ORIGINS)} == 1", ONE_ORIGIN)))

    prefix: VariableName | None = None
    """Prefix of the variable names. Defaults to none."""
    config_map_ref: ObjectReference | None = None
    """ConfigMap whose keys become variables."""
    secret_ref: ObjectReference | None = None
    """Secret whose keys become variables."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if count_set(self, _ORIGINS) != 1:
            raise ValueError(ONE_ORIGIN)
        return self


Env = Annotated[list[EnvVar], Field(max_length=500, json_schema_extra=map_list("name")), distinct("name")]
EnvFrom = Annotated[list[EnvFromSource], Field(max_length=64)]
