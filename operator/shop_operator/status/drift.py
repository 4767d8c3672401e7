"""Reverted modifications, and how many the status counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_MOST_FIELDS: Final = 20


@dataclass(frozen=True)
class Repair:
    """A reverted modification.

    Args:
        object: kind and name, such as Deployment web.
        fields: the paths of the modified fields.
        manager: the field managers that own these fields; empty if managedFields does not show them.
    """

    object: str
    fields: tuple[str, ...]
    manager: str

    def __str__(self) -> str:
        by = f" by {self.manager}" if self.manager else ""
        return f"{self.object}: {', '.join(self.fields)} modified{by}; reverted."


def drift(repairs: Sequence[Repair], previous: Mapping[str, Any], now: Callable[[], str]) -> dict[str, Any]:
    """The value of status.drift after these repairs; empty without any so far."""
    before = previous.get("drift") or {}
    if not repairs:
        return before
    last = repairs[-1]
    return {
        "count": before.get("count", 0) + len(repairs),
        "last": {
            "time": now(),
            "object": last.object,
            "fields": list(last.fields[:_MOST_FIELDS]),
            "manager": last.manager,
        },
    }
