"""The values.yaml of a chart with its comments, which YAML parsers drop."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_HINTS = frozenset({"schema", "crd", "env", "workers", "chart"})
# Hints that describe a value completely, regardless of its default.
_LEAF_HINTS = _HINTS - {"schema"}


class BadComment(ValueError):
    """A comment in values.yaml is incomplete or invalid; the message contains its location."""


@dataclass(frozen=True)
class Value:
    """One value of a chart.

    Attributes:
        path: keys from the root, such as `("image", "tag")`.
        default: parsed default.
        description: the comment above it, as one paragraph of Markdown; may be empty.
        hints: name -> rest, of the `+name rest` lines of the comment.
        children: the values in it, if it is a block of documented values.
        where: file and line, for errors.
    """

    path: tuple[str, ...]
    default: Any
    description: str
    hints: Mapping[str, str]
    children: tuple["Value", ...]
    where: str

    @property
    def key(self) -> str:
        """The last key of its path."""
        return self.path[-1]

    def leaves(self) -> Iterator["Value"]:
        """The value itself, or the values in the block."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def schema_hint(self) -> dict[str, Any]:
        """The JSON object of the hint `+schema`.

        Raises:
            BadComment: when it is not a JSON object.
        """
        text = self.hints.get("schema", "{}")
        try:
            found = json.loads(text)
        except ValueError as error:
            raise BadComment(f"{self.where}: +schema wants one line of JSON: {error}") from None
        if not isinstance(found, dict):
            raise BadComment(f"{self.where}: +schema wants a JSON object, not {text}")
        return found


@dataclass(frozen=True)
class Section:
    """Values under one `## Title`."""

    title: str
    values: tuple[Value, ...]


@dataclass
class _Reader:
    path: Path
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.path.read_text().splitlines()

    def sections(self) -> Iterator[Section]:
        title, values = "", list[Value]()
        last = 0
        for value, line in self._mapping(yaml.compose("\n".join(self.lines)), ()):
            found = next((t[3:] for t in self.lines[last:line] if t.startswith("## ")), None)
            if found is not None:
                if values:
                    yield Section(title, tuple(values))
                title, values = found, []
            values.append(value)
            last = line
        yield Section(title, tuple(values))

    def _mapping(self, node: yaml.Node | None, path: tuple[str, ...]) -> Iterator[tuple[Value, int]]:
        if not isinstance(node, yaml.MappingNode):
            raise BadComment(f"{self.path}: values.yaml has to be a map")
        for key, value in node.value:
            line = key.start_mark.line
            where = f"{self.path}:{line + 1}"
            description, hints = self._comment(line, where)
            yield self._value((*path, key.value), value, description, hints, where), line

    def _value(
        self, path: tuple[str, ...], node: yaml.Node, description: str, hints: Mapping[str, str], where: str
    ) -> Value:
        documented = isinstance(node, yaml.MappingNode) and node.value and not node.flow_style
        children: tuple[Value, ...] = ()
        if documented and not _LEAF_HINTS & hints.keys():
            children = tuple(child for child, _ in self._mapping(node, path))
        return Value(path, _construct(node), description, hints, children, where)

    def _comment(self, line: int, where: str) -> tuple[str, Mapping[str, str]]:
        """The block of comment lines immediately above a line."""
        start = line
        while start and (above := self.lines[start - 1].strip()).startswith("#") and above[:3] != "## ":
            start -= 1
        words, hints = list[str](), dict[str, str]()
        for raw in self.lines[start:line]:
            text = raw.strip().removeprefix("#").strip()
            if text.startswith("+"):
                name, _, rest = text[1:].partition(" ")
                hints[name] = rest.strip()
            elif text:
                words.append(text)
        if unknown := hints.keys() - _HINTS:
            raise BadComment(f"{where}: +{min(unknown)} is unknown; there are {', '.join(sorted(_HINTS))}")
        return " ".join(words), hints


def read(path: Path) -> tuple[Section, ...]:
    """Return the sections of a values.yaml in order.

    Raises:
        BadComment: when a comment has an unknown hint.
    """
    return tuple(_Reader(path).sections())


def _construct(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()
