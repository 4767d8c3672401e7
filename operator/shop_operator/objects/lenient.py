"""Reading objects of any shape: a value of an unexpected type reads as an empty value.

The API server stores whatever a schema allows: a field may be missing, null, or of another type than every controller writes.
The objects are parsed JSON, so their maps are dicts.
"""

from collections.abc import Mapping
from typing import Any, Final

_NOTHING: Final[Mapping[str, Any]] = {}
# Every number of this many digits fits into 64 bits.
_MOST_DIGITS: Final = 18


class Unparsed(dict[str, Any]):
    """An object that cannot be parsed. Its `metadata` has namespace, name, UID and resourceVersion, or is empty.

    A type of its own, since a parsed object may contain any key.
    """

    WHY: Final = "It is not JSON that can be parsed."


class Omitted(dict[str, Any]):
    """A map that was not parsed because of its size. It has no keys.

    A type of its own, since an author may write an empty map.
    """


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a map, otherwise an empty map."""
    return value if isinstance(value, dict) else _NOTHING


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The maps of a list, otherwise an empty list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value if it is a string, otherwise an empty string."""
    return value if isinstance(value, str) else ""


def texts(value: Any) -> list[str]:
    """The strings of a list, otherwise an empty list."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def number(value: Any) -> int:
    """The value if it is an integer, otherwise 0."""
    return value if isinstance(value, int) else 0


def digits(value: Any) -> int:
    """The number in a string of at most 18 digits, otherwise 0. Python rejects strings of more than 4,300 digits."""
    short = isinstance(value, str) and value.isdecimal() and len(value) <= _MOST_DIGITS
    return int(value) if short else 0


def shallow(value: Any, levels: int) -> Any:
    """The parsed value with None in place of every list and map below this many levels."""
    if isinstance(value, dict):
        return {key: shallow(each, levels - 1) for key, each in value.items()} if levels else None
    if isinstance(value, list):
        return [shallow(each, levels - 1) for each in value] if levels else None
    return value


def deeper(value: Any, levels: int) -> bool:
    """Whether a parsed value has lists or maps below this many levels."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            each
            for nested in layer
            if isinstance(nested, dict | list)
            for each in (nested.values() if isinstance(nested, dict) else nested)
        ]
        if not layer:
            return False
    return any(isinstance(each, dict | list) for each in layer)
