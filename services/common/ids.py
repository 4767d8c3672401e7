"""Ids that sort by the time they were made (UUIDv7, RFC 9562)."""

import uuid_utils


def uuid7() -> str:
    """A new id, in its usual 36 characters."""
    return str(uuid_utils.uuid7())
