"""A share of the pods of a Deployment: a number, or a percentage of all of them."""

import re
from typing import Annotated, Any, Final

from pydantic import PlainValidator

from shop_operator.api.v1alpha1.schema import int_or_string, matching, rules

PERCENT: Final = r"(100|[0-9]{1,2})%"
_WHOLE: Final = 100
_MOST_PODS: Final = 1000
INVALID_SHARE: Final = "must be a number of pods or a percentage such as 25%"


def _share(value: Any) -> int | str:
    if isinstance(value, str) and re.fullmatch(PERCENT, value):
        return value
    if type(value) is int and 0 <= value <= _MOST_PODS:
        return value
    raise ValueError(INVALID_SHARE)


Share = Annotated[
    int | str,
    PlainValidator(_share),
    int_or_string(
        minimum=0,
        maximum=_MOST_PODS,
        **rules((f"type(self) == int || {matching('self', PERCENT)}", INVALID_SHARE)),
    ),
]


def is_zero_in_cel(field: str) -> str:
    """The CEL expression for `is_zero` of a field."""
    return f"(type({field}) == int ? {field} == 0 : {field} in ['0%', '00%'])"


def is_zero(share: int | str) -> bool:
    """Whether the share is zero pods for every number of pods."""
    return share in {0, "0%", "00%"}


def at_least(share: int | str, pods: int) -> int:
    """The number of pods in a share, rounded up.

    Args:
        share: number or percentage.
        pods: number of all pods.
    """
    if isinstance(share, int):
        return share
    return -(-int(share.removesuffix("%")) * pods // _WHOLE)
