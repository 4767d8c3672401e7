"""The identity of a release, as a status stores it: a format, the hash of the pod templates, and the pieces from other objects."""

from collections.abc import Mapping
from typing import Final

_FORMAT: Final = "v2"


def written(templates: str, pieces: Mapping[str, str]) -> str:
    """The identity of a release."""
    return " ".join([_FORMAT, templates, *(f"{piece}={value}" for piece, value in sorted(pieces.items()))])


def read(identity: str) -> tuple[str, dict[str, str]]:
    """The hash of the templates, and the pieces; empty if the identity has another format."""
    if not identity.startswith(f"{_FORMAT} "):
        return "", {}
    _, templates, *pieces = identity.split(" ")
    return templates, {piece: value for piece, _, value in (each.partition("=") for each in pieces)}
