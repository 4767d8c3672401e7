"""Measure the speed and memory of the operator in comparison with a bare loop that sends the same requests.

The loads use a real etcd and kube-apiserver on loopback, with TLS and without a controller manager. All of them are part of one run, so that
the ratios are meaningful on a shared machine. CPU times are those of the kernel. `make bench` runs everything in about 15 minutes;
`--quick` measures 100 ShopServices in two minutes. `make bench-large` only measures the growth to 10,000 ShopServices. The output is tables
in Markdown.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shopdev.bench.apiserver import (
    Api,
    cpu,
    resident,
    serving,
    shop_path,
)
from shopdev.bench.drift import Repairs, drift
from shopdev.bench.figures import HEAD, Bound, Run, percentile, spread, table
from shopdev.bench.hotspots import shares
from shopdev.bench.loads import (
    CHILDREN,
    REFUSED,
    answers,
    changes,
    create,
    floor,
    from_zero,
    plainly,
    refusing,
    shopservice,
    storm,
)
from shopdev.bench.processes import Launcher, own_python
from shopdev.cluster.progress import ClusterError
from shopdev.console import say_aside

ROUNDS = 3
STORM_SHOPS, STORM_TIMES = 30, 200
CHANGES = 200
_SIZES = (
    "ShopServices",
    "from zero",
    "operator CPU",
    "API server CPU",
    "RSS",
    "restart: CPU",
    "restart: writes",
    "RSS after restart",
)

Row = tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """Measure in several rounds the bare loop, the operator, and the operator with a failing ShopService; plain kopf once."""

    floors: Sequence[Run]
    runs: Sequence[Run]
    beside: Sequence[Run]
    plain: Run


async def compare(api: Api, launcher: Launcher, number: int, rounds: int) -> Compared:
    """Measure with this number of ShopServices, on one API server."""
    say_aside("warming up")
    await floor(api, 50)
    floors, runs, beside = [], [], []
    for each in range(1, rounds + 1):
        say_aside(
            f"round {each} of {rounds}: the bare loop, the operator, the operator with a failing ShopService"
        )
        floors.append(await floor(api, number))
        runs.append(await _once(api, launcher, number))
        async with refusing(api):
            beside.append(await _once(api, launcher, number, failing=True))
    say_aside("kopf used plainly")
    namespace = await api.fresh()
    with launcher.plain() as plain:
        await answers(api, namespace)
        other = await plainly(api, plain, namespace, number)
    await api.emptied(namespace)
    return Compared(floors, runs, beside, other)


async def _once(api: Api, launcher: Launcher, number: int, *, failing: bool = False) -> Run:
    namespace = await api.fresh()
    with launcher.operator() as operator:
        await answers(api, namespace)
        await operator.quiet()
        retries = operator.metric("workqueue_retries_total")
        if failing:
            await create_refused(api, namespace)
        run = await from_zero(api, operator, namespace, number)
        if failing and operator.metric("workqueue_retries_total") < retries + 3:
            raise RuntimeError("the ShopService that should fail did not fail")
    await api.emptied(namespace)
    return run


async def create_refused(api: Api, namespace: str) -> None:
    """A ShopService with a child that the API server refuses to write."""
    await api.call("POST", shop_path(namespace), shopservice(namespace, REFUSED))


def compared_rows(found: Compared) -> list[Row]:
    """The operator in comparison with the bare loop. A ratio compares the results of one round."""
    pairs = list(zip(found.floors, found.runs, strict=True))
    rate = [run.rate / bare.rate for bare, run in pairs]
    own = [run.own_ms / bare.own_ms for bare, run in pairs]
    server = [run.server_ms / bare.server_ms for bare, run in pairs]
    beyond = [run.writes / run.number - len(CHILDREN) for run in found.runs]
    reads = [run.reads / run.number for run in found.runs]
    beside = [failing.rate / run.rate for failing, run in zip(found.beside, found.runs, strict=True)]
    empty = [run.resident for run in found.runs]
    middle = statistics.median
    return [
        Bound(0.85, 0.95, more=True).row("rate ÷ that of the bare loop", middle(rate), spread(rate)),
        Bound(2, 1.5).row(
            "operator CPU for each new ShopService ÷ that of the bare loop", middle(own), spread(own)
        ),
        Bound(1.4, 1.2).row("API server CPU ÷ that of the bare loop", middle(server), spread(server)),
        Bound(2, 1).row("writes in addition to the children", round(middle(beyond), 2), spread(beyond)),
        Bound(0, 0).row("uncached reads", middle(reads), spread(reads)),
        Bound(0.9, 1, more=True).row(
            "rate with a permanently failing ShopService ÷ without", middle(beside), spread(beside)
        ),
        Bound(60, 45, "MB").row("RSS at start with none", middle(empty), spread(empty, 0, " MB")),
    ]


def drift_rows(found: dict[str, Repairs]) -> list[Row]:
    """The time until the operator restores children that others changed."""
    deleted = [took for each in found.values() for took in each.deleted]
    edited = [took for each in found.values() for took in each.edited]
    missed = [f"{kind} {path}" for kind, each in found.items() for path in each.missed]
    bound = Bound(1, 0.2, "s")
    return [
        bound.row(
            f"each of {len(found)} kinds deleted: longest time until recreated",
            max(deleted),
            f"{max(deleted):.2f} s",
        ),
        bound.row(
            f"each of {len(edited) + len(missed)} owned fields edited: longest time until reverted",
            max(edited),
            f"{max(edited):.2f} s",
        ),
        Bound(0, 0).row("owned fields never reverted", len(missed), ", ".join(missed) or "0"),
    ]


async def storm_rows(api: Api, launcher: Launcher) -> list[Row]:
    """The cost of the events of a rollout."""
    namespace = await api.fresh()
    with launcher.operator() as operator:
        await answers(api, namespace)
        await create(api, namespace, STORM_SHOPS)
        await operator.quiet()
        found = await storm(api, operator, namespace, STORM_SHOPS, STORM_TIMES)
    await api.emptied(namespace)
    return [
        Bound(1, 1).row(
            f"{found.events} status events of {STORM_SHOPS} in {found.seconds:.0f} s:"
            " maximum status writes per second of one ShopService",
            round(found.rate, 2),
            f"{found.rate:.2f}",
        ),
        Bound(0, 0).row("applies during these events", found.applies, f"{found.applies:.0f}"),
    ]


@dataclass(frozen=True)
class Grown:
    """The cost of a number of ShopServices."""

    run: Run
    resident: float
    restart: float
    writes: float
    resident_after: float

    @property
    def row(self) -> Row:
        """The row of the growth table."""
        return (
            str(self.run.number),
            f"{self.run.rate:.0f}/s",
            f"{self.run.own_ms:.1f} ms each",
            f"{self.run.server_ms:.1f} ms each",
            f"{self.resident:.0f} MB",
            f"{self.restart:.1f} s ({self.restart / self.run.number * 1000:.1f} ms each)",
            f"{self.writes:.0f}",
            f"{self.resident_after:.0f} MB",
        )


async def growth(
    api: Api, launcher: Launcher, sizes: Sequence[int], idle: float
) -> tuple[list[Row], list[Row]]:
    """Measure several sizes; returns the rows of the growth table, and those of the last size."""
    *smaller, last = sizes
    grown = []
    for size in smaller:
        namespace = await api.fresh()
        grown.append((await grow(api, launcher, namespace, size, None))[0].row)
        await api.emptied(namespace)
    # Its objects stay: the API server would need longer than a request may take to delete 10,000 at once.
    each, rows = await grow(api, launcher, await api.fresh(), last, idle)
    return [*grown, each.row], rows


async def grow(
    api: Api, launcher: Launcher, namespace: str, size: int, idle: float | None
) -> tuple[Grown, list[Row]]:
    """Measure one size: the creation, a restart and, with `idle`, changes and idle time."""
    say_aside(f"growth: {size}")
    elsewhere = await api.fresh()
    with launcher.operator() as operator:
        await answers(api, elsewhere)
        await operator.quiet()
        run = await from_zero(api, operator, namespace, size)
        await operator.finished()
        first = resident(operator.pid)
    with launcher.operator() as operator:
        await operator.until(lambda: operator.metric("controller_runtime_reconcile_total") > size, 1)
        await operator.quiet()
        grown = Grown(run, first, cpu(operator.pid), operator.writes, resident(operator.pid))
        rows = [] if idle is None else await _at_size(api, namespace, grown)
    if idle is not None:
        rows.append(await _idle(launcher, size, idle))
    await api.emptied(elsewhere)
    return grown, rows


async def _at_size(api: Api, namespace: str, grown: Grown) -> list[Row]:
    size = grown.run.number
    say_aside(f"with {size}: {CHANGES} changes")
    took = await changes(api, namespace, size, CHANGES)
    p95 = percentile(took, 0.95)
    memory = Bound(85, 70, "MB")
    return [
        Bound(0, 0).row(f"restart over {size}: writes", grown.writes, f"{grown.writes:.0f}"),
        Bound(5, 2.5, "s").row(f"restart over {size}: CPU", grown.restart, f"{grown.restart:.1f} s"),
        memory.row(f"RSS with {size}, from zero", grown.resident, f"{grown.resident:.0f} MB"),
        memory.row(
            f"RSS with {size}, after a restart", grown.resident_after, f"{grown.resident_after:.0f} MB"
        ),
        Bound(60, 25, "ms").row(
            f"a change with {size}, p95", p95, f"{p95:.0f} ms (median {statistics.median(took):.0f})"
        ),
    ]


async def _idle(launcher: Launcher, size: int, seconds: float) -> Row:
    """Measure the operator while it only renews its lease."""
    say_aside(f"with {size}: idle for {seconds:.0f} s")
    with launcher.operator("--leader-elect", "--lease-namespace", "default") as operator:
        await operator.leading()
        await operator.until(lambda: operator.metric("controller_runtime_reconcile_total") > size, 1)
        # Until the comparison after its start has ended.
        await operator.quiet(10)
        before = cpu(operator.pid)
        await asyncio.sleep(seconds)
        share = (cpu(operator.pid) - before) / seconds * 100
    return Bound(1, 0.3, "% of a core").row(f"idle with {size}", share, f"{share:.2f} % of a core")


async def profile(api: Api, launcher: Launcher, number: int, path: Path) -> list[Row]:
    """The shares of the operator's time while it reconciles new ShopServices. Profiling makes it about half as fast."""
    say_aside("profile")
    namespace = await api.fresh()
    with launcher.operator(profile=path) as operator:
        await answers(api, namespace)
        await operator.quiet()
        operator.profile()
        await from_zero(api, operator, namespace, number)
    await api.emptied(namespace)
    return [(name, f"{share:.1%}") for name, share in shares(path)[:20]]


