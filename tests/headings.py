"""The headings of a page, to which links and alerts refer."""

import re
from typing import Final

_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: str) -> set[str]:
    """The fragments of the headings of a page, as on GitHub; the headings must differ."""
    without_blocks = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w -]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        for heading in _HEADING.findall(without_blocks)
    }
