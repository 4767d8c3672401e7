"""ShopServices from YAML or JSON files: every mistake in one is a sentence with the file's name."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from shop_operator.cli.errors import NotValid
from shop_operator.errors import InvalidSpec
from shop_operator.spec import GROUP, KIND, VERSION, ShopService

_LARGEST: Final = 3 * 1024 * 1024
NO_UID: Final = "00000000-0000-0000-0000-000000000000"
"""Of a ShopService that is not in a cluster yet."""


def read(paths: Iterable[str], namespace: str) -> list[dict[str, Any]]:
    """Every ShopService in these files, `-` for standard input; other kinds in them are passed over.

    Raises:
        NotValid: a file cannot be read, is no YAML, or has no ShopService in it.
    """
    found = [each for path in paths for each in _of_file(path, namespace)]
    if not found:
        raise NotValid(f"there is no {KIND} in {', '.join(paths)}; name a file that has one")
    return found


def _of_file(path: str, namespace: str) -> Iterator[dict[str, Any]]:
    try:
        text = sys.stdin.read(_LARGEST + 1) if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotValid(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(text) > _LARGEST:
        raise NotValid(f"{path} is larger than 3 MiB, which no API server takes")
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise NotValid(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    for document in documents:
        items = (
            document.get("items")
            if isinstance(document, dict) and document.get("kind") == "List"
            else [document]
        )
        for each in items or ():
            if isinstance(each, dict) and each.get("kind") == KIND:
                yield _checked(path, each, namespace)


def _checked(path: str, document: dict[str, Any], namespace: str) -> dict[str, Any]:
    version = f"{GROUP}/{VERSION}"
    if document.get("apiVersion") != version:
        raise NotValid(f"{path}: apiVersion is {document.get('apiVersion')!r}; write {version}")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise NotValid(f"{path}: a {KIND} has no metadata.name; give it one")
    if not isinstance(document.get("spec"), dict):
        raise NotValid(f"{path}: {KIND} {metadata['name']} has no spec; it needs an image at least")
    return {**document, "metadata": {"namespace": namespace, **metadata}}


def shopservice(document: dict[str, Any], uid: str = NO_UID) -> ShopService:
    """As the renderer takes it.

    Raises:
        NotValid: what is wrong with its spec, field by field.
    """
    metadata = {"uid": uid, **document["metadata"]}
    shop = ShopService.from_object({**document, "metadata": metadata})
    try:
        _ = shop.spec
    except InvalidSpec as error:
        raise NotValid(f"{KIND} {shop.name}: {error.message.rstrip('.')}") from error
    return shop
