"""Suggestions for unknown words. Pure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from shop_operator.api.v1alpha1.crd import spec_schema

Object = Mapping[str, Any]
Path = tuple[str | int, ...]

_ALIKE: Final = 0.66
_DEEPEST: Final = 8
_HABITS: Final = {
    "envvars": "env",
    "environment": "env",
    "hpa": "autoscaling",
    "minavailable": "disruption.minAvailable",
    "pdb": "disruption",
    "healthcheck": "probes",
    "livenessprobe": "probes.liveness",
    "readinessprobe": "probes.readiness",
    "startupprobe": "probes.startup",
    "ingress": "routes",
    "containerport": "port",
    "serviceaccountname": "serviceAccount.name",
    "strategy": "rollout",
}
"""Words from Deployments and charts in lower case, with the corresponding field."""


def likely(word: str, known: Iterable[str]) -> str | None:
    """The most similar known word, regardless of case; None if none is similar."""
    words = {each.lower(): each for each in sorted(known, reverse=True)}
    found = difflib.get_close_matches(word.lower(), words, 1, _ALIKE)
    return words[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion as the end of a sentence; empty if no word is similar."""
    found = likely(word, known)
    return f"; did you mean {found}?" if found else ""


def of_field(path: Path) -> str:
    """A suggestion for an unknown field of a spec: a similar field beside it, or a field of the same name elsewhere."""
    *above, word = path
    found = None if above else _HABITS.get(str(word).lower()) or _elsewhere(str(word))
    found = found or likely(str(word), _properties(_at(spec_schema(), above)))
    return f"; did you mean {found}?" if found else ""


def of_value(path: Path, value: Any) -> str:
    """A suggestion for a value that is not allowed."""
    return did_you_mean(str(value), map(str, _at(spec_schema(), path).get("enum", ())))


def _properties(schema: Object) -> Object:
    found: Object = schema.get("properties") or {}
    return found


def _at(schema: Object, path: Iterable[str | int]) -> Object:
    for each in path:
        below = schema.get("items") if isinstance(each, int) else _properties(schema).get(each)
        schema = below or {}
    return schema


def _elsewhere(word: str) -> str | None:
    """The field of this name that is nested least, as a path without list indices."""
    found = [path for path in _paths(spec_schema(), (), _DEEPEST) if path[-1].lower() == word.lower()]
    found.sort(key=lambda path: (len(path), path))
    return ".".join(found[0]) if found else None


def _paths(schema: Object, above: tuple[str, ...], depth: int) -> Iterator[tuple[str, ...]]:
    if not depth:
        return
    for name, below in _properties(schema).items():
        yield (*above, name)
        yield from _paths(below.get("items") or below, (*above, name), depth - 1)
