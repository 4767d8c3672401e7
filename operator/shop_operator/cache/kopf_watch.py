"""kopf as informer: it watches the ShopServices and hands each event to the engine.

Of kopf's own handling nothing is used: no finalizer, no annotation, no handler state, so that a ShopService can
always be deleted, with or without an operator. kopf is started again, underneath an engine that goes on, whenever

- it gives up, since it treats some answers of the API server as fatal;
- it does not watch ShopServices although the API server serves them: it looks for new kinds once, when their CRD
  changes, and the API server may list them a moment later.

The children, six times as many, are watched by reflector.py: kopf has a task and a memory for each object.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Final, Protocol

import kopf
import orjson

from shop_operator.kubernetes import wire
from shop_operator.kubernetes.client import PARENT, collection
from shop_operator.kubernetes.connection import Connection, Stream
from shop_operator.objects.lenient import Unparsed, mapping

_log = logging.getLogger(__name__)

_RESTART: Final = 2.0
_CHECK: Final = 6.0
# The API server has one schema in place of the other some time after it tells of it.
_SETTLE: Final = 1.0
_DISCOVERY: Final = f"/apis/{PARENT.api_version}"
_CHANGES: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
_IDENTITY: Final = ("namespace", "name", "uid", "resourceVersion")
# In an object that the sink has got already.
_SEEN: Final = "seen"
# Frees the slot of a quiet object at once; kopf's own 5 s would hold one task per object that long.
_IDLE: Final = 0.05


class Sink(Protocol):
    """Where events go; reconcile.intake.Intake."""

    def knows(self, kind: str, identity: Mapping[str, str]) -> bool:
        """Whether a watch need not show this state of an object."""

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        """A watch showed an object."""


class Watches:
    """kopf, kept running.

    Args:
        connection: the API server; kopf gets a session of its own from it.
        sink: where events go.
        relisted: called when a watch began anew with a LIST.
        started: called whenever kopf has started, which takes the signals of the process.
        served: the kinds that the API server serves.
        identity: how this process is called.
        namespaces: the namespaces to watch; empty: all.
        heard: told whenever the API server said something about ShopServices.
    """

    def __init__(
        self,
        connection: Connection,
        sink: Sink,
        relisted: Callable[[], None],
        started: Callable[[], None],
        *,
        served: Callable[[], AbstractSet[str]],
        identity: str,
        namespaces: tuple[str, ...],
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self._heard = heard
        self._connection = connection
        self._sink = sink
        self._relisted = relisted
        self._started = started
        self._served = served
        self._identity = identity
        self._namespaces = namespaces
        self._registry = self._handlers()
        self._asked = False  # a watch was asked for, and its LIST or its stream is there
        self._stream: Stream | None = None

    async def run(self) -> None:
        """Watch until cancelled, or until kopf has taken a signal to stop."""
        while True:
            again = asyncio.Event()
            self._asked, self._stream = False, None
            # Started before kopf, which in the end cancels every task that is younger than itself.
            check = asyncio.create_task(self._check(again))
            try:
                await kopf.operator(
                    registry=self._registry,
                    settings=_settings(),
                    # Told, since kopf would ask for the user name, and an image has no user of its number.
                    identity=self._identity,  # type: ignore[arg-type]  # kopf's type for it is private
                    standalone=True,
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                    stop_flag=again,
                )
            except Exception:  # noqa: BLE001  # whatever ended them, without watches the process is blind
                _log.exception("the watches ended, starting them again")
                await asyncio.sleep(_RESTART * random.uniform(0.5, 1.5))  # noqa: S311
            else:
                if not again.is_set():
                    return
            finally:
                check.cancel()

    def requested(self, path: str, stream: Stream | None) -> None:
        """Kopf's request for a collection was answered: with a LIST, or with a stream of changes.

        Or it has asked which kinds there are, since our CRD has changed: a stream from before then goes on for a while,
        and does not show fields that its schema does not know.
        """
        if path == _DISCOVERY and self._stream is not None:
            asyncio.get_running_loop().call_later(_SETTLE, self._renew, self._stream)
            return
        if collection(path) != PARENT.kind:
            return
        self._heard()
        # A LIST is the beginning of a watch; a long one must not be taken for none.
        self._asked, self._stream = True, stream
        if stream is None:
            self._relisted()

    def _renew(self, stream: Stream) -> None:
        """Have a stream with the present schema, and what the one of before has not shown."""
        stream.close()
        self._relisted()

    async def _check(self, again: asyncio.Event) -> None:
        """Ask for a restart when ShopServices have not been watched in two looks, and the API server is there."""
        suspected = False
        while not again.is_set():
            await asyncio.sleep(_CHECK)
            watched = self._asked and (self._stream is None or not self._stream.closed)
            if watched:
                suspected = False
                continue
            # The CRD may be gone: a LIST tells, and then they are not served any more.
            self._relisted()
            answers = time.monotonic() - self._connection.answered < _CHECK
            if PARENT.kind not in self._served() or not answers:
                # When the API server is away, kopf comes back by itself.
                suspected = False
            elif suspected:
                _log.warning("ShopServices are not watched, starting the watch again")
                again.set()
            else:
                suspected = True

    def _handlers(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            # Kopf takes the signals in this turn of the loop.
            asyncio.get_running_loop().call_soon(self._started)
            return self._connection.login(self.requested, self)

        @kopf.on.cleanup(registry=registry)
        async def abandon(**_: Any) -> None:
            await self._connection.abandon()

        group, _, version = PARENT.api_version.rpartition("/")

        @kopf.on.event(group, version, PARENT.plural, registry=registry)
        async def shown(event: Mapping[str, Any], **_: Any) -> None:
            if not event["object"].get(_SEEN):
                self._sink.seen(event["type"], event["object"])

        return registry

    def page(self, path: str, raw: bytes) -> bytes:
        """The LIST with which a watch begins, without its objects: the LIST that `relisted` asks for shows them.

        kopf parses a page as a whole, where one object that is nested too deeply hides all others, and large ones need
        more memory than there is.
        """
        if collection(path) != PARENT.kind:
            return wire.utf8(raw)
        try:
            version = wire.Listed(raw).version
        except wire.Malformed:
            return raw
        return orjson.dumps({"metadata": {"resourceVersion": str(version)}, "items": []})

    def line(self, path: str, raw: bytes) -> bytes:
        """One event of a watch as kopf can read it.

        kopf's watch ends for good at an object that is nested too deeply, and keeps the parsed events of many objects at
        once. Of such an object, of a large one and of one that cannot be parsed, kopf is told the identity only, after the sink
        has got all of it.
        """
        if collection(path) != PARENT.kind:
            return wire.utf8(raw)
        self._heard()
        try:
            event = wire.event(raw, known=partial(self._sink.knows, PARENT.kind))
        except wire.Malformed:
            return raw
        obj = event["object"]
        metadata = mapping(obj.get("metadata"))
        if isinstance(metadata, dict):
            # Most of it, and of no use.
            metadata.pop("managedFields", None)
        if event["type"] in _CHANGES and (len(raw) >= wire.LARGE or isinstance(obj, Unparsed)):
            return self._told(event)
        try:
            return orjson.dumps(event)
        except TypeError:
            return self._told(event)

    def _told(self, event: Mapping[str, Any]) -> bytes:
        """The event without its object, which the sink gets now."""
        obj = event["object"]
        kind = {"apiVersion": PARENT.api_version, "kind": PARENT.kind}
        obj |= kind
        self._sink.seen(event["type"], obj)
        metadata = mapping(obj.get("metadata"))
        identity = {key: metadata[key] for key in _IDENTITY if isinstance(metadata.get(key), str)}
        return orjson.dumps({"type": event["type"], "object": {**kind, "metadata": identity, _SEEN: True}})


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.networking.error_backoffs = Backoffs()
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 5
    settings.queueing.idle_timeout = _IDLE
    settings.watching.chunk_size = 100
    # As long as those of reflector.py: a watch that is quiet without an end could be deaf.
    settings.watching.server_timeout = 480
    settings.persistence.diffbase_storage = NoEssence()
    return settings


class NoEssence(kopf.DiffBaseStorage):
    """Nothing is remembered of an object, and so nothing need be copied: kopf would, several times for each event."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        """Nothing of it."""
        del body, extra_fields
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Nothing was stored."""
        del body
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is stored."""


class Backoffs:
    """Seconds between kopf's attempts of one request: without end, since an API server may be away for long."""

    def __iter__(self) -> Iterator[float]:
        """Doubling to 8 s, with jitter, for ever."""
        delay = 0.25
        while True:
            yield delay * random.uniform(0.8, 1.2)  # noqa: S311
            delay = min(delay * 2, 8.0)
