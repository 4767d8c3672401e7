"""docs/reference/alerts.md contains every alert of the charts as Helm renders it, and every alarm of the stacks."""

import re
from collections.abc import Mapping
from typing import Any, Final

import pytest

from shopdev.cloudformation import stacks
from shopdev.codegen import alerts
from tests.charts.helm import Helm, only

ROW: Final = re.compile(r"^\| \[(\w+)\]\(([^)]+)\) \| (\w+) \| (\w+) \| (.+) \|$", re.MULTILINE)

# What a chart needs to render all of its rules.
VALUES: Final[Mapping[str, Mapping[str, Any]]] = {
    "shop-operator": {"metrics": {"serviceMonitor": {"enabled": True}}},
    "shop": {service: {"env": {"TABLE": service}} for service in ("product", "payment", "shipping")},
}


@pytest.mark.parametrize(
    ("chart", "page"), [("shop-operator", "monitor-the-operator"), ("shop", "look-after-orders")]
)
def test_given_the_rules_of_a_chart_then_the_page_lists_them_with_their_severity_and_duration(
    helm: Helm, chart: str, page: str
) -> None:
    values = {"monitoring": {"rules": {"enabled": True}}, **VALUES[chart]}
    rendered: dict[str, Any] = only(helm.template(chart, values), "PrometheusRule")
    rules = [rule for group in rendered["spec"]["groups"] for rule in group["rules"]]

    listed = [(name, *row) for name, link, *row in ROW.findall(alerts.generated()) if f"/{page}.md#" in link]

    assert listed == [
        (
            rule["alert"],
            rule["labels"]["severity"],
            rule.get("for", "0m"),
            rule["annotations"]["summary"],
        )
        for rule in rules
    ]


def test_given_the_stacks_then_the_page_lists_each_of_their_alarms() -> None:
    page = alerts.generated()
    alarms = [
        each["Properties"]["AlarmName"]["Fn::Sub"].replace("${Prefix}", "PREFIX")
        for stack in stacks.ON_AWS
        for each in stacks.document(stack)["Resources"].values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]

    assert alarms
    assert [name for name in alarms if f"`{name.replace('-burns-slowly', '-burns-fast')}`" not in page] == []
