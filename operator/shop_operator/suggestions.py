"""Names that are easily mistaken for each other: which one to suggest, and to whose message a name is news."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

MOST_NAMES: Final = 1000
"""A namespace with more ShopServices gets no suggestions: a comparison takes some 10 µs."""
# So many names that are missing get a suggestion.
_MOST_SUGGESTIONS: Final = 3


def suggestions(missing: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """For each missing name the one that it resembles most, if there is one.

    Args:
        missing: names that something refers to.
        names: those that there are.
    """
    known = list(islice(names, MOST_NAMES + 1))
    if len(known) > MOST_NAMES:
        return {}
    found = ((each, get_close_matches(each, known, n=1)) for each in islice(missing, _MOST_SUGGESTIONS))
    return {each: close[0] for each, close in found if close}


def resembling(name: str, missing: Iterable[str]) -> list[str]:
    """The missing names whose suggestion may be another one when a name comes or goes; of MOST_NAMES at most."""
    return [each for each in islice(missing, MOST_NAMES) if get_close_matches(each, [name], n=1)]
