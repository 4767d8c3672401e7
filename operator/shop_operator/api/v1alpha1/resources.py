"""CPU and memory of a container."""

import re
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator, WithJsonSchema

from shop_operator.api.v1alpha1.schema import Model, int_or_string, python_pattern

# The quantities of Kubernetes, except negative ones. A field without a type cannot have a CEL rule, so the name of the group is the
# message.
_QUANTITY: Final = (
    r"^(?<quantity_such_as_100m_or_0_5_or_128Mi>\+?([0-9]{1,19}(\.[0-9]{0,18})?|\.[0-9]{1,18})"
    r"([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]{1,2})?)$"
)
_LARGEST_NUMBER: Final = 9 * 10**18
INVALID_QUANTITY: Final = 'must be a quantity such as 100m, "0.5" or 128Mi'


def _quantity(value: Any) -> int | str:
    """The quantity as a string or an integer, as Kubernetes converts a number without quotes."""
    if isinstance(value, str) and re.fullmatch(python_pattern(_QUANTITY), value, re.ASCII):
        return value
    if type(value) in {int, float} and 0 <= value <= _LARGEST_NUMBER:
        return int(value) if value == int(value) else str(value)
    raise ValueError(INVALID_QUANTITY)


# x-kubernetes-int-or-string rejects 0.5. A field without a type accepts every number; the contradictory bounds on items and
# properties reject lists and objects.
QUANTITY_SCHEMA: Final[dict[str, Any]] = {
    "x-kubernetes-preserve-unknown-fields": True,
    "pattern": _QUANTITY,
    "minimum": 0,
    "maximum": _LARGEST_NUMBER,
    "minItems": 1,
    "maxItems": 0,
    "minProperties": 1,
    "maxProperties": 0,
    "not": {"enum": [True, False]},
}
Quantity = Annotated[int | str, PlainValidator(_quantity), WithJsonSchema(QUANTITY_SCHEMA)]


def _typed_quantity(value: Any) -> int | str:
    if isinstance(value, str) and re.fullmatch(python_pattern(_QUANTITY), value, re.ASCII):
        return value
    if type(value) is int and 1 <= value <= _LARGEST_NUMBER:
        return value
    raise ValueError(INVALID_QUANTITY)


TypedQuantity = Annotated[
    int | str,
    PlainValidator(_typed_quantity),
    int_or_string(minimum=1, maximum=_LARGEST_NUMBER, pattern=_QUANTITY),
]
"""A quantity that a CEL rule can test for its presence. A number with a fraction must be a string."""


class Resources(Model):
    """CPU and memory of one container."""

    requests: dict[str, Quantity] | None = Field(default=None, max_length=16)
    """Resources that the scheduler reserves, such as {cpu: 100m, memory: 128Mi}. Targets of autoscaling by CPU or memory are percentages of these."""
    limits: dict[str, Quantity] | None = Field(default=None, max_length=16)
    """Maximum resources that the container may use. A container that exceeds its memory limit is killed."""
