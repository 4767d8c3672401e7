"""The digests of the ConfigMaps and Secrets that pods use. No value is stored.

Only the metadata of both kinds is watched. Nothing is stored of an object that no ShopService uses; a pass that needs an
unknown digest reads the object once.

Digests are keyed hashes: they are written to annotations that can be read without access to Secrets, and a short value can be
guessed from a plain hash.
"""

import asyncio
import base64
import hashlib
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

import orjson

from shop_operator.cache.metadata_sink import MetadataSink
from shop_operator.cache.unreadable import Unreadable
from shop_operator.errors import Forbidden, Stale
from shop_operator.names import FIELD_MANAGER, MANAGED_BY_LABEL, Key
from shop_operator.render.configuration import Digests, Use

_log = logging.getLogger(__name__)

KINDS: Final = ("ConfigMap", "Secret")
KEY_SECRET: Final = "shop-operator-config-key"  # noqa: S105  the name of an object
_KEY_BYTES: Final = 32
_DIGEST_BYTES: Final = 8
_ID_BYTES: Final = 4
READS_AT_ONCE: Final = 8
"""The maximum number of concurrent requests for objects, of all passes: a response has up to some MB."""


class Reference(NamedTuple):
    """One ConfigMap or Secret."""

    namespace: str
    kind: str
    name: str


class Reader(Protocol):
    """kubernetes.client.Kube."""

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """One object, None if it does not exist."""


