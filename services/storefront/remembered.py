"""A catalog that remembers what it has shown, for the time in which the shop does not respond."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from services.common.telemetry import logs
from services.common.values.errors import Unavailable
from services.storefront.domain import Product, ProductPage
from services.storefront.ports import Catalog

log = logs.logger(__name__)
Content = TypeVar("Content")
MOST_REMEMBERED = 500
CATEGORIES_SECONDS = 300.0
# The API has no list of categories: they are those of the first thousand products.
CATEGORY_PAGES, CATEGORY_PAGE = 10, 100
LONGEST_SECONDS = 24 * 3600.0
# After a failure, what is remembered is shown at once for this time: each page would otherwise wait for a shop that hangs.
PAUSE_SECONDS = 5.0


class RememberedCatalog:
    """Products, with their age if they are from memory. Safe to share between threads.

    Prices and stock may have changed meanwhile, so nothing is ordered from it: the shop decides with its own prices.

    Args:
        catalog: the catalog.
        monotonic: monotonic clock, in seconds.
    """

    def __init__(self, catalog: Catalog, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: OrderedDict[Any, tuple[float, Any]] = OrderedDict()
        self._categories: tuple[float, tuple[str, ...]] = (float("-inf"), ())
        self._failed_at = float("-inf")

    def fill(self, limit: int) -> None:
        """Remembers the first page of the catalog, unless anything is remembered already.

        Raises:
            Unavailable: nothing is remembered, and the shop does not respond.
        """
        if not self._known:
            self.search("", None, None, limit)

    def search(
        self, words: str, category: str | None, cursor: str | None, limit: int
    ) -> tuple[ProductPage, float]:
        """As `ports.Catalog.search`, with the age of the page in seconds; 0 if it is current."""
        return self._recent(
            ("search", words, category, cursor, limit),
            lambda: self._catalog.search(words, category, cursor, limit),
        )

    def product(self, sku: str) -> tuple[Product | None, float]:
        """As `ports.Catalog.product`, with the age of the product in seconds; 0 if it is current."""
        return self._recent(("product", sku), lambda: self._catalog.product(sku))

    def categories(self) -> tuple[str, ...]:
        """The categories of the catalog, at most five minutes old if the shop responds; empty if they are not known."""
        at, known = self._categories
        if self._monotonic() - at < CATEGORIES_SECONDS or self._is_paused():
            return known
        found: set[str] = set()
        cursor: str | None = None
        try:
            for _ in range(CATEGORY_PAGES):
                page = self._catalog.search("", None, cursor, CATEGORY_PAGE)
                found.update(product.category for product in page.products)
                cursor = page.next
                if cursor is None:
                    break
        except Unavailable:
            return known
        self._categories = self._monotonic(), tuple(sorted(found))
        return self._categories[1]

    def _recent(self, key: Any, load: Callable[[], Content]) -> tuple[Content, float]:
        now = self._monotonic()
        with self._lock:
            at, known = self._known.get(key, (float("-inf"), None))
        is_known = now - at <= LONGEST_SECONDS
        remembered: Content = known
        if is_known and self._is_paused():
            return remembered, _age(at, now)
        try:
            content = load()
        except Unavailable:
            self._failed_at = self._monotonic()
            if not is_known:
                raise
            log.info("catalog_from_memory", seconds=round(now - at))
            return remembered, _age(at, now)
        self._failed_at = float("-inf")
        with self._lock:
            self._known[key] = now, content
            self._known.move_to_end(key)
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return content, 0.0

    def _is_paused(self) -> bool:
        return self._monotonic() - self._failed_at < PAUSE_SECONDS


def _age(at: float, now: float) -> float:
    """The age of a content from memory. A current one has the age 0."""
    return max(now - at, 1.0)
