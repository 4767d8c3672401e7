"""The clock, and the text format of times."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)


def rfc3339(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds: always 27 characters, so that the texts sort by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse(text: str) -> datetime:
    """Parses an RFC 3339 time.

    Raises:
        ValueError: the text is not a time, has no UTC offset, or is out of the range of `datetime`.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is out of range") from error
