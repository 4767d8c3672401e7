"""The shares of a profiled process's time, by package and by function."""

import pstats
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

_SITE: Final = re.compile(r".*/site-packages/([^/.]+)")
_OURS: Final = re.compile(r".*/(shop_operator/.+)\.py$")

Function = tuple[str, int, str]


def package(function: Function) -> str:
    """The owner of a function in a profile: a module of this project, an installed package, or Python."""
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
    """Package -> its share of the time spent in functions themselves, in descending order."""
    spent: defaultdict[str, float] = defaultdict(float)
    # Not in typeshed: the stats are {function: (calls, calls, own seconds, all seconds, callers)}.
    entries: dict[Function, tuple[int, int, float, float, object]] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    for function, (_, _, own, _, _) in entries.items():
        # Waiting for events is not work.
        if "select.epoll" not in function[2]:
            spent[package(function)] += own
    total = sum(spent.values())
    return sorted(((name, own / total) for name, own in spent.items()), key=lambda each: -each[1])
