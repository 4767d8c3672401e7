"""The objectives of the shop: each alert that the operator renders for charts/shop fires, and resolves."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.slos import Availability, QueueAge, Selector, Slo
from shop_operator.render import render
from shop_operator.render.slo.burn_rates import budget
from shop_operator.render.slo.queries import Scope
from shop_operator.render.slo.rules import BURN_ALERTS, MISSING_ALERT
from shop_operator.render.slo.rules import groups as groups_of
from shopdev.checkout import ROOT
from shopdev.codegen.slo.grafana import DASHBOARD
from shopdev.codegen.slo.objectives import RUNBOOK, Objective, objectives
from tests.charts.alerts import asked, metric_names
from tests.charts.cluster import Cluster
from tests.charts.helm import Helm, Object, only

FAST, SLOW = BURN_ALERTS["critical"], BURN_ALERTS["warning"]
PER_MINUTE: Final = 10_000
# Minutes. The longest of the short windows is 6 hours, and the rates that it averages are over 5 minutes.
FAILING: Final = 120
RECOVERED: Final = FAILING + 6 * 60 + 10
NAMES: Final = [each.name for each in objectives()]
ALERTS: Final = 'count by (alertname) (ALERTS{{alertstate="firing",service="{0}",slo="{1}"}})'
Groups = list[dict[str, Any]]


@pytest.fixture(scope="session")
def shops(helm: Helm) -> dict[str, ShopService]:
    return dict(_shops(helm.template("shop", {}, namespace="shop")))


def _shops(rendered: list[Object]) -> Iterator[tuple[str, ShopService]]:
    for each in rendered:
        if each["kind"] == "ShopService":
            name = each["metadata"]["name"]
            yield name, ShopService.from_object({**each, "metadata": {**each["metadata"], "uid": "u"}})


def rule_object(shop: ShopService) -> Object:
    return only(render(shop, live=None), "PrometheusRule")


@pytest.fixture(scope="session")
def groups(shops: dict[str, ShopService]) -> dict[str, Groups]:
    """The rules of each service."""
    return {name: rule_object(shop)["spec"]["groups"] for name, shop in shops.items()}


def _labels(selector: Selector | None) -> dict[str, str]:
    return {each.label: each.values[0] for each in selector or ()}


def _counter(bad: int) -> tuple[str, str]:
    """Values of the counters of bad and of good events: `bad` of them in each minute until FAILING, then none."""
    end = FAILING * bad
    good = PER_MINUTE - bad
    return (
        f"0+{bad}x{FAILING} {end}x{RECOVERED}",
        f"0+{good}x{FAILING} {FAILING * good}+{PER_MINUTE}x{RECOVERED}",
    )


def series(objective: Objective, share: float) -> dict[str, str]:
    """The time series of a service of which this share is bad for two hours, and which then recovers."""
    found = objective.slo.indicator.measured
    job = f'namespace="shop",job="{objective.service}",pod="a"'
    bad, good = _counter(round(PER_MINUTE * share))
    if isinstance(found, QueueAge):
        every = round(1 / share)
        ages = " ".join("120" if minute % every == 0 else "0" for minute in range(FAILING))
        consumer = job.replace('job="', 'job="shop/')
        return {f"{found.metric}{{{consumer}}}": f"{ages} 0x{RECOVERED}"}
    labels = ",".join([job, *(f'{name}="{value}"' for name, value in _labels(found.selector).items())])
    if isinstance(found, Availability):
        return {
            f'{found.metric}{{{labels},status="503"}}': bad,
            f'{found.metric}{{{labels},status="200"}}': good,
        }
    bound = float(found.threshold_ms / 1000)
    return {
        f"{found.metric}_count{{{labels}}}": f"0+{PER_MINUTE}x{FAILING + RECOVERED}",
        f'{found.metric}_bucket{{{labels},le="{bound}"}}': good,
    }


def fires(at: int, *alerts: str) -> tuple[int, tuple[str, ...]]:
    return at, alerts


def played(
    promtool: Path,
    groups: Groups,
    objective: Objective,
    given: dict[str, str],
    *expected: tuple[int, tuple[str, ...]],
    folder: Path,
) -> str:
    """The complaint of promtool; empty if at each minute exactly the expected alerts fire."""
    own = [each for each in groups if each["name"].removesuffix("-slow") == objective.name]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": own}))
    checks = [
        {
            "expr": ALERTS.format(objective.service, objective.slo.name),
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": f'{{alertname="{each}"}}', "value": 1} for each in alerts],
        }
        for minute, alerts in expected
    ]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in given.items()],
        "promql_expr_test": checks,
    }
    path = folder / "test.yaml"
    path.write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]})
    )
    answer = asked(promtool, "test", "rules", path)
    return "" if answer.returncode == 0 else answer.stdout + answer.stderr


@pytest.fixture
def play(promtool: Path, groups: dict[str, Groups], tmp_path: Path) -> Callable[..., str]:
    def run(objective: Objective, given: dict[str, str], *expected: tuple[int, tuple[str, ...]]) -> str:
        return played(promtool, groups[objective.service], objective, given, *expected, folder=tmp_path)

    return run


@pytest.mark.parametrize("objective", objectives(), ids=NAMES)
def test_given_a_total_failure_then_both_alerts_fire_and_the_fast_one_resolves_within_the_hour(
    play: Callable[..., str], objective: Objective
) -> None:
    expected = (
        fires(FAILING - 60, FAST, SLOW),
        # The shorter window of the second burn rate is 30 minutes.
        fires(FAILING + 40, SLOW),
    )

    assert play(objective, series(objective, 1), *expected) == ""


@pytest.mark.parametrize("objective", objectives(), ids=NAMES)
def test_given_twice_the_allowed_errors_then_only_the_slow_alert_fires_and_it_resolves(
    play: Callable[..., str], objective: Objective
) -> None:
    share = 2 * float(budget(objective.slo.objective))

    assert play(objective, series(objective, share), fires(FAILING - 10, SLOW), fires(RECOVERED)) == ""


@pytest.mark.parametrize("objective", objectives(), ids=NAMES)
def test_given_half_of_the_allowed_errors_then_no_alert_fires(
    play: Callable[..., str], objective: Objective
) -> None:
    share = float(budget(objective.slo.objective)) / 2

    # After the first minutes, in which one bad minute of a queue is a large share.
    assert play(objective, series(objective, share), fires(FAILING - 10), fires(RECOVERED)) == ""


@pytest.mark.parametrize("objective", objectives(), ids=NAMES)
def test_given_an_indicator_without_its_time_series_then_an_alert_fires_until_they_exist(
    play: Callable[..., str], objective: Objective
) -> None:
    found = objective.slo.indicator.measured
    given = series(objective, 0.0001 if isinstance(found, QueueAge) else 0)
    late = {
        name: f"_x30 {values}" if isinstance(found, QueueAge) or "_bucket" in name else values
        for name, values in given.items()
    }
    missing = () if isinstance(found, Availability) else (MISSING_ALERT,)

    # The alert itself waits for 15 minutes.
    complaint = play(objective, late, fires(10), fires(25, *missing), fires(RECOVERED))

    assert complaint == ""


QUEUES: Final = [each for each in objectives() if isinstance(each.slo.indicator.measured, QueueAge)]


@pytest.mark.parametrize("objective", QUEUES, ids=lambda each: each.name)
def test_given_consumers_of_which_none_can_read_its_queue_then_the_indicator_is_missing_until_one_can(
    play: Callable[..., str], objective: Objective
) -> None:
    (name,) = series(objective, 1)
    other = name.replace('pod="a"', 'pod="b"')
    unknown = " ".join("NaN" for _ in range(30))

    given = {name: f"{unknown} {unknown}", other: f"{unknown} 0x30"}

    assert play(objective, given, fires(10), fires(25, MISSING_ALERT), fires(35)) == ""


def test_given_a_wrong_expectation_then_promtool_complains(play: Callable[..., str]) -> None:
    objective = objectives()[0]

    assert "FAILED" in play(objective, series(objective, 1), fires(FAILING - 60, FAST))


def test_given_the_rules_when_promtool_lints_them_then_it_reports_no_problem(
    promtool: Path, groups: dict[str, Groups], tmp_path: Path
) -> None:
    for service, found in groups.items():
        (tmp_path / f"{service}.yaml").write_text(yaml.safe_dump({"groups": found}))

    answer = asked(promtool, "check", "rules", "--lint=all", "--lint-fatal", *sorted(tmp_path.glob("*.yaml")))

    assert answer.returncode == 0, answer.stdout + answer.stderr


# The words of the language, and the numbers that are words.
WORDS: Final = (
    *(
        "and",
        "or",
        "unless",
        "atan2",
        "sum",
        "avg",
        "count",
        "min",
        "max",
        "group",
        "stddev",
        "stdvar",
        "topk",
    ),
    *("bottomk", "count_values", "quantile", "limitk", "limit_ratio", "offset", "smoothed", "anchored", "by"),
    *("without", "on", "ignoring", "group_left", "group_right", "fill", "fill_left", "fill_right", "bool"),
    *("start", "end", "step", "range", "max_of", "min_of", "inf", "nan", "rate", "time"),
)


def test_given_metrics_and_labels_that_are_words_of_promql_then_promtool_accepts_the_rules_as_about_them(
    promtool: Path, tmp_path: Path
) -> None:
    found: Groups = []
    for word in (*WORDS, *(each.title() for each in WORDS), *(each.upper() for each in WORDS)):
        selector = [{"label": word, "values": ["1"]}]
        measured = [
            {"availability": {"metric": word, "errorLabel": word, "selector": selector}},
            {"latency": {"metric": word, "thresholdMs": 250, "selector": selector}},
            {"queueAge": {"metric": word, "thresholdSeconds": 60, "selector": selector}},
        ]
        for number, indicator in enumerate(measured):
            slo = Slo.model_validate(
                {"name": f"slo-{number}-{len(found)}", "objective": "99", "indicator": indicator}
            )
            found += groups_of(slo, Scope("shop", "order"), "30s")
    (tmp_path / "words.yaml").write_text(yaml.safe_dump({"groups": found}))

    answer = asked(promtool, "check", "rules", "--lint=all", "--lint-fatal", tmp_path / "words.yaml")

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("word", ["on", "NaN", "sum"])
def test_given_a_queue_metric_that_is_a_word_of_promql_then_its_value_is_measured(
    promtool: Path, tmp_path: Path, word: str
) -> None:
    indicator = {"queueAge": {"metric": word, "thresholdSeconds": 60}}
    slo = Slo.model_validate({"name": "queue-age", "objective": "99", "indicator": indicator})
    objective = Objective("order", (), "", {}, slo)
    age = {f'{{__name__="{word}",namespace="shop",job="shop/order"}}': f"120x{FAILING}"}

    complaint = played(
        promtool,
        groups_of(slo, Scope("shop", "order"), "30s"),
        objective,
        age,
        fires(FAILING - 60, FAST, SLOW),
        folder=tmp_path,
    )

    assert complaint == ""


def test_given_every_alert_then_it_links_to_a_section_of_the_runbook_and_every_section_has_alerts(
    groups: dict[str, Groups],
) -> None:
    headings = re.findall(r"^### ([\w-]+)$", (ROOT / RUNBOOK).read_text(), re.MULTILINE)
    links = {
        rule["annotations"]["runbook_url"]
        for found in groups.values()
        for group in found
        for rule in group["rules"]
        if "alert" in rule
    }

    assert headings == NAMES
    assert links == {f"{RUNBOOK}#{each}" for each in NAMES}


def test_given_a_window_for_all_services_then_every_alert_has_windows_in_proportion(helm: Helm) -> None:
    values = {"global": {"slos": {"window": "12h"}}}
    made = dict(_shops(helm.template("shop", values, namespace="shop")))

    text = json.dumps([rule_object(each)["spec"] for each in made.values()])

    # A sixtieth of 3 days; the shortest window holds four scrapes.
    assert 'window=\\"72m\\"' in text
    assert "[2m]" in text
    assert "[3d]" not in text


def test_given_the_rules_then_a_real_api_server_accepts_them(
    cluster: Cluster, shops: dict[str, ShopService]
) -> None:
    made = [rule_object(shop) for shop in shops.values()]

    cluster.namespace("shop")
    cluster.judge(*made)


def test_given_the_dashboard_then_its_queries_are_valid_and_read_what_the_rules_record(
    promtool: Path, helm: Helm, groups: dict[str, Groups]
) -> None:
    values = {"monitoring": {"dashboard": {"enabled": True, "labels": {"team": "shop"}}}}
    config = only(helm.template("shop", values, namespace="shop"), "ConfigMap")
    assert config["metadata"]["labels"].items() >= {"grafana_dashboard": "1", "team": "shop"}.items()
    dashboard = json.loads(config["data"]["objectives.json"])
    assert dashboard == json.loads(DASHBOARD.read_text())
    recorded = {
        rule["record"]
        for found in groups.values()
        for group in found
        for rule in group["rules"]
        if "record" in rule
    }

    for panel in dashboard["panels"]:
        (target,) = panel["targets"]
        # Queries of promtool would need a server; formatting them needs none.
        answer = asked(promtool, "--experimental", "promql", "format", target["expr"])
        assert answer.returncode == 0, answer.stderr
        assert metric_names(target["expr"]) <= recorded | {"ALERTS"}


def test_given_defaults_then_no_dashboard_is_rendered(helm: Helm) -> None:
    assert not [each for each in helm.template("shop", {}, namespace="shop") if each["kind"] == "ConfigMap"]
