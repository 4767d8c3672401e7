"""Searches products in memory.

DynamoDB has no substring search: a filter reads the whole catalog for every page, which is slow and expensive. Each process
therefore keeps the searchable texts in memory (a few hundred kilobytes for thousands of products), and checks once per second
whether the catalog has changed. While products are being searched, no search waits for this: a thread updates the index, and
searches use the previous one. The products of a page, including their stock, are always read from the table.
"""

import threading
import time
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from services.common.telemetry import logs
from services.product.ports import Search

log = logs.logger(__name__)

# Seconds between two checks for changes.
FRESH = 1.0
# Seconds without a check after which a search waits for one: without searches, the index may be hours old.
IDLE = 2.0
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
    """An immutable index of the catalog.

    The texts of all products are one string, in which a word is found in a fraction of the time that a loop over the products
    takes. They end with a newline, which no word contains, so that no match reaches into the next text.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        ordered = sorted(entries, key=lambda entry: entry.sku)
        self._skus = [entry.sku for entry in ordered]
        texts = [folded(f"{entry.name}\n{entry.sku}\n") for entry in ordered]
        self._text = "".join(texts)
        # The place in the string at which each text begins, and the end of the last one.
        self._starts = list(accumulate(map(len, texts), initial=0))
        self._categories = [folded(entry.category) for entry in ordered]

    def find(self, search: Search, after: str | None, limit: int) -> Found:
        """Up to `limit` matches sorted by SKU, starting after `after`, which may no longer exist."""
        words = [folded(word) for word in search.words]
        category = None if search.category is None else folded(search.category)
        found: list[str] = []
        for place in self._places(words, bisect_right(self._skus, after) if after else 0):
            if category is not None and self._categories[place] != category:
                continue
            if len(found) == limit:
                return Found(tuple(found), found[-1])
            found.append(self._skus[place])
        return Found(tuple(found), None)

    def _places(self, words: Sequence[str], first: int) -> Iterator[int]:
        """The places of the products that contain all words, from `first` on."""
        if not words:
            yield from range(first, len(self._skus))
            return
        # The longest word is the rarest, as a rule.
        rare, *others = sorted(words, key=len, reverse=True)
        start = self._starts[first]
        while start < len(self._text) and (found := self._text.find(rare, start)) >= 0:
            place = bisect_right(self._starts, found) - 1
            begin, start = self._starts[place], self._starts[place + 1]
            if all(self._text.find(word, begin, start) >= 0 for word in others):
                yield place


class Searchable:
    """The index of this process, at most about one second old.

    Args:
        version: returns a number that changes with every change of a product.
        entries: reads all entries. May omit changes of the last second.
        monotonic: monotonic clock, in seconds.
        run: runs an update of the index; by default, in a thread.
    """

    def __init__(
        self,
        version: Callable[[], int],
        entries: Callable[[], Iterable[Entry]],
        monotonic: Callable[[], float] = time.monotonic,
        run: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._version = version
        self._entries = entries
        self._monotonic = monotonic
        self._run = run or _in_thread
        self._lock = threading.Lock()
        self._index: Index | None = None
        self._checked = self._read = self._changed = 0.0
        self._seen = -1

    def index(self) -> Index:
        """The index. A search has it updated and uses the previous one, unless there is none, or it is too old to be shown."""
        if self._index is None:
            with self._lock:
                if self._index is None:
                    self._index = self._up_to_date(None)
            return self._index
        age = self._monotonic() - self._checked
        if age >= FRESH and self._lock.acquire(blocking=False):
            if age < IDLE:
                self._run(self._update)
            else:
                self._update()
        return self._index

    def _update(self) -> None:
        """Updates the index, and releases the lock."""
        try:
            self._index = self._up_to_date(self._index)
        except Exception as error:  # noqa: BLE001 - searches use the previous index, and the next one has it updated
            log.warning("index_not_updated", error=repr(error))
        finally:
            self._lock.release()

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
        self._checked = self._monotonic()
        return index


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="search index", daemon=True).start()


def folded(text: str) -> str:
    """The text without case and accents, for comparison."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
