"""IDs that sort by creation time (UUIDv7, RFC 9562)."""

import time
import uuid
from datetime import datetime

import uuid_utils

_VERSION = 7


def uuid7() -> str:
    """A new ID, in the usual form with 36 characters."""
    return str(uuid_utils.uuid7())


def age(made: str) -> float:
    """Age of an ID in seconds; 0 if it is not a UUIDv7."""
    try:
        known = uuid.UUID(made)
    except ValueError:
        return 0.0
    return max(0.0, time.time() - (known.int >> 80) / 1000) if known.version == _VERSION else 0.0


def shown(text: str) -> str:
    """An ID as an error message may contain it: any other text, which a client sent in place of an ID, is left out."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return "with this ID"


def first_of(at: datetime) -> str:
    """The smallest possible ID of a time: every earlier ID sorts before it."""
    return str(uuid.UUID(int=int(at.timestamp() * 1000) << 80 | _VERSION << 76 | 0b10 << 62))
