"""docs/reference/alerts.md: every alert of Prometheus and every alarm of CloudWatch, from the charts and the stacks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from shop_operator.render.slo.rules import BURN_ALERTS, MISSING_ALERT
from shopdev.checkout import ROOT
from shopdev.codegen.slo.objectives import objectives

FILE: Final = ROOT / "docs/reference/alerts.md"
RULES: Final = {
    ROOT / "charts/shop-operator/templates/rules.yaml": "../how-to/monitor-the-operator.md",
    ROOT / "charts/shop/templates/rules.yaml": "../how-to/look-after-orders.md",
}
"""Templates of rules, each with the page that describes what to do."""
_ALERT: Final = re.compile(r"- alert: (?P<name>\w+)\n(?P<body>.*?runbook_url)", re.DOTALL)
_LOOP: Final = re.compile(r'"for" "(\w+)" "severity" "(\w+)"')
_OBJECTIVES: Final = "../how-to/respond-to-an-alert.md"
_HEAD: Final = """\
# Alerts and alarms

Generated from the charts and the templates of the stacks by `make generate`. The name of each Prometheus alert links to its runbook.

## Prometheus

The value `monitoring.rules.enabled` of charts/shop-operator and of charts/shop creates a PrometheusRule
([Monitor the operator](../how-to/monitor-the-operator.md), [Monitor and repair orders](../how-to/look-after-orders.md)).

| alert | severity | after | fires when |
|---|---|---|---|
"""
_SLOS: Final = f"""
The operator renders these alerts for each objective in `monitoring.slos` of a ShopService. `manifests/slo.yaml` contains those of the shop
([Set objectives](../how-to/set-objectives.md)).

| alert | severity | fires when |
|---|---|---|
| [{BURN_ALERTS["critical"]}]({_OBJECTIVES}) | critical | The error budget is consumed at 14.4 or 6 times the allowed rate. |
| [{BURN_ALERTS["warning"]}]({_OBJECTIVES}) | warning | The error budget is consumed at 3 times the allowed rate for a day, or at the allowed rate for three days. |
| [{MISSING_ALERT}]({_OBJECTIVES}) | warning | Prometheus has no time series for the objective. |
"""
_CLOUDWATCH: Final = """
## CloudWatch

`make aws-deploy` creates these alarms. CloudWatch sends them to the topic in the parameter `AlarmTopicArn`
([Alarms](../how-to/look-after-orders.md#alarms)). `PREFIX` is the prefix of the stacks.

| alarm | stack | meaning, and what to do |
|---|---|---|
"""


def generated() -> str:
    """The page."""
    rows = [row for template, page in RULES.items() for row in _rules(template, page)]
    templates = sorted((ROOT / "manifests/aws").glob("*.yaml"))
    alarms = sorted([*_objectives(), *(row for template in templates for row in _alarms(template))])
    return _HEAD + "\n".join(rows) + "\n" + _SLOS + _CLOUDWATCH + "\n".join(alarms) + "\n"


def _rules(template: Path, page: str) -> Iterator[str]:
    text = template.read_text(encoding="utf-8")
    for found in _ALERT.finditer(text):
        name, body = found["name"], found["body"]
        (summary,) = re.findall(r"summary: (.+)", body)
        (severity,) = re.findall(r"severity: (\w+|\{\{.*?\}\})", body)
        durations = re.findall(r"^ *for: (\w+)$", body, re.MULTILINE) or ["0m"]
        # An alert of a loop has several durations, each with its severity.
        variants = _LOOP.findall(text) if severity.startswith("{") else [(durations[0], severity)]
        for duration, each in variants:
            yield f"| [{name}]({page}#{name.lower()}) | {each} | {duration} | {summary} |"


class _Template(yaml.SafeLoader):
    """Reads a template of CloudFormation; a short function such as !Sub becomes its argument."""


def _argument(loader: _Template, _name: str, node: yaml.Node) -> Any:
    match node:
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            return loader.construct_mapping(node, deep=True)
        case yaml.ScalarNode():
            return loader.construct_scalar(node)


_Template.add_multi_constructor("!", _argument)


def _alarms(template: Path) -> Iterator[str]:
    found = yaml.load(template.read_text(encoding="utf-8"), Loader=_Template)  # noqa: S506  a safe loader
    for resource in found["Resources"].values():
        # A loop over resources is a list; the alarms in loops are those of the objectives.
        if isinstance(resource, dict) and resource["Type"] == "AWS::CloudWatch::Alarm":
            name = resource["Properties"]["AlarmName"].replace("${Prefix}", "PREFIX")
            yield f"| `{name}` | {template.stem} | {resource['Properties']['AlarmDescription']} |"


def _objectives() -> Iterator[str]:
    for each in objectives():
        alarms = f"`PREFIX-{each.name}-burns-fast`, `-burns-slowly`"
        yield f"| {alarms} | slo | [{each.name}]({_OBJECTIVES}#{each.name}) |"
