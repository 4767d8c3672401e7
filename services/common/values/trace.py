"""W3C trace context (https://www.w3.org/TR/trace-context/)."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NOWHERE = {"0" * 32, "0" * 16}


@dataclass(frozen=True, slots=True)
class Trace:
    """A span in a trace.

    Args:
        trace_id: 32 hexadecimal digits, the same for everything that a request causes.
        span_id: 16 hexadecimal digits.
        flags: two hexadecimal digits.
    """

    trace_id: str
    span_id: str
    flags: str = "01"

    @classmethod
    def start(cls) -> "Trace":
        """A new trace."""
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    @classmethod
    def continued(cls, traceparent: Any) -> "Trace":
        """A new span in the trace of `traceparent`, or a new trace if `traceparent` is invalid."""
        match = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
        if match is None or not _NOWHERE.isdisjoint(match.groups()):
            return cls.start()
        return cls(match[1], secrets.token_hex(8), match[3])

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace:
    """The current trace, or a new one if there is none."""
    return _current.get() or Trace.start()


@contextmanager
def entered(trace: Trace) -> Iterator[Trace]:
    """Makes a trace the current one."""
    before = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(before)