async def measure(api: Api, launcher: Launcher, arguments: argparse.Namespace, folder: Path) -> None:
    """Run all loads in turn, then print the tables."""
    number = arguments.number
    found = await compare(api, launcher, number, arguments.rounds)
    say_aside("drift of every owned field")
    with launcher.operator() as operator:
        await answers(api, await api.fresh())
        repairs = await drift(api, operator)
    say_aside("a storm of status events")
    rows = [*compared_rows(found), *drift_rows(repairs), *await storm_rows(api, launcher)]
    spent = await profile(api, launcher, number, folder / "profile")
    grown, more = await growth(api, launcher, arguments.growth, arguments.idle)
    rows += more

    print(_machine())
    print(f"{number} new ShopServices of six children each, in {arguments.rounds} rounds:\n")
    print(table(HEAD, rows))
    print(
        table(
            ("", "ShopServices/s", "client CPU-ms each", "API server CPU-ms each"),
            [
                _beside("the bare loop", found.floors),
                _beside("this operator", found.runs),
                _beside("this operator, with a failing ShopService", found.beside),
                _beside("kopf used plainly", [found.plain]),
            ],
        )
    )
    kinds = (
        "kind",
        "recreated after",
        "fields edited",
        "reverted after (median, longest)",
        "rejected by the API server",
    )
    print(table(kinds, [_repaired(kind, each) for kind, each in sorted(repairs.items())]))
    print(table(_SIZES, grown))
    print(table(("code of", "share of CPU time"), spent))


