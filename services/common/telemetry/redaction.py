"""Removes payment data from log lines.

Values with a sensitive name are redacted at any depth, and strings that look like a payment token are redacted in the
finished line.
"""

import re
from collections.abc import Mapping
from typing import Any

from structlog.typing import EventDict

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(r"token|card|cvc|cvv|secret|password|authorization|credential", re.IGNORECASE)
_SECRET_VALUE = re.compile(rb"tok_[A-Za-z0-9_]+")


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor that redacts values with a name such as `token` or `card_number`."""
    return {name: _redacted(name, value) for name, value in event.items()}


def _redacted(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(inner): _redacted(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    return value


def redact_line(line: bytes) -> bytes:
    """The line without payment tokens."""
    return _SECRET_VALUE.sub(REDACTED.encode(), line)
