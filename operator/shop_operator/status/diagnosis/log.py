"""The end of a container's log."""

import re
from typing import Final

from shop_operator.wording import shortened

_NO_LOG: Final = re.compile(
    r"^(?:unable to retrieve container logs for|failed to (?:try resolving symlinks|open log file|get) )"
)


def last_line(log: str) -> str:
    """The last line that is not empty, shortened for a condition; empty if the kubelet returned an error in place of a log."""
    lines = [line.strip() for line in log.splitlines()]
    found = next((line for line in reversed(lines) if line), "")
    return "" if _NO_LOG.match(found) else shortened(found)