async def measure_growth(api: Api, launcher: Launcher, arguments: argparse.Namespace) -> None:
    """Run only the loads that grow, then print their tables. No bounds are set for numbers of ShopServices other than 3,000."""
    grown, rows = await growth(api, launcher, arguments.growth, arguments.idle)
    print(_machine())
    print(table(_SIZES, grown))
    print(table(HEAD[:2], [row[:2] for row in rows]))


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}\n"


def _beside(name: str, runs: Sequence[Run]) -> Row:
    middle = statistics.median
    return (
        name,
        f"{middle(run.rate for run in runs):.0f}",
        f"{middle(run.own_ms for run in runs):.1f}",
        f"{middle(run.server_ms for run in runs):.1f}",
    )


def _repaired(kind: str, each: Repairs) -> Row:
    took = each.edited
    return (
        kind,
        f"{max(each.deleted):.2f} s",
        str(len(took) + len(each.missed)),
        f"{statistics.median(took):.2f} s, {max(took):.2f} s" if took else "",
        str(each.refused),
    )


async def run(arguments: argparse.Namespace) -> None:
    """Start the API server, run the loads and stop it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        say_aside("installing an interpreter with the operator's packages")
        python = own_python(folder / "venv")
        async with serving(folder / "plane") as api:
            launcher = Launcher(api.plane.kubeconfig, folder, python)
            if arguments.large:
                await measure_growth(api, launcher, arguments)
            else:
                await measure(api, launcher, arguments, folder)


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="dev/bench shopservices", description="Compare the operator with a bare loop."
    )
    parser.add_argument(
        "--number", type=int, default=300, help="ShopServices of the comparison (default: 300)"
    )
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help=f"rounds of the comparison (default: {ROUNDS})"
    )
    parser.add_argument(
        "--growth",
        type=int,
        nargs="+",
        help="numbers of ShopServices for the growth table (default: 100 300 1000 3000, with --large 3000 10000)",
    )
    parser.add_argument("--idle", type=float, default=60, help="seconds to measure while idle (default: 60)")
    parser.add_argument("--quick", action="store_true", help="measure only 100 ShopServices, in one round")
    parser.add_argument(
        "--large", action="store_true", help="measure only the growth to 10,000 ShopServices, without bounds"
    )
    arguments = parser.parse_args(argv)
    arguments.growth = arguments.growth or ([3000, 10_000] if arguments.large else [100, 300, 1000, 3000])
    if arguments.quick:
        arguments.number, arguments.rounds, arguments.growth, arguments.idle = 100, 1, [100], 5
    return arguments


def main(argv: Sequence[str]) -> int:
    """Print the tables and return the exit code."""
    arguments = parsed(argv)
    try:
        asyncio.run(run(arguments))
    except ClusterError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    return 0
