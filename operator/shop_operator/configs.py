"""What the ConfigMaps and Secrets hold that variables come from, as hashes: never a value is kept.

They are watched by their metadata alone, all of them, and of those that nobody refers to not even the name is kept. A
pass that needs one whose hash is not known reads it once.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple, Protocol

import orjson

from shop_operator.store import Key

KINDS: Final = ("ConfigMap", "Secret")
_ABSENT: Final = "absent"


class Reference(NamedTuple):
    """One ConfigMap or Secret."""

    namespace: str
    kind: str
    name: str


class Reader(Protocol):
    """kube.Kube."""

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """One object, None when there is none."""


class Configs:
    """The hashes, and who refers to what. A reflector.Sink for the metadata of both kinds."""

    def __init__(
        self, reader: Reader, wake: Callable[[Iterable[Key]], None], *, enabled: bool = True
    ) -> None:
        self._enabled = enabled
        self._reader = reader
        self._wake = wake
        self._known: dict[
            Reference, tuple[str, int, str]
        ] = {}  # UID, version and hash, or the last time it was absent
        self._referrers: dict[Reference, set[Key]] = {}
        self._references: dict[Key, frozenset[Reference]] = {}
        self._reading: dict[Reference, asyncio.Lock] = {}
        self._newest: dict[Reference, int] = {}  # versions that the watch has shown of what is being read

    async def checksum(self, key: Key, references: AbstractSet[tuple[str, str]]) -> str | None:
        """The hash over all of them, None when there are none; those that do not exist are a part of it."""
        if not self._enabled:
            return None
        wanted = frozenset(Reference(key.namespace, *each) for each in references)
        self._refer(key, wanted)
        if not wanted:
            return None
        hashes = [[*each[1:], await self._hash(each)] for each in sorted(wanted)]
        return hashlib.blake2b(orjson.dumps(hashes), digest_size=16).hexdigest()

    def forget(self, key: Key) -> None:
        """The ShopService is gone."""
        self._refer(key, frozenset())

    def _refer(self, key: Key, wanted: frozenset[Reference]) -> None:
        before = self._references.get(key, frozenset())
        for each in before - wanted:
            self._referrers[each].discard(key)
            if not self._referrers[each]:
                del self._referrers[each]
                self._known.pop(each, None)
        for each in wanted - before:
            self._referrers.setdefault(each, set()).add(key)
        if wanted:
            self._references[key] = wanted
        else:
            self._references.pop(key, None)

    async def _hash(self, reference: Reference) -> str:
        lock = self._reading.setdefault(reference, asyncio.Lock())
        try:
            async with lock:
                while reference not in self._known:
                    self._newest[reference] = 0
                    found = await self._reader.get(reference.kind, reference.namespace, reference.name)
                    entry = ("", 0, _ABSENT) if found is None else _entry(found)
                    # What the watch has shown meanwhile may not be what was read.
                    if self._newest.pop(reference) <= entry[1]:
                        self._known[reference] = entry
                return self._known[reference][2]
        finally:
            if not lock.locked():
                self._reading.pop(reference, None)

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        """A watch showed the metadata of one."""
        self._news(obj, gone=event == "DELETED")

    def listing(self) -> None:
        """A LIST begins."""

    def merge(self, items: Iterable[Mapping[str, Any]]) -> None:
        """One page of it."""
        for obj in items:
            self._news(obj, gone=False)

    def listed(
        self, kind: str, namespace: str | None, found: AbstractSet[str], version: int, *, served: bool = True
    ) -> None:
        """It has ended: what was not in it is gone."""
        del served
        for each, (uid, known, _) in list(self._known.items()):
            inside = each.kind == kind and namespace in {None, each.namespace}
            if inside and uid and uid not in found and known <= version:
                self._outdated(each)

    def gave_up(self) -> None:
        """It has failed."""

    def _news(self, obj: Mapping[str, Any], *, gone: bool) -> None:
        metadata = obj["metadata"]
        reference = Reference(metadata["namespace"], obj["kind"], metadata["name"])
        known = self._known.get(reference)
        if reference in self._newest:
            self._newest[reference] = int(metadata["resourceVersion"])
        if known is not None and int(metadata["resourceVersion"]) > known[1] and not (gone and not known[0]):
            self._outdated(reference)

    def _outdated(self, reference: Reference) -> None:
        del self._known[reference]
        self._wake(self._referrers.get(reference, ()))


def _entry(obj: Mapping[str, Any]) -> tuple[str, int, str]:
    data = {part: obj.get(part) for part in ("data", "binaryData") if obj.get(part)}
    digest = hashlib.blake2b(orjson.dumps(data, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
    return obj["metadata"]["uid"], int(obj["metadata"]["resourceVersion"]), digest
