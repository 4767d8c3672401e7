"""The JSON of the API server, parsed object by object, with limited depth and memory. Pure.

- A page of a LIST is split into its objects without parsing them, and each object is parsed alone.
- An object that nests deeper than the parser supports (1,024 levels) is cut: everything below DEEPEST becomes null. Such an
  object can still be identified, and store.py reports it.
- The managedFields of a large object, which can be as large as the rest, are reduced to the used parts before they become
  Python objects. A byte of JSON may need 25 bytes of memory when it is parsed.
- Bytes that are not UTF-8 are replaced by U+FFFD. The API server stores the field names in managedFields as the bytes of a PUT,
  so a user with write access to one object can put such bytes into the LIST of its kind.
- An object that still cannot be parsed becomes Unparsed, and hides no other object.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
import orjson

from shop_operator.api.v1alpha1.pod_template import LARGEST_TEMPLATE
from shop_operator.objects.lenient import Omitted, Unparsed
from shop_operator.objects.nesting import DEEPEST, cut

LARGE: Final = 128 * 1024
"""The size in bytes of JSON from which an object is reduced before it is parsed."""

# The API server escapes some characters, which turns one byte into six.
_LARGEST_TEMPLATE: Final = 6 * LARGEST_TEMPLATE
_THERE: Final = frozenset({"ADDED", "MODIFIED"})
# An escape in a string. JSON allows half of a surrogate pair; the parsers and UTF-8 do not.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


Known = Callable[[Mapping[str, str]], bool]
"""Returns whether a state of an object, given by namespace, name, uid and resourceVersion, is known."""


class Malformed(ValueError):
    """Not JSON, or not of the shape of a response of the API server: it is truncated."""


class _ListMeta(msgspec.Struct):
    resourceVersion: str = "0"  # noqa: N815  the API's name
    token: str | None = msgspec.field(default=None, name="continue")


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Identity(msgspec.Struct):
    uid: str
    name: str
    resourceVersion: str  # noqa: N815
    namespace: str = ""


class _Identified(msgspec.Struct):
    metadata: _Identity


class _Replicas(msgspec.Struct, omit_defaults=True):
    replicas: dict[str, Any] | None = msgspec.field(default=None, name="f:replicas")


class _Fields(msgspec.Struct, omit_defaults=True):
    spec: _Replicas | None = msgspec.field(default=None, name="f:spec")


class _Entry(msgspec.Struct, omit_defaults=True):
    manager: str = ""
    operation: str = ""
    time: str = ""
    subresource: str = ""
    fieldsV1: _Fields | None = None  # noqa: N815


class Listed:
    """One page of a LIST.

    Attributes:
        version: the resourceVersion of the LIST.
        token: requests the next page; None for the last page.
    """

    def __init__(self, raw: bytes) -> None:
        """Split a page into its objects.

        Raises:
            Malformed: it is not a list.
        """
        found = _shallow(raw, _List, levels=DEEPEST + 2)
        self.token = found.metadata.token or None
        try:
            self.version = int(found.metadata.resourceVersion)
        except ValueError as error:
            raise Malformed("The list has no resourceVersion.") from error
        self._items = found.items or []

    def __len__(self) -> int:
        return len(self._items)

    def objects(self, *, identity_only: bool = False) -> Iterator[dict[str, Any]]:
        """Parse one object after the other; an object that cannot be parsed becomes Unparsed.

        Args:
            identity_only: whether to parse only namespace, name, UID and resourceVersion.
        """
        for each in self._items:
            yield _shown(each, identity_only=identity_only)


def parsed(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """Parse one object; it is cut to DEEPEST levels if it nests too deeply, and has reduced managedFields if it is large.

    Raises:
        Malformed: it is not a JSON object.
    """
    whole = memoryview(raw)
    if len(whole) >= LARGE:
        return _reduced(bytes(whole))
    return _loaded(whole)


def identity(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """Parse namespace, name, UID and resourceVersion: `{"metadata": {…}}`; the whole object if one of them is missing."""
    try:
        return {"metadata": _identity(raw)}
    except Malformed:
        return parsed(raw)


def event(line: bytes, *, identity_only: bool = False, known: Known | None = None) -> dict[str, Any]:
    """Parse one line of a watch: its `type` and its `object`, which is Unparsed if it cannot be parsed.

    Args:
        line: without its line feed.
        identity_only: whether to parse only namespace, name, UID and resourceVersion of the object.
        known: whether the state of an existing object is known; its event becomes a BOOKMARK.

    Raises:
        Malformed: it is not an event.
    """
    found = _shallow(line, _Event, levels=DEEPEST + 1)
    if known is not None and found.type in _THERE:
        version = _version_if(known, found.object)
        if version is not None:
            return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}
    only = identity_only and found.type not in {"ERROR", "BOOKMARK"}
    return {"type": found.type, "object": _shown(found.object, identity_only=only)}


def _version_if(known: Known, raw: msgspec.Raw) -> str | None:
    try:
        found = _identity(raw)
    except Malformed:
        return None
    return found["resourceVersion"] if known(found) else None


def utf8(raw: bytes) -> bytes:
    """Replace bytes that are not UTF-8 with U+FFFD."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw.decode(errors="replace").encode()
    return raw


