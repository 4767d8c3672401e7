"""What the fields of the API are made of: the base of every model, scalar types, and the words of a CRD's schema."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

LABEL_LENGTH: Final = 63
# A ShopService's name is also its Service's, which becomes part of DNS names.
LABEL: Final = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
_SUBDOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
# The quantities that Kubernetes keeps as they are: it rounds what is finer than 1m and caps what is beyond an int64.
_QUANTITY: Final = r"^([0-9]{1,15}m?|[0-9]{1,6}(\.[0-9]{1,3})?([kMGT]|[KMGT]i|e[0-9])?)$"
_LARGEST_QUANTITY: Final = 10**15
LAST_PORT: Final = 65535


def _quantity(value: Any) -> int | str:
    if isinstance(value, str) and re.fullmatch(_QUANTITY, value):
        return value
    if type(value) is int and 0 <= value <= _LARGEST_QUANTITY:
        return value
    raise ValueError('must be a quantity such as 100m, "0.5" or 128Mi')


def _port_reference(value: Any) -> int | str:
    if isinstance(value, str) and value == "http":
        return value
    if type(value) is int and 1 <= value <= LAST_PORT:
        return value
    raise ValueError("must be a number from 1 to 65535, or http for the container's own port")


def distinct(*keys: str) -> AfterValidator:
    """No two items alike in these fields, as the API server holds it for the list types map and set."""

    def check(items: list[Any]) -> list[Any]:
        counted = Counter(tuple(getattr(item, key) for key in keys) or (item,) for item in items)
        identity, count = counted.most_common(1)[0] if counted else ((), 0)
        if count > 1:
            raise ValueError(f"Duplicate value: {' '.join(identity)} is there {count} times")
        return items

    return AfterValidator(check)


def int_or_string(**bounds: Any) -> WithJsonSchema:
    """A field that is a number or text, as Kubernetes has them."""
    return WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            **bounds,
        }
    )


def map_list(*keys: str) -> dict[str, Any]:
    """A list whose items are told apart by these fields, for server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


SET: Final[dict[str, Any]] = {"x-kubernetes-list-type": "set"}


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules with the sentences that a user reads when they do not hold."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


def how_many(fields: Iterable[str]) -> str:
    """The CEL expression for how many of these are set; `count_set` is the same in Python."""
    there = ", ".join(f"has(self.{to_camel(name)})" for name in fields)
    return f"[{there}].filter(x, x).size()"


def count_set(model: BaseModel, fields: Iterable[str]) -> int:
    """How many of these fields are set."""
    return sum(getattr(model, name) is not None for name in fields)


Quantity = Annotated[
    int | str,
    PlainValidator(_quantity),
    int_or_string(pattern=_QUANTITY, minimum=0, maximum=_LARGEST_QUANTITY),
]
PortReference = Annotated[
    int | str,
    PlainValidator(_port_reference),
    int_or_string(pattern="^http$", minimum=1, maximum=LAST_PORT),
]
Divisor = Literal["1", "1m", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"]
Text = Annotated[str, StringConstraints(max_length=4096)]
ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=rf"^{_SUBDOMAIN}")]
Namespace = Annotated[
    str, StringConstraints(max_length=LABEL_LENGTH, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
WorkerName = Annotated[str, StringConstraints(max_length=40, pattern=LABEL)]
Hostname = Annotated[str, StringConstraints(max_length=253, pattern=rf"^(\*\.)?{_SUBDOMAIN}")]
VariableName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[ -<>-~]+$")]
DataKey = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=253, pattern=r"^([-_a-zA-Z0-9]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$"
    ),
]
Port = Annotated[int, Field(ge=1, le=LAST_PORT)]
Count = Annotated[int, Field(ge=0, le=1000)]
Seconds = Annotated[int, Field(ge=0, le=3600)]
Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]


class Model(BaseModel):
    """What every part of the API has in common: camelCase, closed, immutable, and no type taken for another."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
    )

    def to_dict(self) -> dict[str, Any]:
        """As Kubernetes writes it, without what was not set."""
        return self.model_dump(by_alias=True, exclude_none=True)
