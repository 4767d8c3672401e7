"""The tables of values in the README of a chart, between two marks; the text around them is written by hand."""

import json
from collections.abc import Sequence
from typing import Any

from shopdev.codegen.chartdocs.values import BadComment, Section, Value

START = "<!-- values: generated from values.yaml by `make generate` -->"
END = "<!-- end of values -->"
_LONGEST_DEFAULT = 60


def readme(current: str, sections: Sequence[Section]) -> str:
    """The README with regenerated tables.

    Raises:
        BadComment: when the README has no marks, or neither a value nor a block above it has a description.
    """
    before, start, rest = current.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise BadComment(f"the README has no place for the values; add the lines {START!r} and {END!r}")
    tables = "\n\n".join(_table(section) for section in sections)
    return f"{before}{START}\n\n{tables}\n\n{END}{after}"


def _table(section: Section) -> str:
    rows = [_row(value) for top in section.values for value in _shown(top)]
    return "\n".join(
        [f"### {section.title}", "", "| Value | Default | Description |", "| --- | --- | --- |", *rows]
    )


def _shown(value: Value) -> list[Value]:
    """The rows of a value. A block with a description has a row above those of its values."""
    if not value.children:
        return [value]
    below = [row for child in value.children for row in _shown(child)]
    return [value, *below] if value.description else below


def _row(value: Value) -> str:
    default = "" if value.children else _default(value.default)
    return f"| `{'.'.join(value.path)}` | {default} | {_words(value)} |"


def _default(default: Any) -> str:
    if default is None:
        return ""
    text = json.dumps(default, ensure_ascii=False)
    return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else "see values.yaml"


def _words(value: Value) -> str:
    words = value.description
    if not words and "enum" in (hint := value.schema_hint()):
        words = "One of " + ", ".join(f"`{choice}`" for choice in hint["enum"]) + "."
    if "chart" in value.hints:
        words = f"{words} Every value of [{value.hints['chart']}](../{value.hints['chart']}#values)."
    return words.strip().replace("|", "\\|")
