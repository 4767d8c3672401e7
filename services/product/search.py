"""Finds products by words and by category, in memory.

A catalogue of thousands of products is a few hundred kilobytes, and DynamoDB cannot search for parts of words; so each
process keeps all of it, sorted by SKU, and one small read a second tells it whether anything has changed. What does
change all the time, the stock, is not kept: it is read for the products of a page when the page is asked for.
"""

import threading
import time
import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.product.domain import Product
from services.product.ports import Catalogue

# Seconds for which the catalogue is taken to be unchanged.
FRESH_FOR = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """A page of products, and the SKU to go on after, if there are more."""

    products: tuple[Product, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class _Entry:
    product: Product
    text: str


class _Shelf:
    """Products in the order of their SKUs."""

    def __init__(self, entries: list[_Entry]) -> None:
        self.entries = entries
        self.skus = [entry.product.sku for entry in entries]


class Index:
    """A catalogue that can be searched; never changed once it is made."""

    def __init__(self, products: Iterable[Product]) -> None:
        entries = [
            _Entry(product, folded(f"{product.name}\n{product.sku}"))
            for product in sorted(products, key=lambda product: product.sku)
        ]
        by_category = defaultdict(list)
        for entry in entries:
            by_category[folded(entry.product.category)].append(entry)
        self._products = {entry.product.sku: entry.product for entry in entries}
        self._all = _Shelf(entries)
        self._by_category = {category: _Shelf(found) for category, found in by_category.items()}

    def get(self, sku: str) -> Product | None:
        """The product of that SKU."""
        return self._products.get(sku)

    def search(self, text: str, category: str | None, after: str | None, limit: int) -> Found:
        """Products whose name or SKU contains every word of `text`, in the order of their SKUs.

        Args:
            text: words, in any case and with or without accents; none for all products.
            category: exactly one, in any case; None for all.
            after: the SKU that the page before ended with. It need not be in the catalogue any more.
            limit: how many at most.
        """
        shelf = self._all if category is None else self._by_category.get(folded(category), _Shelf([]))
        words = folded(text).split()
        found: list[Product] = []
        for place in range(bisect_right(shelf.skus, after) if after else 0, len(shelf.skus)):
            entry = shelf.entries[place]
            if all(word in entry.text for word in words):
                if len(found) == limit:
                    return Found(tuple(found), found[-1].sku)
                found.append(entry.product)
        return Found(tuple(found), None)


class CatalogueView:
    """This process's index of the catalogue, at most about a second old.

    Args:
        catalogue: what is kept in memory.
        monotonic: seconds that pass.
    """

    def __init__(self, catalogue: Catalogue, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._catalogue = catalogue
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._index: Index | None = None
        self._version = -1
        self._checked = 0.0

    def index(self) -> Index:
        """The index. While one thread renews it the others use the one before, if there is one."""
        index = self._index
        if index is not None and (self._is_fresh() or not self._lock.acquire(blocking=False)):
            return index
        if index is None:
            self._lock.acquire()
        try:
            return self._renewed()
        finally:
            self._lock.release()

    def _renewed(self) -> Index:
        if self._index is None or not self._is_fresh():
            asked = self._monotonic()
            # Read before the products: a change between the two reads costs a second look, never a missed change.
            version = self._catalogue.version()
            if self._index is None or version != self._version:
                self._index = Index(self._catalogue.products())
                self._version = version
            self._checked = asked
        return self._index

    def _is_fresh(self) -> bool:
        return self._monotonic() - self._checked < FRESH_FOR


def folded(text: str) -> str:
    """The text without case and accents: what is compared."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
