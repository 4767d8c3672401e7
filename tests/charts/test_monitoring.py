"""charts/shop-operator's alerts and dashboard: what fires when, on numbers that the operator really has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shop_operator.observability.metrics import Metrics
from shopdev.checkout import ROOT
from shopdev.cluster import tools
from tests.charts.alerts import asked, metric_names, played
from tests.charts.cluster import Cluster
from tests.charts.helm import Helm, Object, names, only

RUNBOOK: Final = ROOT / "docs/how-to/monitor-the-operator.md"
REFERENCE: Final = ROOT / "docs/reference/metrics.md"
DASHBOARD: Final = ROOT / "charts/shop-operator/dashboards/shop-operator.json"
OWN: Final = 'job="shop-operator-metrics",namespace="shop-operator"'
CASES: Final = yaml.safe_load((ROOT / "tests/charts/alerts.yaml").read_text().replace("{OWN", f"{{{OWN}"))
# What Prometheus itself adds for every target.
OF_PROMETHEUS: Final = frozenset({"up"})


@pytest.fixture(scope="session")
def rendered(helm: Helm) -> list[Object]:
    """The release with all of its monitoring."""
    values = {
        "metrics": {"serviceMonitor": {"enabled": True}},
        "monitoring": {"rules": {"enabled": True}, "dashboard": {"enabled": True}},
    }
    return helm.template("shop-operator", values, namespace="shop-operator")


@pytest.fixture(scope="session")
def rules(rendered: list[Object]) -> list[dict[str, Any]]:
    return [rule for group in only(rendered, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]


@pytest.fixture(scope="session")
def rule_file(rendered: list[Object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules as Prometheus reads them from a file."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(only(rendered, "PrometheusRule")["spec"]))
    return path


@pytest.fixture(scope="session")
def exposed() -> frozenset[str]:
    """The name of every series of an operator to which everything has happened once."""
    metrics = Metrics(lease="shop-operator")
    metrics.leading(leads=True)
    metrics.request("GET", 200)
    metrics.answered("GET", 0.1)
    metrics.workers(16)
    metrics.listen(lambda: {"Service": 1.0})
    metrics.unreadable("Service", 1)
    metrics.reconciled("success", 0.1)
    metrics.wrote("Service", "create")
    metrics.drifted("Service")
    metrics.status("shop", "web", ready=False, stalled="Conflict")
    metrics.succeeded("shop", "web")
    metrics.failed("shop", "web")
    text = metrics.exposition().decode()
    return frozenset(re.match(r"[\w:]+", line)[0] for line in text.splitlines() if line[0] != "#")  # type: ignore[index]


def expressions() -> list[str]:
    """Every query of the dashboard, with the variables as Grafana fills them in."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [
        target["expr"]
        .replace("$__rate_interval", "2m")
        .replace("$namespace", "shop-operator")
        .replace("$job", "shop-operator-metrics")
        for panel in panels
        for target in panel.get("targets", ())
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['alert']}: {case['given']}")
def test_given_a_series_of_samples_then_the_alert_fires_as_expected(
    promtool: Path, rule_file: Path, rules: list[dict[str, Any]], case: dict[str, Any], tmp_path: Path
) -> None:
    answer = played(promtool, rule_file, rules, case, tmp_path, runbook=str(RUNBOOK.relative_to(ROOT)))

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['alert']}: {case['given']}")
def test_given_the_opposite_expectation_when_the_alert_is_evaluated_then_the_case_fails(
    promtool: Path, rule_file: Path, rules: list[dict[str, Any]], case: dict[str, Any], tmp_path: Path
) -> None:
    opposite = {**case, "fires": [] if case.get("fires") else [{"labels": {}, "description": ""}]}

    answer = played(promtool, rule_file, rules, opposite, tmp_path, runbook=str(RUNBOOK.relative_to(ROOT)))

    assert answer.returncode != 0


def test_given_the_alert_cases_then_every_series_is_a_string() -> None:
    values = [each for case in CASES for each in case["series"].values()]

    assert [each for each in values if not isinstance(each, str)] == [], "0x10 is 16 to YAML: quote it"


def test_given_every_alert_then_a_case_makes_it_fire_and_a_case_does_not(rules: list[dict[str, Any]]) -> None:
    alerts = {rule["alert"] for rule in rules}

    assert {case["alert"] for case in CASES if case.get("fires")} == alerts
    assert {case["alert"] for case in CASES if not case.get("fires")} == alerts


