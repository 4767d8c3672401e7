"""Searches products in memory.

DynamoDB has no substring search: a filter reads the whole catalog for every page, which is slow and expensive. Each process
therefore keeps the searchable texts in memory (a few hundred kilobytes for thousands of products), and checks once per second
whether the catalog has changed. The products of a page, including their stock, are always read from the table.
"""

import threading
import time
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.product.ports import Search

# Seconds between two checks for changes.
FRESH = 1.0
# Seconds after a change in which every check reads the catalog, because the index of the table is updated with a delay.
SETTLING = 5.0
# Maximum age of the index in seconds: a process may crash between writing a product and recording the change.
LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """The searchable texts of a product."""

    sku: str
    name: str
    category: str


@dataclass(frozen=True, slots=True)
class Found:
    """A page of matches, sorted by SKU, and the SKU after which the next page starts, or None on the last page."""

    skus: tuple[str, ...]
    next_after: str | None


class Index:
    """An immutable index of the catalog."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        ordered = sorted(entries, key=lambda entry: entry.sku)
        self._skus = [entry.sku for entry in ordered]
        self._texts = [folded(f"{entry.name}\n{entry.sku}") for entry in ordered]
        self._categories = [folded(entry.category) for entry in ordered]

    def find(self, search: Search, after: str | None, limit: int) -> Found:
        """Up to `limit` matches sorted by SKU, starting after `after`, which may no longer exist."""
        words = [folded(word) for word in search.words]
        category = None if search.category is None else folded(search.category)
        found: list[str] = []
        for place in range(bisect_right(self._skus, after) if after else 0, len(self._skus)):
            if category is not None and self._categories[place] != category:
                continue
            if all(word in self._texts[place] for word in words):
                if len(found) == limit:
                    return Found(tuple(found), found[-1])
                found.append(self._skus[place])
        return Found(tuple(found), None)


class Searchable:
    """The index of this process, at most about one second old.

    Args:
        version: returns a number that changes with every change of a product.
        entries: reads all entries. May omit changes of the last second.
        monotonic: monotonic clock, in seconds.
    """

    def __init__(
        self,
        version: Callable[[], int],
        entries: Callable[[], Iterable[Entry]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._version = version
        self._entries = entries
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._index: Index | None = None
        self._checked = self._read = self._changed = 0.0
        self._seen = -1

    def index(self) -> Index:
        """The index. While one thread updates it, the others use the previous one, if there is one."""
        index = self._index
        if index is not None and self._is_fresh():
            return index
        if not self._lock.acquire(blocking=index is None) and index is not None:
            return index
        try:
            if self._index is None or not self._is_fresh():
                self._index = self._up_to_date(self._index)
            return self._index
        finally:
            self._lock.release()

    def _is_fresh(self) -> bool:
        return self._monotonic() - self._checked < FRESH

    def _up_to_date(self, index: Index | None) -> Index:
        now = self._monotonic()
        # Read before the products: a change in between causes another read, but is never missed.
        version = self._version()
        if version != self._seen:
            self._changed = now
        if index is None or now - self._changed < SETTLING or now - self._read > LONGEST:
            index = Index(self._entries())
            self._read = now
        self._seen = version
        self._checked = now
        return index


def folded(text: str) -> str:
    """The text without case and accents, for comparison."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
