"""Quantities of Kubernetes, compared by the value that the API server stores."""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, DecimalException
from typing import Any, Final

_QUANTITY: Final = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")
_LARGEST_QUANTITY: Final = Decimal(2**63 - 1)
_SUFFIX: Final[Mapping[str, Decimal]] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal("1e3"),
    **{letter: Decimal(1000) ** (i + 2) for i, letter in enumerate("MGTPE")},
    **{f"{letter}i": Decimal(1024) ** (i + 1) for i, letter in enumerate("KMGTPE")},
}


def same_quantity(one: Any, other: Any) -> bool:
    """Whether the API server stores the same value for both. A value that is not a quantity equals none."""
    first, second = _quantity(one), _quantity(other)
    return first is not None and first == second


def exact(value: Any) -> Decimal | None:
    """The value of a quantity (`500m`, `0.5`, `1Gi`, `12345n`, 2) without rounding, None if it is not a quantity."""
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        return None
    number, suffix = match.groups()
    try:
        if suffix and suffix not in _SUFFIX:
            return Decimal(number + suffix)
        return Decimal(number) * _SUFFIX.get(suffix or "", Decimal(1))
    except DecimalException:
        # The exponent is too large.
        return None


def _quantity(value: Any) -> Decimal | None:
    """The value that the API server stores for a quantity (`500m`, `0.5`, `1Gi`, 2), None if it is not a quantity.

    The largest value is an int64. Resources have a resolution of 1m and are rounded up.
    """
    found = exact(value)
    try:
        return found and min((found * 1000).to_integral_value(ROUND_CEILING) / 1000, _LARGEST_QUANTITY)
    except DecimalException:
        # The exponent is too large.
        return None
