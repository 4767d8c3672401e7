"""The cause of the work in progress, which every message names in its field `traceparent`.

The text is opaque here: telemetry sets it, and domains and ports pass it on. Its format is that of the W3C
(https://www.w3.org/TR/trace-context/).
"""

import secrets
from contextvars import ContextVar, Token

_cause: ContextVar[str | None] = ContextVar("cause", default=None)


def current() -> str:
    """The cause of the work in progress, or a new one if there is none."""
    return _cause.get() or f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def enter(traceparent: str) -> Token[str | None]:
    """Sets the cause of what follows. Returns the argument of `leave`."""
    return _cause.set(traceparent)


def leave(token: Token[str | None]) -> None:
    """Restores the cause before `enter`."""
    _cause.reset(token)