def _shown(raw: msgspec.Raw, *, identity_only: bool) -> dict[str, Any]:
    try:
        return identity(raw) if identity_only else parsed(raw)
    except Malformed:
        pass
    try:
        return Unparsed(metadata=_identity(raw))
    except Malformed:
        return Unparsed(metadata={})


def _identity(raw: bytes | msgspec.Raw) -> dict[str, str]:
    found = _shallow(raw, _Identified, levels=DEEPEST)
    return {name: getattr(found.metadata, name) for name in _Identity.__struct_fields__}


def _shallow(raw: bytes | msgspec.Raw, shape: Any, *, levels: int) -> Any:
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise Malformed(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.json.decode(_mended(memoryview(raw), levels), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error


def _mended(raw: bytes | memoryview, levels: int) -> bytes:
    """Change JSON that the API server accepts into JSON that the parsers accept: cut, UTF-8, no half surrogate pairs."""
    text = _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], utf8(bytes(raw)))
    return cut(text, levels)


def _value(raw: bytes | memoryview | msgspec.Raw) -> Any:
    whole = memoryview(raw)
    try:
        return orjson.loads(whole)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(_mended(whole, DEEPEST))
    except orjson.JSONDecodeError as error:
        raise Malformed(str(error)) from error


def _loaded(raw: bytes | memoryview) -> dict[str, Any]:
    found = _value(raw)
    if not isinstance(found, dict):
        raise Malformed("It is not an object.")
    return found


def _reduced(raw: bytes) -> dict[str, Any]:
    """Parse an object with the used parts of its managedFields, and without a podTemplate that is too large."""
    try:
        parts = _shallow(raw, dict[str, msgspec.Raw], levels=DEEPEST)
        metadata = _shallow(parts["metadata"], dict[str, msgspec.Raw], levels=DEEPEST)
    except (KeyError, Malformed):
        return _loaded(raw)
    managed = metadata.pop("managedFields", None)
    found: dict[str, Any] = {
        key: _spec(value) if key == "spec" else _value(value)
        for key, value in parts.items()
        if key != "metadata"
    }
    found["metadata"] = {key: _value(value) for key, value in metadata.items()}
    if managed is not None:
        found["metadata"]["managedFields"] = _managers(managed)
    return found


def _spec(raw: msgspec.Raw) -> Any:
    try:
        fields = _shallow(raw, dict[str, msgspec.Raw], levels=DEEPEST)
    except Malformed:
        return _value(raw)
    template = fields.get("podTemplate")
    if template is None or len(memoryview(template)) <= _LARGEST_TEMPLATE:
        return _value(raw)
    return {key: Omitted() if key == "podTemplate" else _value(value) for key, value in fields.items()}


def _managers(raw: msgspec.Raw) -> list[Mapping[str, Any]]:
    try:
        entries = _shallow(raw, list[_Entry], levels=DEEPEST)
    except Malformed:
        return []
    return [msgspec.to_builtins(each) for each in entries]
