"""Members of what was read from outside, a row or a message, whose types nothing has checked yet."""

from collections.abc import Mapping
from typing import Any


def text(value: Any) -> str:
    """A value that is a text.

    Raises:
        TypeError: when it is none. The value is not named: it may be a secret.
    """
    if not isinstance(value, str):
        raise TypeError(f"a string is required, not {type(value).__name__}")
    return value


def whole(value: Any) -> int:
    """A value that is a whole number.

    Raises:
        TypeError: when it is none.
    """
    if type(value) is not int:
        raise TypeError(f"an integer is required, not {type(value).__name__}")
    return value


def optional_text(item: Mapping[str, Any], name: str) -> str | None:
    """The value of a member that is a text, if there is one.

    Raises:
        TypeError: when it is none.
    """
    return text(item[name]) if name in item else None
