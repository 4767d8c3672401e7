"""Search by a word among many products, the search that follows a write, and the cost of few and of many products."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
FEWER: Final = 50
MORE: Final = 2
"""The comparison of few and many products: with the default of 50,000, these are a thousand and a hundred thousand."""
READ_WITHIN: Final = 900.0
PATHS: Final = {"search by a word": "/products?q={}", "list": "/products"}


def batches(number: int, first: int = 0) -> Iterator[dict[Product, int]]:
    """Products with their stock, up to this number. Each word is part of the names of about a tenth of them, a number of one."""
    now = clock.now()
    for start in range(first, number, _BATCH):
        yield {
            Product(f"S-{place:06}", name(place), "tea", Money(100 + place % 900, "EUR"), now, 1): 5
            for place in range(start, min(start + _BATCH, number))
        }


def name(place: int) -> str:
    """The name of a product."""
    first = _FIRST[place % len(_FIRST)]
    second = _SECOND[place // len(_FIRST) % len(_SECOND)]
    return f"{first.capitalize()} {second} tea no{place:06}"


@dataclass(frozen=True)
class Cost:
    """The cost of a request, and of the process that has answered it.

    Args:
        cpu: CPU milliseconds of the process per request.
        median: median duration in milliseconds.
        memory: resident memory in MiB.
    """

    cpu: float
    median: float
    memory: float


def search(shop: Measured, sizes: Sizes) -> str:
    """The time of a search, of the searches in the seconds after a product was written, and of few and many products."""
    few, many = max(1, sizes.products // FEWER), sizes.products * MORE
    _add(shop, 0, few)
    small = {name: _cost(shop, path, few, sizes) for name, path in PATHS.items()}
    _add(shop, few, sizes.products)
    _restarted(shop)
    with httpx.Client(base_url=shop.url("product"), timeout=60) as http:
        words = _words(sizes.products)
        took = [_timed(http, f"/products?q={words[place % len(words)]}") for place in range(sizes.number)]
        after = []
        for write in range(1, WRITES + 1):
            handlers.put_product(_changed(write), 5, catalogue=shop.catalogue)
            end = time.monotonic() + AFTER_WRITE_SECONDS
            slowest = 0.0
            while time.monotonic() < end:
                slowest = max(slowest, _timed(http, f"/products?q={words[write]}"))
            after.append(slowest)
    _add(shop, sizes.products, many)
    large = {name: _cost(shop, path, many, sizes) for name, path in PATHS.items()}
    p99, longest = percentile(took, 0.99), max(after)
    bound = Bound(15, 5, "ms")
    return table(
        HEAD,
        [
            bound.row(f"search by a word, {sizes.products:,} products: p99", p99, f"{p99:.1f} ms"),
            bound.row(
                f"the slowest search within {AFTER_WRITE_SECONDS:.0f} s of a write, of {WRITES} writes",
                longest,
                f"{longest:.1f} ms",
            ),
            *(row for name in PATHS for row in _compared(name, small[name], large[name], few, many)),
        ],
    )


def _compared(name: str, small: Cost, large: Cost, few: int, many: int) -> Iterator[tuple[str, ...]]:
    bound = Bound(2, 1.2)
    cpu, memory = large.cpu / small.cpu, large.memory / small.memory
    what = f"{name}: {many:,} products ÷ {few:,}"
    yield bound.row(
        f"{what}, CPU",
        cpu,
        f"{cpu:.2f}; {large.cpu:.2f} ÷ {small.cpu:.2f} ms, medians {large.median:.1f} and {small.median:.1f} ms",
    )
    yield bound.row(f"{what}, memory", memory, f"{memory:.2f}; {large.memory:.0f} ÷ {small.memory:.0f} MiB")


def _add(shop: Measured, first: int, end: int) -> None:
    say_aside(f"writing {end - first:,} products")
    shop.catalogue.put_all([(batch, None) for batch in batches(end, first)])


def _restarted(shop: Measured) -> None:
    """Have the process read the catalog again: it did not record changes of products that were written without events."""
    process = shop.shop.process("product")
    process.stop()
    process.start()
    shop.shop.wait_ready("product", READ_WITHIN)


def _cost(shop: Measured, path: str, products: int, sizes: Sizes) -> Cost:
    """The cost of a request to a process that has read the catalog."""
    _restarted(shop)
    words = _words(products)
    with httpx.Client(base_url=shop.url("product"), timeout=60) as http:
        _timed(http, path.format("tea"))
        before = shop.cpu("product")
        took = [_timed(http, path.format(words[place % len(words)])) for place in range(sizes.number)]
        cpu = (shop.cpu("product") - before) / sizes.number * 1000
    return Cost(cpu, statistics.median(took), shop.resident("product")[0])


def _words(products: int) -> list[str]:
    """Words of the names of many, of some and of single products."""
    return [*_FIRST, *_SECOND, *(f"no{place:06}" for place in range(0, products, max(1, products // 50)))]


def _changed(write: int) -> Product:
    return Product(f"S-{write:06}", f"{name(write)} new", "tea", Money(1000 + write, "EUR"), clock.now())


def _timed(http: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    http.get(path).raise_for_status()
    return (time.perf_counter() - began) * 1000
