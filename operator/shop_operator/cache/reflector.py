"""Keeps the store like the cluster, one kind at a time: a LIST, then a watch from there (client-go's Reflector).

Every kind of child has one of its own. A watch that ends goes on from the last resourceVersion that it has shown; when the
API server has forgotten that version (410), everything is listed again, and what is not there any more is forgotten.
"""

import asyncio
import logging
import random
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final, Protocol

from shop_operator.errors import ApiUnavailable, NotInstalled, OperatorError, Stale, TemporaryError
from shop_operator.kubernetes.wire import Known
from shop_operator.objects.lenient import digits, mapping, text

_log = logging.getLogger(__name__)

# How soon a kind is noticed whose CRD was installed.
_MISSING_RETRY: Final = 5.0
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 8.0
# Failures in a row after which a watch is not believed to come back from where it was.
_PATIENCE: Final = 5
_AT_ONCE: Final = 1.0
_SETTLE: Final = 1.0


class Page(Protocol):
    """kubernetes.client.Page."""

    @property
    def items(self) -> Iterable[dict[str, Any]]:
        """The objects; read once, one after the other."""

    @property
    def version(self) -> int:
        """The resourceVersion of the moment that all pages are of."""


class Source(Protocol):
    """Where objects come from; kubernetes.client.Kube."""

    def pages(self, kind: str, namespace: str | None) -> AsyncGenerator[Page]:
        """All objects of one kind."""

    def watch(
        self, kind: str, namespace: str | None, version: int, known: Known | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """What happens to them from a version on, apart from what is known."""


class Sink(Protocol):
    """Where they go; reconcile.intake.Intake for ShopServices and children."""

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        """A watch showed an object: ADDED, MODIFIED, DELETED."""

    def listing(self) -> None:
        """A LIST begins."""

    def merge(self, items: Iterable[Mapping[str, Any]]) -> None:
        """One page of it."""

    def listed(
        self, kind: str, namespace: str | None, found: AbstractSet[str], version: int, *, served: bool = True
    ) -> None:
        """It has ended, and these UIDs are all that there is."""

    def gave_up(self) -> None:
        """It has failed."""


class Reflector:
    """One kind in one namespace.

    Args:
        source: the API server.
        sink: where its objects go.
        kind: such as Deployment.
        namespace: None for all.
        resync: seconds after which everything is listed again although no watch has missed anything.
        heard: told whenever the API server said something about the kind.
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
        """List and follow for ever."""
        failures = 0
        while True:
            try:
                version = await self._list()
                failures = 0
                await self._follow(version)
            except NotInstalled:
                self._heard()
                self._sink.listed(self._kind, self._namespace, frozenset(), sys.maxsize, served=False)
                await asyncio.sleep(_MISSING_RETRY * random.uniform(0.5, 1.5))  # noqa: S311  spread, not secrecy
            except OperatorError as error:
                _log.warning("list failed, trying again: %s", error, extra={"kind": self._kind})
                failures += 1
                await _pause(failures, error)
            except Exception:  # noqa: BLE001  one kind that cannot be followed must not end the others
                _log.exception("list failed, trying again", extra={"kind": self._kind})
                failures += 1
                await _pause(failures)

    async def _list(self) -> int:
        """Everything there is; answers the version from which a watch goes on."""
        found: set[str] = set()
        version = 0
        self._sink.listing()
        try:
            async with aclosing(self._source.pages(self._kind, self._namespace)) as pages:
                async for page in pages:
                    self._heard()
                    self._sink.merge(_noting(page.items, found))
                    version = page.version
                    del page
        except BaseException:
            self._sink.gave_up()
            raise
        self._sink.listed(self._kind, self._namespace, found, version)
        return version

    async def _follow(self, version: int) -> None:
        """Watch until only a LIST can help."""
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
                _log.info("watch ended: %s", error, extra={"kind": self._kind})
                # One that has shown something was alive.
                failures = failures + 1 if version == started else 1
                await _pause(failures, error)
            else:
                self._heard()
                # One that ends at once and has shown nothing would be asked for again and again.
                idle = version == started and time.monotonic() - began < _AT_ONCE
                failures = failures + 1 if idle else 0
                if idle:
                    await _pause(failures)

    def _take(self, event: Mapping[str, Any]) -> int:
        """One event of a watch; answers the version that it is of, 0 when it does not tell.

        Raises:
            Stale: the API server has forgotten the version that was asked for.
            ApiUnavailable: it gave up for another reason.
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
    """The LISTs of what kopf watches: at the start, whenever kopf starts its watch anew, and at the resync interval.

    kopf itself lists nothing: its watch starts from the version of one of these LISTs.
    """

    def __init__(
        self, source: Source, sink: Sink, kind: str, namespace: str | None, *, resync: float
    ) -> None:
        super().__init__(source, sink, kind, namespace, resync=resync)
        self._wake = asyncio.Event()
        self._complete = asyncio.Event()  # a LIST has ended, and no watch has started from it
        self._version = 0
        self._starts = 0
        self._waiting = 0

    def relisted(self) -> None:
        """List again soon."""
        self._wake.set()

    async def version(self) -> int:
        """The resourceVersion of a complete LIST from which no watch has started; lists if there is none.

        The first watch waits for the LIST of the start.
        """
        if self._starts and not self._complete.is_set():
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
        # This LIST answers everything that was asked for before it.
        self._wake.clear()
        self._version = await super()._list()
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
            # A watch that breaks seldom breaks alone: let the others come, and list once.
            await asyncio.sleep(_SETTLE * random.uniform(0.5, 1.5))  # noqa: S311


def _noting(items: Iterable[dict[str, Any]], found: set[str]) -> Iterator[dict[str, Any]]:
    """The objects, one after the other, with their UIDs added to those that were found."""
    for item in items:
        found.add(text(mapping(item.get("metadata")).get("uid")))
        yield item


async def _pause(failures: int, error: OperatorError | None = None) -> None:
    """Doubling with jitter, and not shorter than the API server asks for."""
    asked = error.retry_after or 0.0 if isinstance(error, TemporaryError) else 0.0
    pause = min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE)
    await asyncio.sleep(max(asked, pause) * random.uniform(0.8, 1.2))  # noqa: S311
