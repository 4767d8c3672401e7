"""Which products a search finds, from memory.

DynamoDB cannot look for a part of a word: a filter there reads the whole catalogue for every page, and is paid for and
waited for accordingly. So each process keeps what can be searched for, which is some hundred kilobytes for thousands of
products, and asks once a second whether that has changed. The products of a page, and their stock above all, are then
read as they are at that moment.
"""

import threading
import time
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.product.ports import Search

# Seconds for which the catalogue is taken to be unchanged.
FRESH = 1.0
# A change takes a moment to reach the index of the table: for so long after one, in seconds, it is read every time.
SETTLING = 5.0
# And in any case after so many seconds: whoever wrote a product may have died before it said so.
LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What can be searched for of a product."""

    sku: str
    name: str
    category: str


@dataclass(frozen=True, slots=True)
class Found:
    """Some of the products that were found, by SKU, and the SKU to go on after, if there are more."""

    skus: tuple[str, ...]
    next_after: str | None


class Index:
    """A catalogue that can be searched; never changed once it is made."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        ordered = sorted(entries, key=lambda entry: entry.sku)
        self._skus = [entry.sku for entry in ordered]
        self._texts = [folded(f"{entry.name}\n{entry.sku}") for entry in ordered]
        self._categories = [folded(entry.category) for entry in ordered]

    def find(self, search: Search, after: str | None, limit: int) -> Found:
        """Up to `limit` products by SKU, from the one after `after`, which need not be there any more."""
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
    """The index of this process, about a second old at most.

    Args:
        version: a number that changes whenever a product does.
        entries: reads all of them; may miss a change of the last second.
        monotonic: seconds that pass.
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
        """The index. While one thread brings it up to date, the others use the one before, if there is one."""
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
        # Asked before the products are read: what changes in between costs a second look, and is never missed.
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
    """The text as it is compared: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
