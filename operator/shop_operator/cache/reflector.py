"""Keeps a cache up to date with the cluster, one kind at a time: a LIST, then a watch from there (client-go's Reflector).

A watch that ends is continued from its last resourceVersion. If the API server does not have that version any more (410),
everything is listed again, and the sink forgets the objects that the LIST does not have.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final, Protocol

from shop_operator.errors import ApiUnavailable, NotInstalled, OperatorError, Stale, TemporaryError
from shop_operator.kubernetes.client import Page
from shop_operator.kubernetes.wire import Known
from shop_operator.objects.lenient import digits, mapping, text

_log = logging.getLogger(__name__)

# Seconds until a newly installed CRD is noticed.
_MISSING_RETRY: Final = 5.0
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 8.0
# Failures in a row after which everything is listed again.
_PATIENCE: Final = 5
_AT_ONCE: Final = 1.0
_SETTLE: Final = 1.0


class Source(Protocol):
    """The source of objects; kubernetes.client.Kube."""

    def pages(self, kind: str, namespace: str | None) -> AsyncGenerator[Page]:
        """All objects of a kind."""

    def watch(
        self, kind: str, namespace: str | None, version: int, known: Known | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """Their changes after a version, without known states."""


class Sink(Protocol):
    """The receiver of objects: reconcile.intake.Intake, or a cache of its own."""

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        """Receive an event of a watch: ADDED, MODIFIED or DELETED."""

    def begin_list(self) -> None:
        """Begin a LIST."""

    def merge(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Receive one page of a LIST."""

    def end_list(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None:
        """End a LIST that had exactly the objects with these UIDs."""

    def not_served(self, kind: str, namespace: str | None) -> None:
        """Learn that the API server does not serve the kind, and so has no objects of it."""

    def abort_list(self) -> None:
        """End a LIST that has failed."""


class Reflector:
    """One kind in one namespace.

    Args:
        source: the API server.
        sink: receives the objects.
        kind: such as Deployment.
        namespace: None for all.
        resync: seconds after which everything is listed again, although no watch has missed anything.
        heard: called on every message of the API server about the kind.
        known: whether the sink has a state of an object already.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        kind: str,
        namespace: str | None,
        *,
        resync: float,
        heard: Callable[[], None] = lambda: None,
        known: Known | None = None,
    ) -> None:
        self._heard = heard
        self._known = known
        self._source = source
        self._sink = sink
        self._kind = kind
        self._namespace = namespace
        self._resync = resync

    async def run(self) -> None:
        """List and watch until cancelled."""
        failures = 0
        while True:
            try:
                version = await self._list()
                failures = 0
                await self._follow(version)
            except NotInstalled:
                self._heard()
                self._sink.not_served(self._kind, self._namespace)
                await asyncio.sleep(_MISSING_RETRY * random.uniform(0.5, 1.5))  # noqa: S311  spread, not secrecy
            except OperatorError as error:
                _log.warning("list failed, retrying", extra={"kind": self._kind, "error": str(error)})
                failures += 1
                await _pause(failures, error)
            except Exception:  # noqa: BLE001  a kind that cannot be watched must not affect the others
                _log.exception("list failed, retrying", extra={"kind": self._kind})
                failures += 1
                await _pause(failures)

    async def _list(self) -> int:
        """List everything; returns the version from which to watch."""
        found: set[str] = set()
        version = 0
        self._sink.begin_list()
        try:
            async with aclosing(self._source.pages(self._kind, self._namespace)) as pages:
                async for page in pages:
                    self._heard()
                    self._sink.merge(_noting(page.items, found))
                    version = page.version
                    del page
        except BaseException:
            self._sink.abort_list()
            raise
        self._sink.end_list(self._kind, self._namespace, found, version)
        return version

    async def _follow(self, version: int) -> None:
        """Watch until a LIST is necessary."""
        again = time.monotonic() + self._resync * random.uniform(0.8, 1.2)  # noqa: S311
        failures = 0
        while time.monotonic() < again and failures < _PATIENCE:
            started, began = version, time.monotonic()
            try:
                async for event in self._source.watch(self._kind, self._namespace, version, self._known):
                    self._heard()
                    version = self._take(event) or version
            except Stale:
                return
            except NotInstalled:
                raise
            except OperatorError as error:
                _log.info("watch failed", extra={"kind": self._kind, "error": str(error)})
                # A watch with an event has worked.
                failures = failures + 1 if version == started else 1
                await _pause(failures, error)
            else:
                self._heard()
                # A watch that ends at once without an event would be repeated without a pause.
                idle = version == started and time.monotonic() - began < _AT_ONCE
                failures = failures + 1 if idle else 0
                if idle:
                    await _pause(failures)

    def _take(self, event: Mapping[str, Any]) -> int:
        """Handle one event of a watch; returns its version, 0 if it has none.

        Raises:
            Stale: the API server does not have the requested version any more.
            ApiUnavailable: it has ended the watch for another reason.
        """
        obj = mapping(event.get("object"))
        if event.get("type") == "ERROR":
            if obj.get("code") == HTTPStatus.GONE:
                raise Stale("The watch is too far behind.")
            raise ApiUnavailable(f"The watch was ended: {obj.get('message')}.")
        if event.get("type") != "BOOKMARK":
            self._sink.seen(event.get("type"), obj)
        return digits(mapping(obj.get("metadata")).get("resourceVersion"))


class Comparison(Reflector):
    """The LISTs of what kopf watches: at the start, at the resync interval, on request, and when kopf has no version to watch from.

    kopf itself lists nothing: its watch starts from the version of one of these LISTs.
    """

    def __init__(
        self, source: Source, sink: Sink, kind: str, namespace: str | None, *, resync: float
    ) -> None:
        super().__init__(source, sink, kind, namespace, resync=resync)
        self._wake = asyncio.Event()
        self._complete = asyncio.Event()  # a LIST has ended, and no watch has started from it
        self._version = 0
        self._listing = False
        self._starts = 0
        self._waiting = 0

    def relist(self) -> None:
        """List again soon."""
        self._wake.set()

    async def version(self) -> int:
        """The resourceVersion of a complete LIST from which no watch has started; lists if there is none.

        The first watch waits for the LIST of the start.
        """
        if self._starts and not self._complete.is_set() and not self._listing:
            self._wake.set()
        self._starts += 1
        self._waiting += 1
        try:
            await self._complete.wait()
        finally:
            self._waiting -= 1
        self._complete.clear()
        return self._version

    async def _list(self) -> int:
        # This LIST answers all requests before it, and a watch that starts from it shows what has changed since.
        self._wake.clear()
        self._listing = True
        try:
            self._version = await super()._list()
        finally:
            self._listing = False
        # A watch must not start from the LIST of a resync of long ago, whose version the API server may not have any more.
        if self._waiting or not self._starts:
            self._complete.set()
        return self._version

    async def _follow(self, version: int) -> None:
        del version
        try:
            async with asyncio.timeout(self._resync * random.uniform(0.8, 1.2)):  # noqa: S311
                await self._wake.wait()
        except TimeoutError:
            return
        if not self._waiting:
            # Watches often break together: wait for the others, and list once.
            await asyncio.sleep(_SETTLE * random.uniform(0.5, 1.5))  # noqa: S311


def _noting(items: Iterable[dict[str, Any]], found: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the objects, and add their UIDs to a set."""
    for item in items:
        found.add(text(mapping(item.get("metadata")).get("uid")))
        yield item


async def _pause(failures: int, error: OperatorError | None = None) -> None:
    """Wait: doubling with jitter, but not shorter than the API server requests."""
    asked = error.retry_after or 0.0 if isinstance(error, TemporaryError) else 0.0
    pause = min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE)
    await asyncio.sleep(max(asked, pause) * random.uniform(0.8, 1.2))  # noqa: S311
