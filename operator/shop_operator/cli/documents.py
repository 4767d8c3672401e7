"""ShopServices from YAML or JSON files: every mistake in one is a sentence with the file's name."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from shop_operator.cli.errors import NotValid
from shop_operator.cli.naming import RULE, is_name, shown
from shop_operator.errors import InvalidSpec
from shop_operator.spec import GROUP, KIND, VERSION, ShopService

_LARGEST: Final = 3 * 1024 * 1024
_NOT_TEXT: Final = "tag:yaml.org,2002:timestamp"
NO_UID: Final = "00000000-0000-0000-0000-000000000000"
"""Of a ShopService that is not in a cluster yet."""


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a date is text."""


_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] != _NOT_TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(paths: Iterable[str], namespace: str, *, only: bool = False) -> list[dict[str, Any]]:
    """Every ShopService in these files, `-` for standard input; other kinds in them are passed over.

    Args:
        paths: of the files.
        namespace: of those that do not name one.
        only: whether that is where they have to be.

    Raises:
        NotValid: a file cannot be read, is no YAML, has no ShopService in it, one twice, or one with a name that is none.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in paths:
        for document in _of_file(path, namespace):
            here, name = document["metadata"]["namespace"], document["metadata"]["name"]
            if (here, name) in found:
                raise NotValid(f"{path}: {KIND} {name} is there twice; keep one of them")
            if only and here != namespace:
                raise NotValid(
                    f"{path}: {KIND} {name} is in namespace {here}; leave out -n, or use -n {here}"
                )
            found[here, name] = document
    if not found:
        raise NotValid(f"there is no {KIND} in {', '.join(paths)}; name a file that has one")
    return list(found.values())


def _of_file(path: str, namespace: str) -> Iterator[dict[str, Any]]:
    try:
        text = sys.stdin.read(_LARGEST + 1) if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotValid(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(text) > _LARGEST:
        raise NotValid(f"{path} is larger than 3 MiB, which no API server takes")
    try:
        documents = list(yaml.load_all(text, _Loader))
    except RecursionError as error:
        raise NotValid(f"{path} is nested too deeply; no {KIND} is") from error
    except yaml.YAMLError as error:
        raise NotValid(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    for document in documents:
        items = [document]
        if isinstance(document, dict) and document.get("kind") == "List":
            items = document["items"] if isinstance(document.get("items"), list) else []
        for each in items:
            if isinstance(each, dict) and each.get("kind") == KIND:
                yield _checked(path, each, namespace)


def _checked(path: str, document: dict[str, Any], namespace: str) -> dict[str, Any]:
    version = f"{GROUP}/{VERSION}"
    if document.get("apiVersion") != version:
        raise NotValid(f"{path}: apiVersion is {document.get('apiVersion')!r}; write {version}")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("name") is None:
        raise NotValid(f"{path}: a {KIND} has no metadata.name; give it one")
    if not is_name(metadata["name"]):
        raise NotValid(
            f"{path}: metadata.name of a {KIND} is {shown(metadata['name'])}, which is no name: {RULE}"
        )
    if not is_name(metadata.get("namespace", namespace)):
        raise NotValid(
            f"{path}: {KIND} {metadata['name']}: metadata.namespace is {shown(metadata['namespace'])},"
            f" which is no name: {RULE}, or leave it out"
        )
    for key in ("labels", "annotations"):
        values = metadata.get(key) or {}
        if not isinstance(values, dict) or not all(isinstance(each, str) for each in values.values()):
            raise NotValid(
                f"{path}: {KIND} {metadata['name']}: metadata.{key} is no map of texts; quote its values"
            )
    if not isinstance(document.get("spec"), dict):
        raise NotValid(f"{path}: {KIND} {metadata['name']} has no spec; it needs an image at least")
    return {**document, "metadata": {"namespace": namespace, **metadata}}


def shopservice(document: Mapping[str, Any]) -> ShopService:
    """As the renderer takes it.

    Raises:
        NotValid: what is wrong with its spec, field by field.
    """
    metadata = {"uid": NO_UID, **document["metadata"]}
    shop = ShopService.from_object({**document, "metadata": metadata})
    try:
        _ = shop.spec
    except InvalidSpec as error:
        raise NotValid(f"{KIND} {shop.name}: {error.message.rstrip('.')}") from error
    return shop