def test_given_the_rules_when_promtool_lints_them_then_it_reports_no_problem(
    promtool: Path, rule_file: Path
) -> None:
    answer = asked(promtool, "check", "rules", "--lint=all", "--lint-fatal", rule_file)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_given_the_crd_of_the_prometheus_operator_then_the_api_server_accepts_the_rules(
    rendered: list[Object], cluster: Cluster
) -> None:
    cluster.install_crds(
        tools.ensure("prometheus-operator-crds") / "monitoring.coreos.com_prometheusrules.yaml"
    )
    cluster.namespace("shop-operator")

    cluster.judge(only(rendered, "PrometheusRule"))


def test_given_every_query_of_the_dashboard_then_prometheus_parses_it(promtool: Path, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    found = [{"record": f"query:{i}", "expr": expr} for i, expr in enumerate(expressions())]
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": found}]}))

    answer = asked(promtool, "check", "rules", "--lint=all", "--lint-fatal", path)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{len(found)} rules found" in answer.stdout


def test_given_the_queries_of_dashboard_and_alerts_then_the_operator_exposes_their_metrics(
    rules: list[dict[str, Any]], exposed: frozenset[str]
) -> None:
    queries = [*expressions(), *(rule["expr"] for rule in rules)]

    read = {name for query in queries for name in metric_names(query)}

    assert read - exposed == OF_PROMETHEUS


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ('sum by (le, name) (rate(a_bucket{le="1.0",x=~"b|c"}[5m])) > 0.1', {"a_bucket"}),
        ("a == 1 and on (x) group_left (y) b or vector(0)", {"a", "b"}),
        ("rate (a[5m:1m]) / 1e3", {"a"}),
        ("absent(up{} == 1) unless a:b:rate5m offset 5m", {"up", "a:b:rate5m"}),
    ],
)
def test_given_an_expression_when_it_is_parsed_then_the_names_of_its_metrics_are_found(
    expression: str, found: set[str]
) -> None:
    assert metric_names(expression) == found


def test_given_every_alert_then_the_runbook_has_its_heading_and_the_alert_links_to_it(
    rules: list[dict[str, Any]],
) -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK.read_text(), re.MULTILINE)

    assert sorted(headings) == sorted({rule["alert"] for rule in rules})
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == (f"{RUNBOOK.relative_to(ROOT)}#{rule['alert'].lower()}")


def test_given_every_exposed_metric_then_the_reference_documents_it(exposed: frozenset[str]) -> None:
    documented = set(re.findall(r"^\| `([\w:]+)`", REFERENCE.read_text(), re.MULTILINE))

    assert documented == set(_without_suffixes(exposed))


def _without_suffixes(series: frozenset[str]) -> Iterator[str]:
    """Names of the metrics, with one name for a histogram and without the metrics of every Python process."""
    for name in series:
        if not name.startswith(("process_", "python_")) and not name.endswith("_created"):
            yield re.sub(r"_(bucket|sum|count)$", "", name)


def test_given_another_runbook_url_and_labels_then_rules_and_dashboard_have_them(helm: Helm) -> None:
    values = {
        "monitoring": {
            "rules": {
                "enabled": True,
                "labels": {"release": "prometheus"},
                "runbookUrl": "https://wiki.example/shop",
            },
            "dashboard": {"enabled": True, "labels": {"team": "shop"}},
        }
    }
    objects = helm.template("shop-operator", values, release="keeper", namespace="infra")

    rule, dashboard = only(objects, "PrometheusRule"), only(objects, "ConfigMap")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    first = rule["spec"]["groups"][0]["rules"][0]
    assert first["annotations"]["runbook_url"] == "https://wiki.example/shop#shopoperatordown"
    service = only(objects, "Service")["metadata"]
    assert f'job="{service["name"]}",namespace="{service["namespace"]}"' in first["expr"]
    assert dashboard["metadata"]["labels"].items() >= {"grafana_dashboard": "1", "team": "shop"}.items()


def test_given_the_dashboard_when_it_is_rendered_then_it_is_unchanged_and_fits_its_grid(
    rendered: list[Object],
) -> None:
    dashboard = json.loads(only(rendered, "ConfigMap")["data"]["shop-operator.json"])

    assert dashboard == json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken), "two panels lie on each other"
    assert max(x for x, _ in taken) < 24


def test_given_defaults_then_no_object_requires_prometheus_or_grafana(helm: Helm) -> None:
    kinds = {name.partition("/")[0] for name in names(helm.template("shop-operator", namespace="shop"))}

    assert not kinds & {"PrometheusRule", "ServiceMonitor", "ConfigMap"}
