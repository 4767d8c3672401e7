"""The fields that store no zero value: false, 0 and empty text mean that the field has no value.

They are in no schema, only in the Go types: fields that are not pointers and have `omitempty`.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from shopdev.cluster.tools import module_folder

_MODULES: Final = {"io.k8s.api.": "k8s.io/api", "io.k8s.apimachinery.": "k8s.io/apimachinery"}
_STRUCT: Final = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD: Final = re.compile(r'^\t(?:\w+[ \t]+)?([*\w.\[\]]+)[ \t]+`json:"(\w*)((?:,\w+)*)"', re.MULTILINE)


def zeros_omitted(name: str) -> frozenset[str]:
    """The fields of a type, such as io.k8s.api.core.v1.Container, that store no zero value, regardless of their types."""
    package, _, short = name.rpartition(".")
    return frozenset(_omitted(package, short))


def _omitted(package: str, name: str) -> Iterator[str]:
    for kind, field, options in _FIELD.findall(_structs(package)[name]):
        if options == ",inline":
            within, _, inner = kind.rpartition(".")
            if not within:
                yield from _omitted(package, inner)
        elif not kind.startswith("*") and ",omitempty" in options:
            yield field


@cache
def _structs(package: str) -> dict[str, str]:
    """The bodies of the Go types of a package, by name."""
    prefix = next(each for each in _MODULES if package.startswith(each))
    path = package.removeprefix(prefix).replace(".", "/")
    source = (module_folder("kubernetes", _MODULES[prefix]) / path / "types.go").read_text()
    return dict(_STRUCT.findall(source))
