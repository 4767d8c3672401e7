"""charts/shop's alerts: what fires when, on numbers that the services really have."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from chartdocs.outputs import ROOT
from services.common import telemetry
from tests.charts.alerts import asked, metric_names, played
from tests.charts.helm import Helm, Object, only

RUNBOOK: Final = "docs/how-to/look-after-orders.md"
OF_PROVIDER: Final = 'guarded_circuit_open{namespace="shop",name="payment-provider"'
FIRING: Final = {
    "labels": {"namespace": "shop", "name": "payment-provider", "severity": "critical"},
    "description": "The circuit of payment-provider in shop has been open for 2 minutes because calls failed. "
    "Orders wait for it.",
}
CASES: Final[list[dict[str, Any]]] = [
    {
        "given": "one of two pods is refused its calls",
        "series": {f'{OF_PROVIDER},pod="a"}}': "1x10", f'{OF_PROVIDER},pod="b"}}': "0x10"},
        "fires": [FIRING],
    },
    {"given": "every call succeeds", "series": {f'{OF_PROVIDER},pod="a"}}': "0x10"}},
    {"given": "the circuit was open for a minute", "series": {f'{OF_PROVIDER},pod="a"}}': "0x2 1 0x10"}},
    {
        "given": "the shop of another namespace",
        "series": {'guarded_circuit_open{namespace="other",name="payment-provider"}': "1x10"},
    },
]


@pytest.fixture(scope="session")
def rendered(helm: Helm) -> list[Object]:
    values = {"monitoring": {"rules": {"enabled": True, "labels": {"release": "prometheus"}}}}
    return helm.template("shop", values, namespace="shop")


@pytest.fixture(scope="session")
def rules(rendered: list[Object]) -> list[dict[str, Any]]:
    return [rule for group in only(rendered, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]


@pytest.fixture(scope="session")
def rule_file(rendered: list[Object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules as Prometheus reads them from a file."""
    path = tmp_path_factory.mktemp("shop-rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(only(rendered, "PrometheusRule")["spec"]))
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["given"])
def test_given_these_numbers_then_the_alert_fires_or_not(
    promtool: Path, rule_file: Path, rules: list[dict[str, Any]], case: dict[str, Any], tmp_path: Path
) -> None:
    case = {"alert": "ShopCircuitOpen", "at": "6m", **case}

    answer = played(promtool, rule_file, rules, case, tmp_path, runbook=RUNBOOK)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_promtool_finds_nothing_wrong_with_the_rules(promtool: Path, rule_file: Path) -> None:
    answer = asked(promtool, "check", "rules", "--lint=all", "--lint-fatal", rule_file)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_metric_of_the_alerts_is_one_that_the_services_have(rules: list[dict[str, Any]]) -> None:
    (known,) = telemetry.CIRCUITS_OPEN.collect()

    assert {name for rule in rules for name in metric_names(rule["expr"])} == {known.name}


def test_every_alert_has_its_heading_on_the_page_and_links_to_it(rules: list[dict[str, Any]]) -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / RUNBOOK).read_text(), re.MULTILINE)

    assert headings == [rule["alert"] for rule in rules]
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOK}#{rule['alert'].lower()}"


def test_given_nothing_else_then_there_are_no_rules_which_need_the_prometheus_operator(helm: Helm) -> None:
    rendered = helm.template("shop", {}, namespace="shop")

    assert not [each for each in rendered if each["kind"] == "PrometheusRule"]


def test_the_rules_have_the_labels_that_prometheus_selects_them_by(rendered: list[Object]) -> None:
    assert only(rendered, "PrometheusRule")["metadata"]["labels"]["release"] == "prometheus"
