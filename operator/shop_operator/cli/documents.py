"""Reads ShopServices from YAML or JSON files. Every error names the file and the line."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from shop_operator.api.v1alpha1.problems import UNKNOWN, path_of, problems
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.spec import ShopServiceSpec
from shop_operator.cli import hints
from shop_operator.cli.errors import NotValid
from shop_operator.cli.naming import RULE, is_name, shown
from shop_operator.errors import InvalidSpec
from shop_operator.names import GROUP, KIND, PLURAL, VERSION

_LARGEST: Final = 3 * 1024 * 1024
_MOST_NODES: Final = 200_000
_NOT_TEXT: Final = "tag:yaml.org,2002:timestamp"
NO_UID: Final = "00000000-0000-0000-0000-000000000000"
"""UID of a ShopService that is not in a cluster yet."""


Place = tuple[str | int, ...]


class Document(dict[str, Any]):
    """An object in a file, with its location.

    Attributes:
        path: path of the file.
        lines: line number of each field, from 1.
    """

    path: str = ""
    lines: Mapping[Place, int]

    def at(self, place: Place) -> str:
        """The file and the line of a field, or of its nearest known parent."""
        while place and place not in self.lines:
            place = place[:-1]
        line = self.lines.get(place)
        return self.path if line is None else f"{self.path}:{line}"


class BadFields(NotValid):
    """A spec cannot be used. Every problem has a place, from the top of the object.

    Args:
        namespace: namespace of the ShopService.
        name: name of the ShopService.
        found: the places with the problem at each.
    """

    def __init__(self, namespace: str, name: str, found: Sequence[tuple[Place, str]]) -> None:
        super().__init__(f"{KIND} {name}: " + ". ".join(words for _, words in found))
        self.key = (namespace, name)
        self.found = found


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it, in which dates are strings."""


_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] != _NOT_TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(paths: Iterable[str], namespace: str, *, only: bool = False) -> list[Document]:
    """The ShopServices in these files. Other kinds are ignored.

    Args:
        paths: paths of the files; `-` for standard input.
        namespace: namespace of ShopServices that do not name one.
        only: whether ShopServices in other namespaces are rejected.

    Raises:
        NotValid: a file cannot be read or is not YAML; no file contains a ShopService; or a ShopService is defined twice or has
            an invalid name.
    """
    found: dict[tuple[str, str], Document] = {}
    for path in paths:
        for document in _of_file(path, namespace):
            here, name = document["metadata"]["namespace"], document["metadata"]["name"]
            if (here, name) in found:
                raise NotValid(f"{path}: {KIND} {name} is defined twice; remove one of the definitions")
            if only and here != namespace:
                raise NotValid(f"{path}: {KIND} {name} is in namespace {here}; omit -n, or use -n {here}")
            found[here, name] = document
    if not found:
        raise NotValid(f"no {KIND} found in {', '.join(paths)}; name a file that contains one")
    return list(found.values())