class SecretApi(Reader, Protocol):
    """kubernetes.client.Kube."""

    async def create_secret(self, secret: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Secret; raises Stale if it exists."""


class Secrecy(Protocol):
    """The source of the key of the digests; DigestKey."""

    async def get(self) -> bytes:
        """The key, at most 64 bytes."""


class DigestKey:
    """The key of the digests, which a Secret in the namespace of the operator keeps across restarts.

    A different key (because the Secret was deleted, or cannot be read) changes all digests. That replaces no pods, because a
    record identifies its key.

    Args:
        api: the API server.
        namespace: of the Secret.
    """

    def __init__(self, api: SecretApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._key: bytes | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> bytes:
        """The key, which is read or created once.

        Raises:
            OperatorError: the request failed.
        """
        async with self._lock:
            if self._key is None:
                try:
                    self._key = await self._kept()
                except Forbidden as error:
                    _log.warning("config digests use a temporary key", extra={"error": str(error)})
                    self._key = secrets.token_bytes(_KEY_BYTES)
            return self._key

    async def _kept(self) -> bytes:
        found = await self._api.get("Secret", self._namespace, KEY_SECRET)
        if found is None:
            try:
                found = await self._api.create_secret(self._new())
            except Stale:
                # Another process has created it.
                found = await self._api.get("Secret", self._namespace, KEY_SECRET)
        kept = base64.b64decode(((found or {}).get("data") or {}).get("key") or "")
        return kept[:64] or secrets.token_bytes(_KEY_BYTES)

    def _new(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": KEY_SECRET,
                "namespace": self._namespace,
                "labels": {MANAGED_BY_LABEL: FIELD_MANAGER},
            },
            "immutable": True,
            "data": {"key": base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()},
        }


@dataclass
class _Known:
    """One object as it was read.

    Attributes:
        uid: of the object; empty if it does not exist.
        version: its resourceVersion as a number.
        digests: by the used part of the object; None if a required key is absent.
        empty: whether it has no content.
    """

    uid: str = ""
    version: int = 0
    digests: dict[Use, str | None] = field(default_factory=dict)
    empty: bool = False


class ConfigDigests(MetadataSink):
    """The digests, and the objects that each ShopService uses. Receives the metadata of both kinds.

    Args:
        api: the API server.
        key: of the digests.
        wake: receives the ShopServices that use a changed object.
        enabled: whether changes to configuration are tracked.
        unreadable: receives the objects that cannot be read.
    """

    def __init__(
        self,
        api: Reader,
        key: Secrecy,
        wake: Callable[[Iterable[Key]], None],
        *,
        enabled: bool = True,
        unreadable: Unreadable | None = None,
    ) -> None:
        super().__init__(unreadable)
        self._enabled = enabled
        self._api = api
        self._key = key
        self._wake = wake
        self._known: dict[Reference, _Known] = {}
        self._users: dict[Reference, dict[Key, frozenset[Use]]] = {}
        self._used: dict[Key, frozenset[Reference]] = {}
        # A lock exists as long as a pass holds it or waits for it.
        self._reading: WeakValueDictionary[Reference, asyncio.Lock] = WeakValueDictionary()
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._newest: dict[Reference, int] = {}  # by object that is being read, the last version of the watch

    async def digests(self, key: Key, uses: AbstractSet[Use]) -> Digests | None:
        """The digests of the configuration that a ShopService uses; None if changes to configuration are not tracked.

        Raises:
            OperatorError: an object could not be read.
        """
        if not self._enabled:
            return None
        by_object: dict[Reference, set[Use]] = {}
        for use in uses:
            by_object.setdefault(Reference(key.namespace, use.kind, use.name), set()).add(use)
        self._use(key, by_object)
        if not uses:
            return Digests("", {})
        secret = await self._key.get()
        values: dict[Use, str | None] = {}
        empty: set[Use] = set()
        for reference, used in sorted(by_object.items()):
            found = await self._read(reference, used, secret)
            values |= {use: found.digests.get(use) for use in used}
            if found.empty:
                empty |= used
        return Digests(hashlib.blake2b(secret, digest_size=_ID_BYTES).hexdigest(), values, empty)

    def forget(self, key: Key) -> None:
        """Forget what a deleted ShopService uses."""
        self._use(key, {})

    def clear(self) -> None:
        """Forget what all ShopServices use, and all digests."""
        self._users.clear()
        self._used.clear()
        self._known.clear()

    def _use(self, key: Key, by_object: Mapping[Reference, AbstractSet[Use]]) -> None:
        before = self._used.get(key, frozenset())
        for reference in before - by_object.keys():
            del self._users[reference][key]
            if not self._users[reference]:
                del self._users[reference]
                self._known.pop(reference, None)
        for reference, used in by_object.items():
            self._users.setdefault(reference, {})[key] = frozenset(used)
        if by_object:
            self._used[key] = frozenset(by_object)
        else:
            self._used.pop(key, None)

    async def _read(self, reference: Reference, used: AbstractSet[Use], secret: bytes) -> _Known:
        lock = self._reading.setdefault(reference, asyncio.Lock())
        async with lock:
            while True:
                known = self._known.get(reference)
                # An object that was read earlier may lack the digest of this use.
                if known is not None and (not known.uid or used <= known.digests.keys()):
                    return known
                self._newest[reference] = 0
                try:
                    async with self._reads:
                        found = await self._api.get(reference.kind, reference.namespace, reference.name)
                finally:
                    newest = self._newest.pop(reference)
                known = _Known() if found is None else self._digested(reference, used, found, secret)
                del found
                # The watch has shown a newer version in the meantime.
                if newest > known.version:
                    continue
                # The use may have ended in the meantime, by the loss of the Lease for example.
                if reference in self._users:
                    self._known[reference] = known
                return known

    def _digested(
        self, reference: Reference, used: AbstractSet[Use], obj: Mapping[str, Any], secret: bytes
    ) -> _Known:
        """An object with the digests of this use and those of all ShopServices."""
        data = {**(obj.get("data") or {}), **(obj.get("binaryData") or {})}
        uses = frozenset(used).union(*self._users.get(reference, {}).values())
        return _Known(
            obj["metadata"]["uid"],
            int(obj["metadata"]["resourceVersion"]),
            {use: _digest(use, data, secret) for use in uses},
            empty=not data,
        )

    def _sweep(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None:
        for reference, known in list(self._known.items()):
            inside = reference.kind == kind and namespace in {None, reference.namespace}
            if inside and known.uid and known.uid not in found and known.version <= version:
                self._outdated(reference)

    def _take(self, obj: Mapping[str, Any], *, gone: bool) -> None:
        metadata = obj["metadata"]
        reference = Reference(metadata["namespace"], obj["kind"], metadata["name"])
        version = int(metadata["resourceVersion"])
        if reference in self._newest:
            self._newest[reference] = version
        known = self._known.get(reference)
        if known is not None and version > known.version and not (gone and not known.uid):
            self._outdated(reference)

    def _outdated(self, reference: Reference) -> None:
        del self._known[reference]
        self._wake(self._users.get(reference, ()))


def _digest(use: Use, data: Mapping[str, Any], secret: bytes) -> str | None:
    """The digest of the used keys; None if a required key is absent."""
    if any(key not in data for key in use.required):
        return None
    used = data if use.keys is None else {key: data[key] for key in use.keys if key in data}
    return hashlib.blake2b(
        orjson.dumps(used, option=orjson.OPT_SORT_KEYS), key=secret, digest_size=_DIGEST_BYTES
    ).hexdigest()
