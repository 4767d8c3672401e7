"""charts/shop's alerts: what fires when, on numbers that the services really have."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from services.common.telemetry import metrics
from shopdev.checkout import ROOT
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

OUTBOX: Final = 'outbox_oldest_seconds{namespace="shop",job="order-relay"'
UNREADABLE: Final = 'unreadable_rows_total{namespace="shop",job="order",kind="order",pod="a"}'
CRONJOB: Final = '{namespace="shop",cronjob="shop-reconciler"}'
SUCCEEDED: Final = f"kube_cronjob_status_last_successful_time{CRONJOB}"
DUE: Final = f"kube_cronjob_next_schedule_time{CRONJOB}"


def job(number: int, started: int, *, failed: bool) -> dict[str, str]:
    """Series of kube-state-metrics for a Job: its failure and its start time in seconds."""
    own = f'namespace="shop",job_name="shop-reconciler-{number}"'
    return {
        f"kube_job_status_start_time{{{own}}}": f"{started}x30",
        f'kube_job_failed{{{own},condition="true"}}': f"{int(failed)}x30",
        f'kube_job_failed{{{own},condition="false"}}': f"{int(not failed)}x30",
    }


OUTBOX_FIRES: Final = {
    "labels": {"namespace": "shop", "job": "order-relay", "severity": "critical"},
    "description": "The oldest record in the outbox of order-relay in shop has waited for 10m 0s.",
}
UNREADABLE_FIRES: Final = {
    "labels": {"namespace": "shop", "job": "order", "kind": "order", "severity": "warning"},
    "description": "order in shop cannot read rows of kind order.",
}
FAILED_FIRES: Final = {
    "labels": {"namespace": "shop", "severity": "critical"},
    "description": "The latest Job of the reconciler in shop failed: orders require intervention, or the run could not check "
    "them.",
}
SILENT_FIRES: Final = {
    "labels": {"namespace": "shop", "severity": "critical"},
    "description": "CronJob shop-reconciler in shop is missing, suspended or overdue, or kube-state-metrics does not report it.",
}
BY_ALERT: Final[dict[str, list[dict[str, Any]]]] = {
    "ShopOutboxAge": [
        {
            "given": "SNS is away, and one of two relays tells how long a fact waits",
            "series": {f'{OUTBOX},pod="a"}}': "0+60x10 600x20", f'{OUTBOX},pod="b"}}': "0x30"},
            "at": "12m",
            "fires": [OUTBOX_FIRES],
        },
        {
            "given": "a fact waits four minutes",
            "series": {f'{OUTBOX},pod="a"}}': "0+60x4 0x20"},
            "at": "8m",
        },
    ],
    "ShopRowsUnreadable": [
        {
            "given": "the first row that cannot be read",
            "series": {UNREADABLE: "_x5 1x30"},
            "at": "6m",
            "fires": [UNREADABLE_FIRES],
        },
        {
            "given": "a row that cannot be read again and again",
            "series": {UNREADABLE: "1+1x40"},
            "at": "30m",
            "fires": [UNREADABLE_FIRES],
        },
        {"given": "a row that was repaired", "series": {UNREADABLE: "5x40"}, "at": "30m"},
    ],
    "ShopReconcilerFailed": [
        {
            "given": "the latest run failed",
            "series": {SUCCEEDED: "310x30", **job(1, 300, failed=False), **job(2, 600, failed=True)},
            "fires": [FAILED_FIRES],
        },
        {"given": "the first run failed", "series": job(1, 300, failed=True), "fires": [FAILED_FIRES]},
        {
            "given": "a run failed and the next one succeeded",
            "series": {SUCCEEDED: "610x30", **job(1, 300, failed=True), **job(2, 600, failed=False)},
        },
    ],
    "ShopReconcilerSilent": [
        {"given": "no CronJob, or no kube-state-metrics", "series": {}, "fires": [SILENT_FIRES]},
        {
            "given": "a CronJob whose next run has been due for half an hour",
            "series": {DUE: "0x60"},
            "at": "30m",
            "fires": [SILENT_FIRES],
        },
        {"given": "a CronJob that runs", "series": {DUE: "300+60x60"}, "at": "30m"},
    ],
}
# https://github.com/kubernetes/kube-state-metrics/tree/main/docs/metrics/workload
OF_CLUSTER: Final = {
    "kube_cronjob_next_schedule_time",
    "kube_cronjob_status_last_successful_time",
    "kube_job_failed",
    "kube_job_status_start_time",
}
TABLES: Final = {name: {"env": {"TABLE": f"shop-{name}"}} for name in ("payment", "product", "shipping")}
RULES: Final = {"monitoring": {"rules": {"enabled": True, "labels": {"release": "prometheus"}}}}


@pytest.fixture(scope="session")
def rendered(helm: Helm) -> list[Object]:
    return helm.template("shop", {**TABLES, **RULES}, namespace="shop")


@pytest.fixture(scope="session")
def rules(rendered: list[Object]) -> list[dict[str, Any]]:
    return [rule for group in only(rendered, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]


@pytest.fixture(scope="session")
def rule_file(rendered: list[Object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules as Prometheus reads them from a file."""
    path = tmp_path_factory.mktemp("shop-rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(only(rendered, "PrometheusRule")["spec"]))
    return path


@pytest.mark.parametrize(
    "case",
    [*CASES, *({"alert": alert, **case} for alert, cases in BY_ALERT.items() for case in cases)],
    ids=lambda case: case["given"],
)
def test_given_a_series_of_samples_then_the_alert_fires_as_expected(
    promtool: Path, rule_file: Path, rules: list[dict[str, Any]], case: dict[str, Any], tmp_path: Path
) -> None:
    case = {"alert": "ShopCircuitOpen", "at": "6m", **case}

    answer = played(promtool, rule_file, rules, case, tmp_path, runbook=RUNBOOK)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_given_the_rules_when_promtool_lints_them_then_it_reports_no_problem(
    promtool: Path, rule_file: Path
) -> None:
    answer = asked(promtool, "check", "rules", "--lint=all", "--lint-fatal", rule_file)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_given_the_metrics_of_the_alerts_then_the_services_or_the_cluster_expose_them(
    rules: list[dict[str, Any]],
) -> None:
    (circuits,), (outboxes,) = metrics.CIRCUITS_OPEN.collect(), metrics.OUTBOX_AGE.collect()
    (unreadable,) = metrics.UNREADABLE_ROWS.collect()
    of_services = {circuits.name, outboxes.name, f"{unreadable.name}_total"}

    assert {name for rule in rules for name in metric_names(rule["expr"])} == of_services | OF_CLUSTER


def test_given_every_alert_then_the_runbook_has_its_heading_and_the_alert_links_to_it(
    rules: list[dict[str, Any]],
) -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / RUNBOOK).read_text(), re.MULTILINE)

    assert headings == [rule["alert"] for rule in rules]
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOK}#{rule['alert'].lower()}"


def test_given_defaults_then_no_prometheusrule_is_rendered(helm: Helm) -> None:
    rendered = helm.template("shop", {}, namespace="shop")

    assert not [each for each in rendered if each["kind"] == "PrometheusRule"]


def test_given_the_reconciler_as_a_function_then_no_alert_refers_to_its_cronjob(helm: Helm) -> None:
    rendered = helm.template("shop", {**TABLES, **RULES}, files=("values-eks.yaml",), namespace="shop")

    groups = only(rendered, "PrometheusRule")["spec"]["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    assert alerts == {"ShopCircuitOpen", "ShopOutboxAge", "ShopRowsUnreadable"}


def test_given_labels_for_the_rules_then_the_prometheusrule_has_them(rendered: list[Object]) -> None:
    assert only(rendered, "PrometheusRule")["metadata"]["labels"]["release"] == "prometheus"