def _of_file(path: str, namespace: str) -> Iterator[Document]:
    try:
        text = sys.stdin.read(_LARGEST + 1) if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotValid(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(text) > _LARGEST:
        raise NotValid(f"{path} is larger than 3 MiB, the limit of the API server")
    try:
        documents = list(_documents(path, text))
    except RecursionError as error:
        raise NotValid(f"{path} is nested too deeply for a {KIND}") from error
    except yaml.YAMLError as error:
        raise NotValid(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    for document, lines in documents:
        for each in _objects(path, document, lines):
            if each.get("kind") == KIND:
                yield _checked(each, namespace)
            elif str(each.get("kind")).lower() in {KIND.lower(), PLURAL}:
                raise NotValid(f"{each.at(('kind',))}: kind is {each['kind']!r}; write {KIND}")


def _objects(path: str, document: Any, lines: Mapping[Place, int]) -> Iterator[Document]:
    """The document or, if it is a List, its items."""
    found: list[tuple[Any, Place]] = [(document, ())]
    if isinstance(document, dict) and document.get("kind") == "List":
        inside = document["items"] if isinstance(document.get("items"), list) else []
        found = [(each, ("items", index)) for index, each in enumerate(inside)]
    for each, above in found:
        if isinstance(each, dict):
            known = Document(each)
            known.path = path
            known.lines = {at[len(above) :]: line for at, line in lines.items() if at[: len(above)] == above}
            yield known


def _documents(path: str, text: str) -> Iterator[tuple[Any, dict[Place, int]]]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node and _size(node, {}) > _MOST_NODES:
                raise NotValid(
                    f"{path} has aliases that expand to more than {_MOST_NODES} values; write the values out"
                )
            lines = {place: line + 1 for place, line in _lines(path, node, (), set())} if node else {}
            yield loader.construct_document(node), lines
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """The number of values after every alias is expanded."""
    if id(node) not in known:
        known[id(node)] = 1  # for an alias to its own parent
        below = node.value if isinstance(node, yaml.CollectionNode) else ()
        items = (each for item in below for each in (item if isinstance(item, tuple) else (item,)))
        known[id(node)] = 1 + sum(_size(each, known) for each in items)
    return known[id(node)]


def _lines(path: str, node: yaml.Node, above: Place, seen: set[int]) -> Iterator[tuple[Place, int]]:
    """Yield the first line of each field. Aliases are followed only once, so that a small file cannot take unbounded time.

    Raises:
        NotValid: a key is defined twice.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    yield above, node.start_mark.line
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(path, item, (*above, index), seen)
    elif isinstance(node, yaml.MappingNode):
        keys = set[str]()
        for key, value in node.value:
            name = str(key.value)
            if name in keys and name != "<<":
                raise NotValid(
                    f"{path}:{key.start_mark.line + 1}: {name} is defined twice; remove one of the definitions"
                )
            keys.add(name)
            yield from _lines(path, value, (*above, name), seen)
            yield (*above, name), key.start_mark.line


def _checked(document: Document, namespace: str) -> Document:
    version, path = f"{GROUP}/{VERSION}", document.path
    if document.get("apiVersion") != version:
        raise NotValid(
            f"{document.at(('apiVersion',))}: apiVersion is {document.get('apiVersion')!r}; write {version}"
        )
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("name") is None:
        raise NotValid(f"{document.at(('metadata',))}: metadata.name of a {KIND} is not set")
    if not is_name(metadata["name"]):
        raise NotValid(
            f"{document.at(('metadata',))}: metadata.name of a {KIND} is {shown(metadata['name'])}, which is not a valid name: {RULE}"
        )
    if not is_name(metadata.get("namespace", namespace)):
        raise NotValid(
            f"{document.at(('metadata', 'namespace'))}: {KIND} {metadata['name']}: metadata.namespace is {shown(metadata['namespace'])},"
            f" which is not a valid name: {RULE}, or omit it"
        )
    for key in ("labels", "annotations"):
        values = metadata.get(key) or {}
        if not isinstance(values, dict) or not all(isinstance(each, str) for each in values.values()):
            raise NotValid(
                f"{document.at(('metadata', key))}: {KIND} {metadata['name']}: metadata.{key} must be a map of strings; quote its values"
            )
    if not isinstance(document.get("spec"), dict):
        meant = next(
            (each for each in document if each != "spec" and hints.likely(str(each), ["spec"])), None
        )
        hint = f"{meant} is not a field of it; did you mean spec?" if meant else "spec.image is required"
        place = document.at((meant,) if meant else ())
        raise NotValid(f"{place if meant else path}: {KIND} {metadata['name']} has no spec; {hint}")
    document["metadata"] = {"namespace": namespace, **metadata}
    return document


@contextmanager
def located(given: Iterable[Mapping[str, Any]]) -> Iterator[None]:
    """Add the file and the line to each problem in one of these documents.

    Raises:
        NotValid: the error that was raised inside.
    """
    try:
        yield
    except BadFields as error:
        for each in given:
            if (
                isinstance(each, Document)
                and (each["metadata"]["namespace"], each["metadata"]["name"]) == error.key
            ):
                lines = (f"{each.at(place)}: {words}" for place, words in error.found)
                raise NotValid("\n".join(lines)) from error
        raise


def shopservice(document: Mapping[str, Any]) -> ShopService:
    """The document as a ShopService for the renderer.

    Raises:
        BadFields: the spec is invalid; the error contains the problem of each field.
    """
    metadata = {"uid": NO_UID, **document["metadata"]}
    shop = ShopService.from_object({**document, "metadata": metadata})
    try:
        ShopServiceSpec.model_validate(document["spec"])
    except ValidationError as error:
        found = [(("spec", *at), _words(document["spec"], at, words)) for at, words in problems(error)]
        raise BadFields(shop.namespace, shop.name, found) from error
    try:
        _ = shop.spec
    except InvalidSpec as error:
        raise BadFields(shop.namespace, shop.name, [(("spec",), error.message.rstrip("."))]) from error
    return shop


def _words(spec: Mapping[str, Any], at: Place, words: str) -> str:
    value: Any = spec
    for each in at:
        present = isinstance(value, list) or (isinstance(value, dict) and each in value)
        value = value[each] if present else None
    hint = hints.of_field(at) if words == UNKNOWN else hints.of_value(at, value)
    return f"{path_of(at)}: {words}{hint}"
