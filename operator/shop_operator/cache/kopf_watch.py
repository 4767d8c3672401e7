"""The watch of ShopServices by kopf: a source of events for the same sink as that of a reflector.

No other part of kopf is used: no finalizer, no annotation, no handler state, so that a ShopService can always be deleted, with
or without an operator. kopf is restarted, while everything else goes on, if

- it gives up, because it treats some responses of the API server as fatal;
- it does not watch ShopServices although the API server serves them: it discovers new kinds once, when a CRD changes, and
  the API server may list them a moment later.

reflector.py watches the children, which are six times as many: kopf keeps a task and a memory for each object.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol, cast
from urllib.parse import unquote

import aiohttp
import kopf
import orjson

from shop_operator.cache.kopf_session import KopfSession, Stream
from shop_operator.cache.reflector import Sink
from shop_operator.kubernetes import wire
from shop_operator.kubernetes.client import PARENT, collection
from shop_operator.kubernetes.connection import Connection
from shop_operator.objects.lenient import Unparsed, mapping

_log = logging.getLogger(__name__)

_RESTART: Final = 2.0
_CHECK: Final = 6.0
# The API server announces a changed CRD some time before it applies the new schema.
_SETTLE: Final = 1.0
_DISCOVERY: Final = f"/apis/{PARENT.api_version}"
_CHANGES: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
_IDENTITY: Final = ("namespace", "name", "uid", "resourceVersion")
# Marks an object that the sink already has.
_SEEN: Final = "seen"
# kopf's default of 5 s would keep a task for each object that long.
_IDLE: Final = 0.05


class Lists(Protocol):
    """The LISTs of ShopServices in one namespace, or in all; reflector.Comparison."""

    async def version(self) -> int:
        """The resourceVersion of a complete LIST from which no watch has started."""

    def relist(self) -> None:
        """List again soon."""


class KopfWatch:
    """The watch of ShopServices: kopf, kept running.

    Args:
        connection: the API server; kopf gets a session of its own.
        sink: receives the events.
        known: whether the sink has a state of an object already.
        lists: the LISTs by namespace, with None for all; kopf's watch starts from them.
        started: called whenever kopf has started, which takes the signals of the process.
        served: the kinds that the API server serves.
        identity: the name of this process.
        heard: called on every message of the API server about ShopServices.
    """

    def __init__(
        self,
        connection: Connection,
        sink: Sink,
        known: wire.Known,
        lists: Mapping[str | None, Lists],
        started: Callable[[], None],
        *,
        served: Callable[[], AbstractSet[str]],
        identity: str,
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self._heard = heard
        self._connection = connection
        self._sink = sink
        self._known = known
        self._lists = lists
        self._started = started
        self._served = served
        self._identity = identity
        self._namespaces = tuple(each for each in lists if each is not None)
        self._session: KopfSession | None = None
        self._registry = self._handlers()
        # By namespace that kopf watches, its stream; None until the LIST before it is answered.
        self._streams: dict[str | None, Stream | None] = {}

    async def run(self) -> None:
        """Watch until cancelled, or until kopf receives a signal to stop."""
        while True:
            again = asyncio.Event()
            self._streams = {}
            # Before kopf, which at its end cancels all tasks that are younger than itself.
            check = asyncio.create_task(self._check(again))
            try:
                await kopf.operator(
                    registry=self._registry,
                    settings=_settings(),
                    # Set, because kopf would look up the name of the user, and the image has no user with its number.
                    identity=self._identity,  # type: ignore[arg-type]  # kopf's type for it is private
                    standalone=True,
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                    stop_flag=again,
                )
            except Exception:  # noqa: BLE001  # whatever the reason: without a watch the process is blind
                _log.exception("kopf failed, restarting it")
                await asyncio.sleep(_RESTART * random.uniform(0.5, 1.5))  # noqa: S311
            else:
                if not again.is_set():
                    return
            finally:
                check.cancel()

    async def list(self, path: str) -> dict[str, Any] | None:
        """The LIST from which kopf starts a watch: empty, since the sink has its objects, with the version of that LIST."""
        if collection(path) != PARENT.kind:
            return None
        namespace = _namespace(path)
        # A LIST may take long; it must not be taken for a missing watch.
        self._streams[namespace] = None
        version = await self._lists[namespace].version()
        self._heard()
        return {"metadata": {"resourceVersion": str(version)}, "items": []}

    def requested(self, path: str, stream: Stream | None) -> None:
        """Notice a watch of ShopServices, or a discovery of kinds.

        kopf discovers kinds because the CRD has changed: the streams from before continue for a while, without the fields
        that their schema does not have.
        """
        if path.endswith(_DISCOVERY):
            if streams := [each for each in self._streams.values() if each is not None]:
                asyncio.get_running_loop().call_later(_SETTLE, self._renew, streams)
        elif collection(path) == PARENT.kind:
            self._heard()
            namespace = _namespace(path)
            if namespace not in self._streams:
                _log.error("kopf watches without a LIST, listing again", extra={"namespace": namespace})
                self._relist()
            self._streams[namespace] = stream

    def _renew(self, streams: Iterable[Stream]) -> None:
        """Start streams with the present schema, and list what the earlier ones have not shown."""
        for each in streams:
            each.close()
        self._relist()

    def _relist(self) -> None:
        for each in self._lists.values():
            each.relist()

    async def _check(self, again: asyncio.Event) -> None:
        """Request a restart if a watch of ShopServices is missing in two checks in a row, while the API server responds."""
        suspected = False
        while not again.is_set():
            await asyncio.sleep(_CHECK)
            watched = [each is None or not each.closed for each in self._streams.values()]
            if watched and all(watched):
                suspected = False
                continue
            # The CRD may be gone: a LIST finds out, and ShopServices are not served any more.
            self._relist()
            answers = time.monotonic() - self._connection.answered < _CHECK
            if PARENT.kind not in self._served() or not answers:
                # If the API server does not respond, kopf recovers without a restart.
                suspected = False
            elif suspected:
                _log.warning("ShopServices are not watched, restarting kopf")
                again.set()
            else:
                suspected = True

    def _handlers(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            # kopf takes the signals in this turn of the event loop.
            asyncio.get_running_loop().call_soon(self._started)
            self._session = KopfSession(self._connection.new_session(), self)
            return kopf.AiohttpSession(
                server=self._connection.server,
                aiohttp_session=cast("aiohttp.ClientSession", self._session),
                default_namespace=self._connection.default_namespace,
            )

        @kopf.on.cleanup(registry=registry)
        async def abandon(**_: Any) -> None:
            if self._session is not None:
                await self._session.abandon()

        group, _, version = PARENT.api_version.rpartition("/")

        @kopf.on.event(group, version, PARENT.plural, registry=registry)
        async def shown(event: Mapping[str, Any], **_: Any) -> None:
            if not event["object"].get(_SEEN):
                self._sink.seen(event["type"], event["object"])

        return registry

    def body(self, path: str, raw: bytes) -> bytes:
        """A response as kopf can read it."""
        del path
        return wire.utf8(raw)

    def line(self, path: str, raw: bytes) -> bytes:
        """One event of a watch as kopf can read it.

        kopf's watch ends for good at an object that nests too deeply, and keeps the parsed events of many objects at once. Of
        such an object, of a large one and of one that cannot be parsed, kopf gets the identity only, after the sink has
        received all of it.
        """
        if collection(path) != PARENT.kind:
            return wire.utf8(raw)
        self._heard()
        try:
            event = wire.event(raw, known=self._known)
        except wire.Malformed:
            return raw
        obj = event["object"]
        metadata = mapping(obj.get("metadata"))
        if isinstance(metadata, dict):
            # The largest part, and unused.
            metadata.pop("managedFields", None)
        if event["type"] in _CHANGES and (len(raw) >= wire.LARGE or isinstance(obj, Unparsed)):
            return self._told(event)
        try:
            return orjson.dumps(event)
        except TypeError:
            return self._told(event)

    def _told(self, event: Mapping[str, Any]) -> bytes:
        """The event with the identity of its object only; the sink receives the object now."""
        obj = event["object"]
        kind = {"apiVersion": PARENT.api_version, "kind": PARENT.kind}
        obj |= kind
        self._sink.seen(event["type"], obj)
        metadata = mapping(obj.get("metadata"))
        identity = {key: metadata[key] for key in _IDENTITY if isinstance(metadata.get(key), str)}
        return orjson.dumps({"type": event["type"], "object": {**kind, "metadata": identity, _SEEN: True}})


def _namespace(path: str) -> str | None:
    """The namespace of a collection, None for that of all namespaces."""
    *_, word, namespace, _ = path.split("/")
    return unquote(namespace) if word == "namespaces" else None


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.networking.error_backoffs = Backoffs()
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 5
    settings.queueing.idle_timeout = _IDLE
    # A watch must begin with a LIST, which KopfWatch answers.
    settings.watching.initial_streaming = False
    # Of CustomResourceDefinitions and namespaces.
    settings.watching.chunk_size = 100
    # As for the reflectors: a watch that never ends may be broken without notice.
    settings.watching.server_timeout = 480
    settings.persistence.diffbase_storage = NoEssence()
    return settings


class NoEssence(kopf.DiffBaseStorage):
    """Remembers nothing of an object, so that kopf copies nothing; otherwise, it does so several times for each event."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        """Nothing."""
        del body, extra_fields
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Nothing."""
        del body
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Do nothing."""


class Backoffs:
    """Seconds between kopf's attempts of one request; endless, because an API server may be unavailable for long."""

    def __iter__(self) -> Iterator[float]:
        """Doubles up to 8 s, with jitter."""
        delay = 0.25
        while True:
            yield delay * random.uniform(0.8, 1.2)  # noqa: S311
            delay = min(delay * 2, 8.0)
