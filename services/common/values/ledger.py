"""The port in which a sandbox of an outside service records its actions."""

from collections.abc import Mapping
from typing import Any, Protocol


class Ledger(Protocol):
    """Entries and counts, by key."""

    def record(self, key: str, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Writes an entry unless the key has one. Returns the existing entry, or None."""

    def count(self, key: str) -> int:
        """Counts an attempt. Returns the number of attempts under the key, including this one."""
