"""Removes secrets that would let a reader act on behalf of others from the text of dead letters. Pure."""

import re
from typing import Any

import orjson

LEFT_OUT = "(left out)"
# With these values, a reader could report results of tasks, or pay.
SECRET = frozenset({"task_token", "token", "payment_token"})
# The same in text that is not JSON: truncated or quoted JSON, or the output of Python.
_NAMED_SECRET = re.compile(
    rf"""(["'](?:{"|".join(sorted(SECRET))})\\*["']\s*:\s*\\*["'])(?:[^"'\\]|\\+[^"'\\])*"""
)
_PAYMENT_TOKEN = re.compile(r"tok_[A-Za-z0-9_]+")


def redacted(value: Any) -> Any:
    """JSON without secrets.

    Raises:
        RecursionError, TypeError: the JSON is nested too deeply.
    """
    match value:
        case dict():
            return {
                redacted_text(name): LEFT_OUT if name in SECRET else redacted(each)
                for name, each in value.items()
            }
        case list():
            return [redacted(each) for each in value]
        case str():
            return _redacted_string(value)
        case _:
            return value


def _redacted_string(text: str) -> str:
    """A string without secrets. It may contain JSON, as in a message of SNS."""
    try:
        content = orjson.loads(text)
    except ValueError:
        return redacted_text(text)
    shown = redacted(content)
    return text if shown == content else orjson.dumps(shown).decode()


def redacted_text(text: str) -> str:
    """Text without secrets, even if it is no valid JSON."""
    return _PAYMENT_TOKEN.sub(LEFT_OUT, _NAMED_SECRET.sub(rf"\1{LEFT_OUT}", text))
