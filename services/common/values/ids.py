"""Ids that sort by the time they were made (UUIDv7, RFC 9562)."""

import time
import uuid
from datetime import datetime

import uuid_utils

_VERSION = 7


def uuid7() -> str:
    """A new id, in its usual 36 characters."""
    return str(uuid_utils.uuid7())


def age(made: str) -> float:
    """Seconds since an id was made; 0 for what is no such id."""
    try:
        known = uuid.UUID(made)
    except ValueError:
        return 0.0
    return max(0.0, time.time() - (known.int >> 80) / 1000) if known.version == _VERSION else 0.0


def first_of(at: datetime) -> str:
    """The least id that may be made at a time: every earlier one sorts before it."""
    return str(uuid.UUID(int=int(at.timestamp() * 1000) << 80 | _VERSION << 76 | 0b10 << 62))
