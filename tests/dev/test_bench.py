"""The calculations of the benchmark; the measurements are not tested here."""

import importlib
import json
import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from shopdev.bench import cli
from shopdev.bench.cli import BENCHMARKS
from shopdev.bench.drift import at, leaves, others
from shopdev.bench.figures import Bound, Run, percentile, spread, table
from shopdev.bench.hotspots import Function, package
from shopdev.bench.loads import Arrivals
from shopdev.bench.storefront import paint


@pytest.mark.parametrize("name", BENCHMARKS)
def test_given_a_benchmark_when_it_is_started_with_help_then_it_prints_its_own_usage(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"shopdev.bench.{name}").main(["--help"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: dev/bench {name} ")


@pytest.fixture
def _signals() -> Iterator[None]:
    """Restores the default action of SIGTERM, which a benchmark replaces."""
    yield
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.mark.usefixtures("_signals")
def test_given_a_benchmark_when_it_receives_sigterm_then_it_ends_by_an_exception_that_ends_its_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def terminated(_options: list[str]) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    monkeypatch.setattr(importlib, "import_module", lambda _name: SimpleNamespace(main=terminated))

    with pytest.raises(SystemExit) as ended:
        cli.main(["reload"])

    assert ended.value.code == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("value", "more", "verdict"),
    [
        (5, False, "aim"),
        (5.1, False, "must"),
        (8.1, False, "MISSED"),
        (8, True, "aim"),
        (4.9, True, "MISSED"),
    ],
)
def test_given_a_figure_when_it_is_compared_with_both_bounds_then_the_verdict_names_the_bound_that_it_meets(
    value: float, more: bool, verdict: str
) -> None:
    must, aim = (5, 8) if more else (8, 5)

    assert Bound(must, aim, more=more).met(value) == verdict


def test_given_a_figure_when_its_row_is_rendered_then_the_row_contains_its_bounds() -> None:
    assert Bound(8, 5, "ms").row("CPU", 6.0, "6.0 ms") == ("CPU", "6.0 ms", "≤ 8 ms", "≤ 5 ms", "must")
    assert Bound(0, 0).row("writes", 1, "1") == ("writes", "1", "0", "0", "MISSED")


def test_given_several_values_when_their_spread_is_printed_then_it_names_the_median_and_both_ends() -> None:
    assert spread([3.0, 1.0, 2.5], 1, " ms") == "2.5 ms (1.0 to 3.0)"
    assert spread([3.0]) == "3.00"


def test_given_a_configuration_when_its_leaves_are_listed_then_they_are_editable_and_exclude_its_identity() -> (
    None
):
    configuration = {
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"name": "web"}, "ownerReferences": [{"uid": "1"}]},
        "spec": {"ports": [{"port": 80, "protocol": "TCP"}], "on": True},
    }
    found = list(leaves(configuration))

    assert found == [
        ("metadata", "labels", "name"),
        ("spec", "ports", 0, "port"),
        ("spec", "ports", 0, "protocol"),
        ("spec", "on"),
    ]
    assert [next(others(at(configuration, each))) for each in found] == ["webx", 81, "UDP", False]
    assert list(others("128Mi")) == ["129Mi", "128Mix"]


def test_given_several_values_when_a_percentile_is_computed_then_it_is_one_of_them() -> None:
    values = [float(n) for n in range(100, 0, -1)]

    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.95) == 96
    assert percentile([3.0], 0.95) == 3


def test_given_expected_objects_then_all_have_arrived_only_with_a_status_of_their_newest_generation() -> None:
    arrivals = Arrivals(2)

    def seen(name: str, generation: int, observed: int | None) -> bool:
        status = {} if observed is None else {"status": {"observedGeneration": observed}}
        arrivals.seen({"metadata": {"name": name, "generation": generation}, **status})
        return arrivals.all.is_set()

    assert not seen("a", 1, None)
    assert not seen("a", 2, 1)
    assert not seen("a", 2, 2)
    assert not seen("a", 2, 2)
    assert seen("b", 1, 1)


def test_given_a_run_then_its_rate_and_times_are_computed_and_its_table_is_markdown() -> None:
    run = Run(number=300, seconds=6, server=3, own=1.5)

    assert (run.rate, run.server_ms, run.own_ms) == (50, 10, 5)
    assert table(["a", "b"], [[1, "x"]]) == "| a | b |\n| --- | --- |\n| 1 | x |\n"


@pytest.mark.parametrize(
    ("function", "whose"),
    [
        (("/x/operator/shop_operator/render/pod.py", 3, "pod"), "shop_operator.render.pod"),
        (("/x/lib/python3.11/site-packages/aiohttp/client.py", 3, "_request"), "aiohttp"),
        (("/x/lib/python3.11/asyncio/events.py", 3, "_run"), "Python: asyncio"),
        (("/x/lib/python3.11/ssl.py", 3, "read"), "Python: ssl"),
        (("~", 0, "<built-in method orjson.loads>"), "Python: orjson"),
        (("~", 0, "<built-in method builtins.len>"), "Python: builtins"),
        (("~", 0, "<method 'read' of '_ssl._SSLSocket' objects>"), "Python: _ssl"),
        (("~", 0, "<method 'get' of 'dict' objects>"), "Python: dict"),
    ],
)
def test_given_a_function_of_a_profile_then_its_package_is_known(function: Function, whose: str) -> None:
    assert package(function) == whose


def test_given_a_trace_when_read_then_the_paint_is_that_of_the_navigation_to_the_url() -> None:
    trace = {
        "traceEvents": [
            {"name": "navigationStart", "ts": 5, "args": {"data": {"navigationId": "icon"}}},
            {
                "name": "navigationStart",
                "ts": 1000,
                "args": {"data": {"navigationId": "page", "documentLoaderURL": "http://127.0.0.1/"}},
            },
            {"name": "firstContentfulPaint", "ts": 2000, "args": {"data": {"navigationId": "icon"}}},
            {"name": "firstContentfulPaint", "ts": 251_000, "args": {"data": {"navigationId": "page"}}},
        ]
    }

    assert paint(json.dumps(trace).encode(), "http://127.0.0.1/") == 250
    with pytest.raises(ValueError, match="no first contentful paint"):
        paint(json.dumps(trace).encode(), "http://127.0.0.1/other")
