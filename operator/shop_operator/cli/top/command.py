"""`kubectl shop top`: prints the traffic, the queues and the resources of ShopServices."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import click
from rich.live import Live
from rich.text import Text

from shop_operator.cli import views
from shop_operator.cli.settings import Command, Settings, ShopName, names
from shop_operator.cli.top import sources
from shop_operator.cli.top.prometheus import Ask
from shop_operator.cli.top.prometheus import option as prometheus_option
from shop_operator.cli.top.rows import HEAD, Known, Object, Row, rows
from shop_operator.cli.top.sources import Missing, Scraped
from shop_operator.wording import printable

WINDOW: Final = "2m"


@click.command(cls=Command)
@click.argument("names", metavar="[NAME]...", type=ShopName(), nargs=-1, shell_complete=names)
@click.option("-w", "--watch", is_flag=True, help="Print again every interval until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(1, 300),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two scrapes of the pods, and between two tables of --watch.",
)
@prometheus_option
@click.option("--scrape", is_flag=True, help="Scrape the pods even if the cluster has a Prometheus.")
@click.pass_obj
def top(
    obj: Settings,
    names: Sequence[str],
    watch: bool,  # noqa: FBT001  click hands flags over by name
    interval: float,
    prometheus: str | None,
    scrape: bool,  # noqa: FBT001  click hands flags over by name
) -> None:
    """Show the traffic, the queue and the resources of each web workload and worker.

    RATE, ERRORS and P95 are those of HTTP requests, or of messages for a worker. QUEUE is the number of messages, and AGE the
    age of the oldest that is being processed. CPU and MEMORY are compared with the requests of the pods. A value that is
    unknown is shown as -, and a line on standard error names the missing source.

    Without a Prometheus, the pods are scraped twice.
    """
    if scrape and prometheus is not None:
        raise click.UsageError("use either --prometheus or --scrape")
    namespace = None if obj.everywhere and not names else obj.namespace
    ask = None if scrape else sources.prometheus_of(obj.cluster, namespace, prometheus)
    shops = _chosen(obj, namespace, names)
    if not shops:
        obj.show([], obj.say_none)
        return
    tables = _tables(obj, namespace, names, interval, ask)
    if watch:
        with contextlib.suppress(KeyboardInterrupt):
            _watch(obj, tables)
        return
    found, missing = next(tables)
    obj.show([each.to_dict() for each in found], lambda: _print(obj, found))
    _report(missing)


def _chosen(obj: Settings, namespace: str | None, names: Sequence[str]) -> list[dict[str, Any]]:
    if names:
        return [obj.cluster.shop(obj.namespace, each) for each in dict.fromkeys(names)]
    return obj.cluster.shops(namespace)


def _tables(
    obj: Settings, namespace: str | None, names: Sequence[str], interval: float, ask: Ask | None
) -> Iterator[tuple[list[Row], Missing]]:
    """The rows, again after every interval, with the sources that are missing."""
    read: Callable[[Sequence[Object], Sequence[Object], Missing], Known]
    if ask is None:
        read = _scraping(obj, interval)
    else:
        read = lambda _shops, _pods, missing: sources.from_prometheus(ask, namespace, WINDOW, missing)  # noqa: E731
    while True:
        missing = Missing()
        shops = _chosen(obj, namespace, names)
        known = sources.known(
            obj.cluster,
            namespace,
            missing,
            lambda pods: read(shops, pods, missing),  # noqa: B023  called at once
        )
        yield list(rows(shops, known)), missing
        if ask is not None:
            time.sleep(interval)


def _scraping(
    obj: Settings, interval: float
) -> Callable[[Sequence[Object], Sequence[Object], Missing], Known]:
    """A function that returns the traffic since the scrape before. The first call scrapes twice."""
    before: Scraped | None = None

    def read(shops: Sequence[Object], pods: Sequence[Object], missing: Missing) -> Known:
        nonlocal before
        if before is None:
            before = sources.scrape(obj.cluster, shops, pods, Missing())
        time.sleep(interval)
        after = sources.scrape(obj.cluster, shops, pods, missing)
        found, before = sources.between(before, after), after
        return found

    return read


def _lines(obj: Settings, found: Sequence[Row]) -> list[str]:
    first = 0 if obj.everywhere else 1
    return [printable(line) for line in views.aligned([HEAD, *(each.cells() for each in found)], None, first)]


def _print(obj: Settings, found: Sequence[Row]) -> None:
    for index, line in enumerate(_lines(obj, found)):
        obj.say(line, "bold" if index == 0 else None)


def _watch(obj: Settings, tables: Iterator[tuple[list[Row], Missing]]) -> None:
    """Print a table that is redrawn on a terminal; otherwise, one after the other."""
    if obj.is_table and sys.stdout.isatty():
        with Live(console=obj.console, auto_refresh=False) as live:
            for found, missing in tables:
                said = [f"Missing: {missing}"] if missing.reasons else []
                live.update(Text("\n".join([*_lines(obj, found), *map(printable, said)])), refresh=True)
    reported = ""
    for found, missing in tables:
        if obj.is_table:
            _print(obj, found)
        else:
            obj.show_next([each.to_dict() for each in found])
        sys.stdout.flush()
        if str(missing) != reported:
            _report(missing)
            reported = str(missing)


def _report(missing: Missing) -> None:
    if missing.reasons:
        click.echo(printable(f"kubectl shop: missing: {missing}."), err=True)
