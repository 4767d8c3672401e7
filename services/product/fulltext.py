"""An index of the catalog in SQLite.

It is a temporary database of this process, of which up to 8 MB are in memory, and the rest is in the temporary folder. A word is
part of a text if it is found anywhere in it. SQLite's full-text search (FTS5) therefore indexes each three consecutive characters.
A search by a frequent word does not need it: a few products in their order fill the page. The index only selects candidates, in
which the words are then searched.
"""

import sqlite3
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from services.product.ports import Search
from services.product.search import Entry, Found

# Characters of an entry of the full-text index, which is the tokenizer `trigram`.
GRAM: Final = 3
# Products that are searched one after another, per product of the page, before the full-text index is used.
WALKED: Final = 50
# Memory of the index in KiB. The rest is in the temporary folder.
CACHE: Final = 8000
# Entries that are written without a search in between: a few milliseconds.
WRITTEN: Final = 100

_SCHEMA: Final = """
CREATE TABLE products (id INTEGER PRIMARY KEY, sku TEXT NOT NULL, category TEXT NOT NULL, text TEXT NOT NULL, version INTEGER NOT NULL);
CREATE UNIQUE INDEX by_sku ON products (sku, text);
CREATE INDEX by_category ON products (category, sku, text);
CREATE VIRTUAL TABLE texts USING fts5 (
  text, content='products', content_rowid='id', tokenize='trigram case_sensitive 1', detail='none', columnsize=0
);
"""


class FullText:
    """An index of the catalog, as `search.Index`. Create it after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The empty name is that of a temporary database.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute(f"PRAGMA cache_size = -{CACHE}")
        self._database.executescript(_SCHEMA)

    def __del__(self) -> None:
        self._database.close()

    def put(self, entries: Iterable[Entry]) -> None:
        """As `search.Index.put`. Searches are possible in between."""
        rest = iter(entries)
        while some := list(islice(rest, WRITTEN)):
            with self._lock, self._transaction():
                for entry in some:
                    self._put(entry)

    def replace(self, entries: Iterable[Entry]) -> None:
        """As `search.Index.replace`. Searches are possible in between."""
        rest, after = iter(entries), ""
        while some := {_storable(entry.sku): entry for entry in islice(rest, WRITTEN)}:
            last = max(some)
            with self._lock, self._transaction():
                self._replace(some, "sku > ? AND sku <= ?", after, last)
            after = last
        with self._lock, self._transaction():
            self._replace({}, "sku > ?", after)

    def remove(self, skus: Iterable[str]) -> None:
        """As `search.Index.remove`."""
        with self._lock, self._transaction():
            for sku in skus:
                self._remove(_storable(sku))

    def find(self, search: Search, after: str | None, limit: int) -> Found:
        """As `search.Index.find`."""
        with self._lock:
            skus = self._matches(search, _storable(after or ""), limit + 1)
        return Found(tuple(skus[:limit]), skus[limit - 1] if len(skus) > limit else None)

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._database)

    def _put(self, entry: Entry) -> None:
        sku = _storable(entry.sku)
        known = self._database.execute("SELECT version FROM products WHERE sku = ?", (sku,)).fetchone()
        if known is not None:
            if known[0] > entry.version:
                return
            self._remove(sku)
        text = _text(entry)
        row = self._database.execute(
            "INSERT INTO products (sku, category, text, version) VALUES (?, ?, ?, ?)",
            (sku, _storable(folded(entry.category)), text, entry.version),
        ).lastrowid
        self._database.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (row, text))

    def _replace(self, entries: Mapping[str, Entry], where: str, *values: str) -> None:
        """Replaces the products of a range. Most of them are unchanged, and not written."""
        known = {
            sku: texts
            for sku, *texts in self._database.execute(
                f"SELECT sku, category, text FROM products WHERE {where}",  # noqa: S608 - constants
                values,
            )
        }
        for sku in known.keys() - entries.keys():
            self._remove(sku)
        for sku, entry in entries.items():
            if known.get(sku) != [_storable(folded(entry.category)), _text(entry)]:
                self._put(entry)

    def _remove(self, sku: str) -> None:
        known = self._database.execute("SELECT id, text FROM products WHERE sku = ?", (sku,)).fetchone()
        if known is not None:
            # The full-text index stores no texts, so the deletion contains the text.
            self._database.execute("INSERT INTO texts (texts, rowid, text) VALUES ('delete', ?, ?)", known)
            self._database.execute("DELETE FROM products WHERE id = ?", known[:1])

    def _matches(self, search: Search, after: str, most: int) -> Sequence[str]:
        words = [_storable(folded(word)) for word in search.words]
        conditions = [("sku > ?", after), *(("instr(text, ?)", word) for word in words)]
        if search.category is not None:
            conditions.append(("category = ?", _storable(folded(search.category))))
        grams = [gram for word in words for gram in _grams(word)]
        if not grams:
            return self._skus("products", conditions, most)
        walked = self._walked(conditions, most)
        if walked is not None:
            return walked
        match = " AND ".join('"' + gram.replace('"', '""') + '"' for gram in grams)
        selected = "(SELECT rowid AS found FROM texts WHERE texts MATCH ?) CROSS JOIN products ON id = found"
        return self._skus(selected, conditions, most, match)

    def _walked(self, conditions: Sequence[tuple[str, str]], most: int) -> Sequence[str] | None:
        """The matches among the next products, if these are enough, or no others are left."""
        (first, after), *others = conditions
        category = [each for each in others if each[0].startswith("category")]
        where = " AND ".join(condition for condition, _ in [(first, after), *category])
        values = [after, *(value for _, value in category)]
        step = most * WALKED
        end = self._database.execute(
            f"SELECT sku FROM products WHERE {where} ORDER BY sku LIMIT 1 OFFSET ?",  # noqa: S608 - constants
            (*values, step),
        ).fetchone()
        if end is None:
            return self._skus("products", conditions, most)
        found = self._skus("products", [*conditions, ("sku < ?", end[0])], most)
        return found if len(found) == most else None

    def _skus(
        self, source: str, conditions: Sequence[tuple[str, str]], most: int, *selecting: str
    ) -> Sequence[str]:
        where = " AND ".join(condition for condition, _ in conditions)
        values = (*selecting, *(value for _, value in conditions), most)
        rows = self._database.execute(
            f"SELECT sku FROM {source} WHERE {where} ORDER BY sku LIMIT ?",  # noqa: S608 - constants
            values,
        )
        return [sku for (sku,) in rows]


class _Transaction:
    """A transaction of a database, as a context."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN")

    def __exit__(self, kind: object, *_: object) -> None:
        self._database.execute("ROLLBACK" if kind else "COMMIT")


def folded(text: str) -> str:
    """The text without case and accents, for comparison."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _text(entry: Entry) -> str:
    """The text of a product. No word contains a newline, so no match reaches from the name into the SKU."""
    return f"{_storable(folded(entry.name))}\n{_storable(folded(entry.sku))}"


def _storable(text: str) -> str:
    """The text without characters that SQLite cannot store, or that end a text for its tokenizer."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _grams(word: str) -> Iterator[str]:
    """The parts of a word that are entries of the full-text index, and cover it. None for a shorter word."""
    last = len(word) - GRAM
    if last >= 0:
        yield from (word[start : start + GRAM] for start in range(0, last, GRAM))
        yield word[last:]
