"""Permanent errors: a message that breaks its contract, a row that cannot be read, a defect.

A permanent error says nothing about the health of the process. An outside service or a table that does not answer is a
temporary error, not a permanent one.
"""

from services.common.values.errors import NotFound, PermanentError

_PERMANENT = (
    PermanentError,
    # Tables are read consistently, and the subject of a message is stored before the message is sent.
    NotFound,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def is_permanent(error: Exception) -> bool:
    """Whether the same work fails the same way at every attempt."""
    return isinstance(error, _PERMANENT)
