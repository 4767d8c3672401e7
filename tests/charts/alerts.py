"""Shared by the alert tests: promtool, which evaluates a case, and the metrics that an expression reads."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

# What is an identifier of PromQL and no metric: words of the language, and what stands right before a parenthesis.
_WORDS: Final = frozenset({"and", "or", "unless", "bool", "inf", "nan", "offset"})
_LABELS: Final = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_IDENTIFIER: Final = re.compile(r"(?<![\w.$])[a-zA-Z_:][\w:]*(?!\w*\s*\()")


def metric_names(expression: str) -> set[str]:
    """The metrics that an expression of PromQL reads. What is not known for something else counts as one."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = _LABELS.sub(" ", bare)
    return {word for word in _IDENTIFIER.findall(bare) if word.lower() not in _WORDS}


def asked(promtool: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)


def played(
    promtool: Path,
    rule_file: Path,
    rules: list[dict[str, Any]],
    case: Mapping[str, Any],
    folder: Path,
    *,
    runbook: str,
) -> subprocess.CompletedProcess[str]:
    """Result of promtool for one case."""
    summary = {rule["alert"]: rule["annotations"]["summary"] for rule in rules}
    expected = [
        {
            "exp_labels": each["labels"],
            "exp_annotations": {
                "summary": summary[case["alert"]],
                "description": each["description"],
                "runbook_url": f"{runbook}#{case['alert'].lower()}",
            },
        }
        for each in case.get("fires", ())
    ]
    test = {
        "rule_files": [str(rule_file)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "name": case["given"],
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": values} for name, values in case["series"].items()
                ],
                "alert_rule_test": [
                    {"eval_time": case["at"], "alertname": case["alert"], "exp_alerts": expected}
                ],
            }
        ],
    }
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump(test))
    return asked(promtool, "test", "rules", path)
