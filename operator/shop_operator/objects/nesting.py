"""JSON that nests too deeply to be read, cut without being read."""

import re
from typing import Final

DEEPEST: Final = 260
"""Levels that are kept of an object that nests deeper than can be read: more than the 254 levels that orjson writes, so
that the object is known as one that cannot be kept."""

# A string, or a bracket. What is in strings does not count.
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def cut(raw: bytes, levels: int) -> bytes:
    """The JSON with null in place of every list and map that is nested deeper than so many levels."""
    kept: list[bytes] = []
    depth, start = 0, 0
    for token in _TOKEN.finditer(raw):
        first = raw[token.start()]
        if first in b"[{":
            depth += 1
            if depth == levels + 1:
                kept += (raw[start : token.start()], b"null")
        elif first in b"]}":
            depth -= 1
            if depth == levels:
                start = token.end()
    kept.append(raw[start:])
    return b"".join(kept)
