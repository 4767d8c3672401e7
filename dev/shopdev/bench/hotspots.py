"""Where the time of a profiled process goes, by package and by function."""

import pstats
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

_SITE: Final = re.compile(r".*/site-packages/([^/.]+)")
_OURS: Final = re.compile(r".*/(shop_operator/.+)\.py$")

Function = tuple[str, int, str]


def package(function: Function) -> str:
    """Whose code a function of a profile is: a module of ours, an installed package, or Python's own."""
    path, _, name = function
    if found := _OURS.match(path):
        return found[1].replace("/", ".")
    if found := _SITE.match(path):
        return found[1]
    if path == "~":
        inner = name.strip("<{}>").removeprefix("built-in method ").removeprefix("method ")
        if inner.startswith("'"):
            _, _, owner = inner.partition(" of ")
            return "Python: " + owner.strip("'").partition("'")[0].partition(".")[0]
        return "Python: " + inner.partition(".")[0] if "." in inner else "Python: builtins"
    return "Python: " + Path(path).parent.name if "asyncio" in path else "Python: " + Path(path).stem


def shares(path: Path) -> list[tuple[str, float]]:
    """Each package's part of all the time that was spent in functions themselves, the largest first."""
    spent: defaultdict[str, float] = defaultdict(float)
    # typeshed does not know what a Stats holds: {function: (calls, calls, own seconds, all seconds, callers)}.
    entries: dict[Function, tuple[int, int, float, float, object]] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    for function, (_, _, own, _, _) in entries.items():
        # To wait for events is not work.
        if "select.epoll" not in function[2]:
            spent[package(function)] += own
    total = sum(spent.values())
    return sorted(((name, own / total) for name, own in spent.items()), key=lambda each: -each[1])
