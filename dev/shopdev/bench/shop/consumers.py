"""The throughput with several processes of each consumer, its limit, and the latency under an open load.

The rate of an open load does not depend on the responses, and a response is timed from the moment at which its request was due: a shop
that is too slow cannot slow down the load (https://www.usenix.org/legacy/event/nsdi06/tech/schroeder.html).
"""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import httpx

from services.common.values import clock
from shopdev.bench.figures import HEAD, percentile, table
from shopdev.bench.shop.rig import Measured, group_cpu, process_cpu
from shopdev.bench.shop.sections import Row, Sizes
from shopdev.checkout import ROOT
from shopdev.console import say_aside
from shopdev.ports import free_port
from shopdev.processes.process import Process

REPLICAS: Final = (1, 2, 4)
CONSUMERS: Final = ("product-consumer", "order-consumer", "payment-consumer", "shipping-consumer")
AT_ONCE: Final = 8
WAITING_AT_MOST: Final = 64
PAUSE_SECONDS: Final = 0.3
"""Between two reads of the states of the orders, which the emulator has to answer as well."""
OPEN_SHARE: Final = 0.5
"""Rate of the open load ÷ throughput with one process of each consumer."""
LINEAR: Final = 1.7
"""Least factor of the throughput with twice as many processes."""
BUSY: Final = 0.9
"""Share of the processors, or of the one processor that the emulator can use, above which it is the limit."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """CPU seconds, so far or of a period.

    Args:
        shop: of all processes of the shop.
        emulator: of the emulator.
        load: of this process, which places the orders.
        machine: of the whole machine.
    """

    shop: float
    emulator: float
    load: float
    machine: float


@dataclass(frozen=True)
class Step:
    """The throughput with a number of processes of each consumer.

    Args:
        replicas: processes of each consumer.
        orders: shipped orders.
        seconds: duration from the first order to the last shipment.
        used: CPU seconds of the measurement.
        measured: duration of the measurement in seconds, which is longer.
        processors: processors of the machine.
    """

    replicas: int
    orders: int
    seconds: float
    used: Used
    measured: float
    processors: int

    @property
    def rate(self) -> float:
        """Orders per second."""
        return self.orders / self.seconds

    @property
    def limit(self) -> str:
        """The limit of the throughput: the emulator, the processors, or the consumers, which wait for responses."""
        if self.used.emulator / self.measured >= BUSY:
            return "the emulator, which uses one processor"
        if self.used.machine / self.measured >= BUSY * self.processors:
            return "the processors"
        return "the consumers, which wait"

    @property
    def row(self) -> Row:
        """A row of the table of steps."""
        others = max(0.0, self.used.machine - self.used.shop - self.used.emulator - self.used.load)
        shares = (self.used.shop, self.used.emulator, self.used.load, others)
        return (
            str(self.replicas),
            f"{self.rate:.1f}/s",
            f"{self.used.shop / self.orders * 1000:.0f} ms",
            f"{self.used.emulator / self.orders * 1000:.0f} ms",
            " + ".join(f"{share / self.measured:.2f}" for share in shares),
            f"{self.used.machine / self.measured / self.processors:.0%}",
            self.limit,
        )


def consumers(shop: Measured, sizes: Sizes) -> str:
    """The throughput and the latency with several processes of each consumer."""
    steps: list[Step] = []
    latencies: list[Row] = []
    with _more(shop) as add:
        for replicas in REPLICAS:
            more = add(replicas)
            say_aside(f"{replicas} of each consumer")
            steps.append(_throughput(shop, more, replicas, sizes.number))
            latencies.append(_latency(shop, replicas, steps[0].rate * OPEN_SHARE, sizes.number))
    return "\n".join(
        [
            table(HEAD, [growth(first, second) for first, second in pairwise(steps)]),
            table(
                (
                    "processes of each consumer",
                    "orders shipped",
                    "CPU per order: shop",
                    "emulator",
                    "processors used: shop + emulator + load + other programs",
                    "busy",
                    "limit",
                ),
                [step.row for step in steps],
            ),
            table(
                (
                    "processes of each consumer",
                    "open load",
                    "POST /orders: p50, p95, p99",
                    "POST to SHIPPED: p50, p95, p99",
                ),
                latencies,
            ),
        ]
    )


def growth(before: Step, after: Step) -> Row:
    """The row under HEAD that compares two steps: linear, or limited by something other than the consumers."""
    factor = after.rate / before.rate
    is_met = factor >= LINEAR or not after.limit.startswith("the consumers")
    return (
        f"throughput with {after.replicas} ÷ {before.replicas} processes of each consumer",
        f"{factor:.2f}; {after.rate:.1f} ÷ {before.rate:.1f} orders/s; limit: {after.limit}",
        f"≥ {LINEAR}, or a limit other than the consumers",
        "2",
        "must" if is_met else "MISSED",
    )


def due(rate: float, number: int) -> list[float]:
    """The seconds at which the requests of an open load are due: at random, and the same in every run."""
    chance, at = random.Random(1), 0.0  # noqa: S311 - not used for cryptography
    times = []
    for _ in range(number):
        at += chance.expovariate(rate)
        times.append(at)
    return times


def percentiles(values: Sequence[float], unit: str, digits: int = 0) -> str:
    """The 50th, 95th and 99th percentile."""
    found = (f"{percentile(values, share):.{digits}f}" for share in (0.5, 0.95, 0.99))
    return f"{', '.join(found)} {unit}"


def _throughput(shop: Measured, more: Sequence[Process], replicas: int, number: int) -> Step:
    began, before = time.monotonic(), _used(shop, more)
    rows = shop.ended(shop.place(number, at_once=AT_ONCE), pause=PAUSE_SECONDS)
    after, measured = _used(shop, more), time.monotonic() - began
    # From the orders, because their states are read at intervals.
    seconds = max(map(_shipped_at, rows)) - min(map(_created_at, rows))
    used = Used(
        *(getattr(after, name) - getattr(before, name) for name in ("shop", "emulator", "load", "machine"))
    )
    return Step(replicas, number, seconds, used, measured, os.cpu_count() or 1)


def _latency(shop: Measured, replicas: int, rate: float, number: int) -> Row:
    began = time.monotonic()

    def place(at: float) -> tuple[str, float]:
        order = shop.place_one()
        return order, (time.monotonic() - began - at) * 1000

    with ThreadPoolExecutor(WAITING_AT_MOST) as pool:
        placing = []
        for at in due(rate, number):
            time.sleep(max(0.0, began + at - time.monotonic()))
            placing.append(pool.submit(place, at))
        placed = [each.result() for each in placing]
    rows = shop.ended([order for order, _ in placed], pause=PAUSE_SECONDS)
    took = [_shipped_at(row) - _created_at(row) for row in rows]
    return (
        str(replicas),
        f"{rate:.1f} orders/s",
        percentiles([milliseconds for _, milliseconds in placed], "ms"),
        percentiles(took, "s", 2),
    )


@contextmanager
def _more(shop: Measured) -> Iterator[Callable[[int], Sequence[Process]]]:
    """Starts further processes of each consumer, up to a number, and ends them with the context."""
    more: list[Process] = []

    def add(replicas: int) -> Sequence[Process]:
        while len(more) < (replicas - 1) * len(CONSUMERS):
            more.extend(_another(shop, name) for name in CONSUMERS)
        return more

    try:
        yield add
    finally:
        for process in more:
            process.stop()


def _another(shop: Measured, name: str) -> Process:
    program = shop.shop.programs[name]
    port = free_port()
    environment = {**shop.shop.process(name).env, "PORT": str(port)}
    process = Process(name, program.command, environment, lambda *_: None, ROOT)
    process.start()
    process.wait_until(lambda: _ready(f"http://127.0.0.1:{port}/readyz"), 60)
    return process


def _ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.TransportError:
        return False


def _used(shop: Measured, more: Sequence[Process]) -> Used:
    return Used(
        shop.cpu() + sum(group_cpu(each.pid) for each in more if each.pid),
        group_cpu(shop.shop.emulator.process.pid or 0),
        process_cpu(os.getpid()),
        _machine(),
    )


def _machine() -> float:
    """CPU seconds of the machine since its start, without idle time and the time for which it waited for disks."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def _created_at(row: Mapping[str, Any]) -> float:
    return clock.parse(row["created_at"]["S"]).timestamp()


def _shipped_at(row: Mapping[str, Any]) -> float:
    return clock.parse(row["timeline"]["L"][-1]["M"]["at"]["S"]).timestamp()
