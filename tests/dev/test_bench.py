"""The calculations of the benchmark; the measurements are not tested here."""

import importlib

import pytest

from shopdev.bench.cli import BENCHMARKS
from shopdev.bench.drift import at, leaves, others
from shopdev.bench.figures import Bound, Run, percentile, spread, table
from shopdev.bench.hotspots import Function, package
from shopdev.bench.loads import Arrivals


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_has_options_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"shopdev.bench.{name}").main(["--help"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: dev/bench {name} ")


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
def test_a_figure_is_compared_with_its_required_and_its_intended_bound(
    value: float, more: bool, verdict: str
) -> None:
    must, aim = (5, 8) if more else (8, 5)

    assert Bound(must, aim, more=more).met(value) == verdict


def test_a_row_contains_the_required_bound_of_a_figure() -> None:
    assert Bound(8, 5, "ms").row("CPU", 6.0, "6.0 ms") == ("CPU", "6.0 ms", "≤ 8 ms", "≤ 5 ms", "must")
    assert Bound(0, 0).row("writes", 1, "1") == ("writes", "1", "0", "0", "MISSED")


def test_a_spread_names_the_median_and_both_ends() -> None:
    assert spread([3.0, 1.0, 2.5], 1, " ms") == "2.5 ms (1.0 to 3.0)"
    assert spread([3.0]) == "3.00"


def test_every_value_of_a_configuration_can_be_edited_except_its_identity() -> None:
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


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(100, 0, -1)]

    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.95) == 96
    assert percentile([3.0], 0.95) == 3


def test_all_are_reconciled_when_each_has_a_status_of_its_newest_generation() -> None:
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


def test_a_run_has_a_rate_and_a_table_is_markdown() -> None:
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
def test_every_function_of_a_profile_has_an_owner(function: Function, whose: str) -> None:
    assert package(function) == whose
