"""Limiting the nesting of JSON that is too deep to parse, without parsing it."""

import re
from typing import Final

DEEPEST: Final = 260
"""Levels to keep of an object that is nested too deeply to parse. More than the 254 levels that orjson can serialize, so that the
cache recognizes the object as one that it cannot store."""

# A string or a bracket. Brackets in strings do not count.
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def cut(raw: bytes, levels: int) -> bytes:
    """The JSON with null in place of every list and map below this many levels."""
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
