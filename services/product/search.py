"""Keeps an index of the catalog up to date.

DynamoDB has no substring search: a filter reads the whole catalog for every page, which is slow and expensive. Each process
therefore has an index, and adds the changes to it that writers record in the table: one small query per second while products are
being searched. No search waits for it. The products of a page, including their stock, are always read from the table.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from services.common.telemetry import logs
from services.common.values import clock
from services.common.values.clock import Clock
from services.product.ports import Search

log = logs.logger(__name__)

# Seconds between two checks for changes.
FRESH: Final = 1.0
# Seconds without a check after which a search waits for one: without searches, the index may be hours old.
IDLE: Final = 2.0
# Seconds after which the whole catalog is read again: a row may have been edited or written by an earlier version of this service.
LONGEST: Final = 900.0
# A change may appear this much after its time: the transaction of its writer was retried, or its clock is behind.
LATE: Final = timedelta(seconds=10)
# A recorded change is kept for this long. An index that was not checked for longer reads the whole catalog.
CHANGES_KEPT: Final = timedelta(days=7)
# Seconds between two attempts to read the catalog of a process that starts.
RETRIED_AFTER: Final = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """The searchable texts of a product, and their version."""

    sku: str
    name: str
    category: str
    version: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A page of matches, sorted by SKU, and the SKU after which the next page starts, or None on the last page."""

    skus: tuple[str, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A recorded change: its ID, and the products as they were written."""

    id: str
    entries: Sequence[Entry]


class Index(Protocol):
    """An index of the catalog. Safe to share between threads."""

    def put(self, entries: Iterable[Entry]) -> None:
        """Adds products, or replaces those of an earlier version."""

    def replace(self, entries: Iterable[Entry]) -> None:
        """Replaces all products, except those of which it has a later version.

        Args:
            entries: all products, sorted by SKU.
        """

    def remove(self, skus: Iterable[str]) -> None:
        """Removes products."""

    def find(self, search: Search, after: str | None, limit: int) -> Found:
        """Up to `limit` matches sorted by SKU, starting after `after`, which may no longer exist."""


class Source(Protocol):
    """The catalog that is indexed."""

    def entries(self) -> Iterable[Entry]:
        """All products, sorted by SKU. May omit changes of the last seconds."""

    def changes(self, since: datetime) -> Iterable[Change]:
        """The recorded changes since a time, oldest first."""


class Unread(Exception):
    """The process has not read the catalog yet."""


class Searchable:
    """The index of this process, at most about one second old. Also a loop of a server, which reads the catalog at its start.

    Args:
        source: catalog.
        empty: returns an empty index.
        monotonic: monotonic clock, in seconds.
        now: current time.
        run: runs an update of the index; by default, in a thread.
    """

    name = "search index"

    def __init__(
        self,
        source: Source,
        empty: Callable[[], Index],
        monotonic: Callable[[], float] = time.monotonic,
        now: Clock = clock.now,
        run: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._source = source
        self._empty = empty
        self._monotonic = monotonic
        self._now = now
        self._run = run or _in_thread
        # For the index and its changes, and for the time in which the whole catalog is read again.
        self._updating, self._reading = threading.Lock(), threading.Lock()
        self._index: Index | None = None
        self._checked = self._read = 0.0
        self._since = now()
        self._seen: set[str] = set()
        self._is_awaited = False

    def find(self, search: Search, after: str | None, limit: int) -> Found:
        """As `Index.find`, in an index that is at most about one second old."""
        return self._current().find(search, after, limit)

    def forget(self, skus: Collection[str]) -> None:
        """Removes products that no longer exist."""
        if self._index is not None and skus:
            self._index.remove(skus)

    def run(self, stop: threading.Event) -> None:
        """As `worker.Worker.run`: reads the catalog, and then has nothing to do."""
        self._is_awaited = True
        while not stop.is_set():
            try:
                self._current()
            except Exception as error:  # noqa: BLE001 - an unavailable table must not end the process
                log.warning("catalogue_not_read", error=repr(error))
                stop.wait(RETRIED_AFTER)
            else:
                stop.wait()

    def alive(self) -> bool:
        """As `worker.Worker.alive`."""
        return True

    def ready(self) -> None:
        """As `worker.Worker.ready`: whether the catalog was read, if this is the loop of a server."""
        if self._is_awaited and self._index is None:
            raise Unread("the catalog is being read")

    def _current(self) -> Index:
        """The index. A search has it updated and uses it as it is, unless there is none, or it is too old to be shown."""
        if self._index is None:
            with self._updating:
                if self._index is None:
                    self._read_all()
        age = self._monotonic() - self._checked
        if age >= FRESH and self._updating.acquire(blocking=False):
            if age < IDLE:
                self._run(self._update)
            else:
                self._update()
        if self._monotonic() - self._read >= LONGEST and self._reading.acquire(blocking=False):
            self._run(self._read_again)
        return self._chosen()

    def _update(self) -> None:
        """Adds the changes to the index, and releases its lock."""
        try:
            if self._now() - self._since > CHANGES_KEPT:
                self._read_all()
            else:
                self._add_changes(self._chosen())
        except Exception as error:  # noqa: BLE001 - searches use the index as it is, and the next one has it updated
            log.warning("index_not_updated", error=repr(error))
        finally:
            self._updating.release()

    def _read_again(self) -> None:
        """Reads the whole catalog into the index, and releases the lock of reading."""
        self._read = self._monotonic()  # also after a failure: the next attempt is not urgent
        try:
            since, index = self._now(), self._chosen()
            index.replace(self._source.entries())
            with self._updating:  # what was read may omit changes that were added meanwhile
                self._since, self._seen = min(since, self._since), set()
                self._add_changes(index)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("catalogue_not_read", error=repr(error))
        finally:
            self._reading.release()

    def _read_all(self) -> None:
        self._since, self._seen = self._now(), set()
        index = self._index or self._empty()
        index.replace(self._source.entries())
        self._read = self._monotonic()
        self._add_changes(index)
        self._index = index

    def _add_changes(self, index: Index) -> None:
        """Adds the changes since the last check. Changes that may be late are requested again, and added once."""
        since = self._now()
        changes = list(self._source.changes(self._since - LATE))
        for change in changes:
            if change.id not in self._seen:
                index.put(change.entries)
        self._seen = {change.id for change in changes}
        self._since = since
        self._checked = self._monotonic()

    def _chosen(self) -> Index:
        if self._index is None:
            raise Unread("the catalog is being read")
        return self._index


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="search index", daemon=True).start()
