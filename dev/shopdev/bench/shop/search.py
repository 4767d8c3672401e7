"""Search by a word among many products, and the search that follows a write."""

import time
from collections.abc import Iterator
from typing import Final

import httpx

from services.common.values import clock
from services.common.values.money import Money
from services.product import handlers
from services.product.domain import Product
from shopdev.bench.figures import HEAD, Bound, percentile, table
from shopdev.bench.shop.rig import Measured
from shopdev.bench.shop.sections import Sizes
from shopdev.console import say_aside

_FIRST: Final = (
    "amber",
    "bitter",
    "cedar",
    "dusky",
    "early",
    "floral",
    "golden",
    "honeyed",
    "iron",
    "jasmine",
)
_SECOND: Final = (
    "leaf",
    "blossom",
    "harvest",
    "garden",
    "valley",
    "river",
    "summit",
    "shade",
    "spring",
    "mist",
)
_BATCH: Final = 90  # a transaction has at most 100 items
WRITES: Final = 5
AFTER_WRITE_SECONDS: Final = 3.0


def batches(number: int) -> Iterator[dict[Product, int]]:
    """This number of products with their stock. Each word is part of the names of about a tenth of them, a number of one."""
    now = clock.now()
    for start in range(0, number, _BATCH):
        yield {
            Product(f"S-{place:06}", name(place), "tea", Money(100 + place % 900, "EUR"), now, 1): 5
            for place in range(start, min(start + _BATCH, number))
        }


def name(place: int) -> str:
    """The name of a product."""
    first = _FIRST[place % len(_FIRST)]
    second = _SECOND[place // len(_FIRST) % len(_SECOND)]
    return f"{first.capitalize()} {second} tea no{place:06}"


def search(shop: Measured, sizes: Sizes) -> str:
    """The time of a search, and of the searches in the seconds after a product was written."""
    say_aside(f"writing {sizes.products} products")
    shop.catalogue.put_all([(batch, None) for batch in batches(sizes.products)])
    handlers.put_product(_changed(0), 5, catalogue=shop.catalogue)
    with httpx.Client(base_url=shop.url("product"), timeout=60) as http:
        _until_found(http, name(sizes.products - 1).split()[-1])
        words = [*_FIRST, *_SECOND, *(f"no{place:06}" for place in range(0, sizes.products, 997))]
        took = [_timed(http, words[place % len(words)]) for place in range(sizes.number)]
        after = []
        for write in range(1, WRITES + 1):
            handlers.put_product(_changed(write), 5, catalogue=shop.catalogue)
            end = time.monotonic() + AFTER_WRITE_SECONDS
            slowest = 0.0
            while time.monotonic() < end:
                slowest = max(slowest, _timed(http, words[write]))
            after.append(slowest)
    p99, longest = percentile(took, 0.99), max(after)
    bound = Bound(15, 5, "ms")
    return table(
        HEAD,
        [
            bound.row(f"search by a word, {sizes.products} products: p99", p99, f"{p99:.1f} ms"),
            bound.row(
                f"the slowest search within {AFTER_WRITE_SECONDS:.0f} s of a write, of {WRITES} writes",
                longest,
                f"{longest:.1f} ms",
            ),
        ],
    )


def _changed(write: int) -> Product:
    return Product(f"S-{write:06}", f"{name(write)} new", "tea", Money(1000 + write, "EUR"), clock.now())


def _timed(http: httpx.Client, word: str) -> float:
    began = time.perf_counter()
    http.get("/products", params={"q": word}).raise_for_status()
    return (time.perf_counter() - began) * 1000


def _until_found(http: httpx.Client, word: str) -> None:
    end = time.monotonic() + 120
    while not http.get("/products", params={"q": word}).json()["items"] and time.monotonic() < end:
        time.sleep(0.5)
