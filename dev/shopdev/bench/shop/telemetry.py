"""The cost of telemetry: the same load on a shop with and on one without traces, at the same time."""

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from shopdev.bench.figures import HEAD, Bound, spread, table
from shopdev.bench.shop.rig import Measured
from shopdev.bench.shop.sections import Sizes
from shopdev.checkout import ROOT
from shopdev.ports import free_port
from shopdev.processes.process import Process

SETTLED_SECONDS: Final = 8.0
"""Longer than the time for which a process collects spans before it sends them."""


class Sink:
    """A running collector that counts spans."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    @property
    def spans(self) -> int:
        """The number of spans so far."""
        return int(httpx.get(f"{self.url}/spans", timeout=5).text)

    def settled(self) -> int:
        """The number of spans when no more arrive."""
        seen, since = self.spans, time.monotonic()
        while time.monotonic() - since < SETTLED_SECONDS:
            time.sleep(0.5)
            if (now := self.spans) != seen:
                seen, since = now, time.monotonic()
        return seen

    @property
    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            return httpx.get(f"{self.url}/spans", timeout=1).is_success
        except httpx.TransportError:
            return False


@contextmanager
def sink() -> Iterator[Sink]:
    """A collector as a process."""
    port = free_port()
    process = Process(
        "sink",
        [sys.executable, "-m", "shopdev.bench.shop.sink", str(port)],
        {"PATH": "", "PYTHONPATH": str(ROOT / "dev")},
        lambda *_: None,
        ROOT,
    )
    process.start()
    found = Sink(port)
    try:
        process.wait_until(lambda: found.answers, 20)
        yield found
    finally:
        process.stop(grace=2)


def telemetry(off: Measured, on: Measured, collector: Sink, sizes: Sizes) -> str:
    """Place orders alternately in both shops, and compare CPU, logs and series."""
    both = (off, on)
    api: list[float] = []
    everything: list[float] = []
    spans = collector.settled()
    logged = [shop.logged.total() for shop in both]
    for _ in range(sizes.rounds):
        before = [(shop.cpu("order"), shop.cpu()) for shop in both]
        placed: tuple[list[str], list[str]] = ([], [])
        for _ in range(sizes.number):
            for shop, orders in zip(both, placed, strict=True):
                orders.append(shop.place_one())
        for shop, orders in zip(both, placed, strict=True):
            shop.shipped(orders)
        spent = [
            (shop.cpu("order") - order, shop.cpu() - total)
            for shop, (order, total) in zip(both, before, strict=True)
        ]
        api.append(spent[1][0] / spent[0][0])
        everything.append(spent[1][1] / spent[0][1])
    number = sizes.number * sizes.rounds
    bytes_off, bytes_on = (
        (shop.logged.total() - was) / number for shop, was in zip(both, logged, strict=True)
    )
    per_order = (collector.settled() - spans) / number
    bound = Bound(1.25, 1.15)
    rows = [
        bound.row("CPU of POST /orders, telemetry on ÷ off", statistics.median(api), spread(api)),
        bound.row(
            "CPU of a whole order, telemetry on ÷ off", statistics.median(everything), spread(everything)
        ),
    ]
    facts = [
        ("spans per order", f"{per_order:.1f}"),
        ("logs per order, telemetry on", f"{bytes_on:,.0f} bytes"),
        ("logs per order, telemetry off", f"{bytes_off:,.0f} bytes"),
        *((f"series of a pod of {name}", str(series(_metrics(on, name)))) for name in on.names),
    ]
    return "\n".join([table(HEAD, rows), table(("what", "measured"), facts)])


def series(exposition: str) -> int:
    """The number of series in the text format of Prometheus."""
    return sum(1 for line in exposition.splitlines() if line and not line.startswith("#"))


def _metrics(shop: Measured, name: str) -> str:
    return httpx.get(f"{shop.url(name)}/metrics", timeout=5).raise_for_status().text
