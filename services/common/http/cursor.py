"""Opaque cursors: the position at which the next page of a list starts, which clients send back unchanged."""

import base64
import binascii
from collections.abc import Collection, Mapping

import orjson

from services.common.http.errors import InvalidRequest


def encode(position: Mapping[str, str]) -> str:
    """The URL-safe cursor of a position."""
    return base64.urlsafe_b64encode(orjson.dumps(dict(position))).rstrip(b"=").decode()


def decode(cursor: str, fields: Collection[str]) -> dict[str, str]:
    """The position in a cursor: exactly `fields`, all strings.

    Raises:
        InvalidRequest: this service did not create the cursor.
    """
    try:
        position = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError):  # orjson's and Unicode's errors are ValueErrors
        raise _foreign() from None
    if not isinstance(position, dict) or set(position) != set(fields):
        raise _foreign()
    if not all(isinstance(value, str) for value in position.values()):
        raise _foreign()
    return position


def _foreign() -> InvalidRequest:
    return InvalidRequest(
        "cursor: use the value of `next` of the previous page, or omit it for the first page"
    )
