"""Suggestions for misspelled names."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

MOST_NAMES: Final = 1000
"""The number of names above which no suggestion is made: one comparison takes about 10 µs."""
# The number of missing names for which a suggestion is made.
_MOST_SUGGESTIONS: Final = 3


def suggestions(missing: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """The most similar existing name for each missing name, if one is similar enough.

    Args:
        missing: the names that are referenced.
        names: the names that exist.
    """
    known = list(islice(names, MOST_NAMES + 1))
    if len(known) > MOST_NAMES:
        return {}
    found = ((each, get_close_matches(each, known, n=1)) for each in islice(missing, _MOST_SUGGESTIONS))
    return {each: close[0] for each, close in found if close}


def resembling(name: str, missing: Iterable[str]) -> list[str]:
    """The missing names, of at most MOST_NAMES, whose suggestion may change when a name is created or deleted."""
    return [each for each in islice(missing, MOST_NAMES) if get_close_matches(each, [name], n=1)]
