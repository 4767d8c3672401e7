"""Generated sections of files that are otherwise written by hand, between a pair of marker comments."""

import re
from collections.abc import Iterable


class NoMarker(Exception):
    """A file lacks a pair of marker comments."""


def replaced(text: str, part: str, lines: Iterable[str]) -> str:
    """The text with other lines between `# generated: PART (…` and `# end of PART`.

    Raises:
        NoMarker: when the pair is not there exactly once.
    """
    pattern = re.compile(
        rf"(?P<begin> *# generated: {part} \([^\n]*\n).*?(?P<end> *# end of {part}\n)", re.DOTALL
    )
    put, count = pattern.subn(
        lambda found: found["begin"] + "".join(f"{line}\n" for line in lines) + found["end"], text
    )
    if count != 1:
        raise NoMarker(f"`# generated: {part} (` and `# end of {part}` are not there once")
    return put
