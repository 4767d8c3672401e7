"""What a built-in stand-in for an outside service remembers of what it did."""

from collections.abc import Mapping
from typing import Any, Protocol


class Ledger(Protocol):
    """Entries and counts, by key."""

    def record(self, key: str, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Writes an entry unless the key has one; answers the one that it has, None when this is the first."""

    def count(self, key: str) -> int:
        """Counts an attempt; answers how many there were for the key, this one included."""
