"""The order of Events. Pure."""

from collections.abc import Mapping
from typing import Any


def last_seen(event: Mapping[str, Any]) -> str:
    """The time at which an Event last occurred, in RFC 3339."""
    times = ((event.get("series") or {}).get("lastObservedTime"), event.get("deprecatedLastTimestamp"))
    return str(next((each for each in times if each), event["metadata"]["creationTimestamp"]))
