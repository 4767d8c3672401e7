"""The sections of the benchmark of the shop, one function each, which returns tables in Markdown."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from shopdev.aws_environment import client_environment
from shopdev.bench.figures import HEAD, Bound, spread, table
from shopdev.bench.shop.calls import Call, counted, is_empty_poll, replayed
from shopdev.bench.shop.rig import SKU, Measured, recording
from shopdev.bench.shop.wire import Recorder, Repeater
from shopdev.checkout import ROOT
from shopdev.clients import Clients
from shopdev.console import CommandError, say_aside

NEEDED: Final = ("BatchGetItem", "TransactWriteItems", "StartExecution")
"""The calls that each POST /orders needs: prices, one transaction, and the start of the workflow."""
TOGETHER: Final = ("PublishBatch", "BatchWriteItem")
"""The calls for several orders together: their events, and the deletion of their outbox records."""
GATHERED_SECONDS: Final = 2.0
"""Longer than the time for which a process collects events before it sends them."""
RECORDED: Final = 50

Row = tuple[str, ...]


@dataclass(frozen=True)
class Sizes:
    """How much to measure.

    Args:
        number: orders or requests of a round.
        rounds: number of rounds.
        products: products of the search.
        idle: seconds without load.
    """

    number: int
    rounds: int
    products: int
    idle: float


def orders(shop: Measured, sizes: Sizes) -> str:
    """POST /orders, compared with the calls that it needs."""
    with recording(shop, "order") as recorder:
        _placed(shop, RECORDED)
        own_calls = [call for call in recorder.calls if call.process == "order"]
        calls = [call for call in own_calls if call.operation in (*NEEDED, *TOGETHER)]
    if any(sum(call.operation == name for call in calls) < RECORDED for name in NEEDED):
        raise CommandError(f"POST /orders no longer sends {', '.join(NEEDED)}; correct the benchmark")
    _placed(shop, RECORDED)
    own, bare = [], []
    for _ in range(sizes.rounds):
        bare.append(bare_seconds(calls, sizes.number // RECORDED) / RECORDED * 1000)
        own.append(milliseconds(lambda: shop.cpu("order"), lambda: _placed(shop, sizes.number), sizes.number))
    ratio = [each / other for each, other in zip(own, bare, strict=True)]
    row = Bound(1.8, 1.4).row(
        "POST /orders and the start of its workflow: CPU ÷ that of their bare calls",
        statistics.median(ratio),
        f"{spread(ratio)}; {spread(own, 2, ' ms')} ÷ {statistics.median(bare):.2f} ms",
    )
    return table(HEAD, [row])


def _placed(shop: Measured, number: int) -> None:
    """Place orders, and wait until the process that accepted them has sent their events."""
    shop.shipped(shop.place(number))
    time.sleep(GATHERED_SECONDS)


def products(shop: Measured, sizes: Sizes) -> str:
    """GET /products/{sku}, compared with one GetItem."""
    with Recorder(shop.shop.emulator.port) as recorder:
        client = Clients(recorder.url).dynamodb
        for _ in range(RECORDED):
            key = {"pk": {"S": f"PRODUCT#{SKU}"}, "sk": {"S": "PRODUCT"}}
            client.get_item(TableName=shop.shop.outputs["product"]["Table"], Key=key, ConsistentRead=True)
        calls = list(recorder.calls)
    http = httpx.Client(base_url=shop.url("product"), timeout=20)
    path = f"/products/{SKU}"
    etag = http.get(path).raise_for_status().headers.get("ETag")

    def ask(headers: dict[str, str]) -> float:
        def load() -> None:
            for _ in range(sizes.number):
                http.get(path, headers=headers)

        return milliseconds(lambda: shop.cpu("product"), load, sizes.number)

    ask({})
    plain, conditional = [], []
    for _ in range(sizes.rounds):
        bare = bare_seconds(calls, sizes.number // RECORDED) / RECORDED * 1000
        plain.append(ask({}) / bare)
        if etag:
            conditional.append(ask({"If-None-Match": etag}) / bare)
    http.close()
    what = "GET /products/{sku}: CPU ÷ that of one GetItem"
    again = statistics.median(conditional) if conditional else float("inf")
    return table(
        HEAD,
        [
            Bound(1.6, 1.3).row(what, statistics.median(plain), spread(plain)),
            Bound(0.5, 0.3).row(
                f"{what}, answered with 304", again, spread(conditional) if conditional else "no ETag"
            ),
        ],
    )


def whole(shop: Measured, sizes: Sizes) -> str:
    """A whole order: CPU, AWS calls, time, and the memory and idle time of all processes."""
    own = [
        milliseconds(shop.cpu, lambda: shop.shipped(shop.place(sizes.number)), sizes.number)
        for _ in range(sizes.rounds)
    ]
    memory = _memory(shop, sizes.number * sizes.rounds)
    say_aside(f"idle for {sizes.idle:.0f} s")
    idle = milliseconds(shop.cpu, lambda: time.sleep(sizes.idle), 1) / 10 / sizes.idle
    with recording(shop) as recorder:
        shop.shipped([shop.place_one()])
        recorder.calls.clear()
        shop.shipped(shop.place(RECORDED))
        calls = [call for call in recorder.calls if call.process]
    bare = bare_seconds(calls, max(1, sizes.number // RECORDED // 5)) / RECORDED * 1000
    ratio = [each / bare for each in own]
    number, empty = len(calls) / RECORDED, sum(map(is_empty_poll, calls)) / RECORDED
    middle = statistics.median
    rows = [
        Bound(40, 25, "ms").row(
            "whole order: CPU of all shop processes, telemetry on", middle(own), spread(own, 1, " ms")
        ),
        Bound(36, 26).row("AWS calls", number, f"{number:.1f}, of these polls without a message {empty:.1f}"),
        Bound(1.4, 1.2).row(
            "CPU ÷ that of its bare calls", middle(ratio), f"{spread(ratio)}; ÷ {bare:.1f} ms"
        ),
        *memory,
        Bound(1, 0.3, "% of a core").row("idle CPU of all shop processes", idle, f"{idle:.2f} % of a core"),
    ]
    return "\n".join(
        [table(HEAD, rows), table(("process", "operation", "calls per order"), counted(calls, RECORDED))]
    )


def _memory(shop: Measured, placed: int) -> list[Row]:
    bounds = {"API": Bound(110, 90, "MiB"), "consumer": Bound(75, 60, "MiB"), "relay": Bound(70, 55, "MiB")}
    found: dict[str, list[tuple[float, str]]] = {kind: [] for kind in bounds}
    for name in shop.names:
        parts = shop.resident(name)
        text = " + ".join(f"{each:.0f}" for each in parts)
        found[shop.shop.programs[name].worker or "API"].append((sum(parts), f"{name}: {text} MiB"))
    return [
        bound.row(f"RSS after {placed} orders: the largest {kind}", *max(found[kind]))
        for kind, bound in bounds.items()
        if found[kind]
    ]


def bare_seconds(calls: Sequence[Call], times: int) -> float:
    """The CPU seconds that boto3 alone takes for calls, with the responses that were recorded."""
    with tempfile.TemporaryDirectory() as folder, Repeater([call.response for call in calls]) as repeater:
        file = Path(folder) / "calls.json"
        file.write_text(json.dumps(list(replayed(calls))), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "shopdev.bench.shop.bare", repeater.url, str(file), str(max(1, times))],
            env={"PATH": "", "PYTHONPATH": str(ROOT / "dev"), **client_environment(repeater.url)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return float(done.stdout)


def milliseconds(cpu: Callable[[], float], load: Callable[[], object], number: int) -> float:
    """The CPU milliseconds that a load takes, per item."""
    before = cpu()
    load()
    return (cpu() - before) / number * 1000
