"""A clock that a test moves."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass
class Clock:
    """Seconds that pass when a test says so.

    Args:
        now: its time.
    """

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def date(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)
