"""Type checks for the members of rows and messages."""

from collections.abc import Mapping
from typing import Any


def text(value: Any) -> str:
    """A value that must be a string.

    Raises:
        TypeError: it is not a string. The message omits the value, which may be a secret.
    """
    if not isinstance(value, str):
        raise TypeError(f"a string is required, not {type(value).__name__}")
    return value


def whole(value: Any) -> int:
    """A value that must be an integer.

    Raises:
        TypeError: it is not an integer.
    """
    if type(value) is not int:
        raise TypeError(f"an integer is required, not {type(value).__name__}")
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """A value that must be a JSON object.

    Raises:
        TypeError: it is not a JSON object.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"an object is required, not {type(value).__name__}")
    return value


def optional_text(item: Mapping[str, Any], name: str) -> str | None:
    """The value of an optional member that must be a string, or None.

    Raises:
        TypeError: it is not a string.
    """
    return text(item[name]) if name in item else None
