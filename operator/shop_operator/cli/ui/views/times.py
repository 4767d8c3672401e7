"""Points in time as readers need them. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Moment:
    """A point in time.

    Args:
        stamp: in RFC 3339.
        ago: how long ago it was, such as "3 min ago".
    """

    stamp: str
    ago: str


def parsed(stamp: str | None) -> datetime | None:
    """A time in RFC 3339; None if it is not one."""
    try:
        found = datetime.fromisoformat(stamp or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def moment(stamp: str | None, now: datetime) -> Moment | None:
    """A time in RFC 3339, seen from now; None if it is not one."""
    at = parsed(stamp)
    if at is None:
        return None
    return Moment(str(stamp), f"{duration((now - at).total_seconds())} ago")


def duration(seconds: float) -> str:
    """A time span in its largest unit, such as "3 min"."""
    whole = max(int(seconds), 0)
    size, unit = next(((size, unit) for size, unit in _UNITS if whole >= size), (1, "s"))
    return f"{whole // size} {unit}"
