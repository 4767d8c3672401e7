"""docs/explanation/limits.md: every number on the page is that of the code."""

import importlib
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from shop_operator.api.v1alpha1.crd import crd
from shopdev.checkout import ROOT

PAGE: Final = (ROOT / "docs/explanation/limits.md").read_text(encoding="utf-8")
FIELD: Final = re.compile(
    r"^\| `spec\.(?P<path>[\w.\[\]]+)`[^|]* \| (?P<most>\d+)(?: characters)? \|$", re.MULTILINE
)
BOUND: Final = re.compile(
    r"^\| [^|]+ \| (?P<values>[^|]+) \| (?P<files>[^|]+): (?P<names>[^|:]+) \|$", re.MULTILINE
)
UNITS: Final = {"": 1, "KiB": 1024, "MiB": 1024**2, "s": 1, "min": 60, "h": 3600, "day": 86400}
KEYWORDS: Final = ("maxItems", "maxLength", "maximum")


def schema(path: str) -> dict[str, Any]:
    """The schema of a field of the spec."""
    found: dict[str, Any] = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for name in path.split("."):
        found = found["properties"][name.removesuffix("[]")]
        found = found["items"] if name.endswith("[]") else found
    return found


def bounds() -> Iterator[tuple[str, float]]:
    """`module:CONSTANT` and the number that the page states for it."""
    for row in BOUND.finditer(PAGE):
        files, names = (re.findall(r"`([^`]+)`", row[each]) for each in ("files", "names"))
        values = [float(number) * UNITS[unit] for number, unit in re.findall(r"(\d+) ?(\w*)", row["values"])]
        modules = [each.removesuffix(".py").removeprefix("operator/").replace("/", ".") for each in files]
        modules = modules if len(modules) == len(names) else modules * len(names)
        yield from zip(map(":".join, zip(modules, names, strict=True)), values, strict=True)


BOUNDS: Final = list(bounds())


def test_given_the_page_then_both_kinds_of_tables_are_read() -> None:
    rows = re.findall(r"^\| (?!field|limit)", PAGE, re.MULTILINE)

    assert len(FIELD.findall(PAGE)) + len(BOUND.findall(PAGE)) == len(rows)


@pytest.mark.parametrize(("path", "most"), FIELD.findall(PAGE))
def test_given_a_field_of_the_page_then_the_crd_has_that_limit(path: str, most: str) -> None:
    found = schema(path)

    assert int(most) in [found.get(each) for each in KEYWORDS]


@pytest.mark.parametrize(("constant", "stated"), BOUNDS, ids=[constant for constant, _ in BOUNDS])
def test_given_a_constant_of_the_page_then_the_code_has_that_value(constant: str, stated: float) -> None:
    module, _, name = constant.partition(":")
    value = getattr(importlib.import_module(module), name)

    assert (value.total_seconds() if isinstance(value, timedelta) else value) == stated
