"""The dashboard of Grafana: the error budget and the burn rates of every objective in a namespace.

The panels read the time series that the operator's rules record, so they also show the objectives of other ShopServices.
"""

import json
from typing import Any, Final

from shop_operator.render.slo.burn_rates import BURN_RATES, duration
from shop_operator.render.slo.rules import (
    BUDGET_LEFT,
    ERROR_RATIO,
    ERRORS,
    EVENTS,
    OBJECTIVE,
)
from shopdev.checkout import ROOT

DASHBOARD: Final = ROOT / "charts" / "shop" / "dashboards" / "slo.json"
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_SELECTED: Final = '{namespace="$namespace",service=~"$service",slo=~"$slo"}'
_OF: Final = "{{service}}/{{slo}}"


def generated() -> str:
    """The text of the dashboard."""
    dashboard = {
        "uid": "shop-objectives",
        "title": "Service level objectives",
        "tags": ["shop", "slo"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), *map(_variable, ("namespace", "service", "slo"))]},
        "panels": _panels(),
    }
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def _panels() -> list[dict[str, Any]]:
    longest = duration(BURN_RATES[0].long)
    burn = (
        f'{ERROR_RATIO}{_SELECTED[:-1]},window="{longest}"}} / ignoring (window) (1 - {OBJECTIVE}{_SELECTED})'
    )
    alerts = 'ALERTS{namespace="$namespace",service=~"$service",slo=~"$slo",alertstate="firing"}'
    return [
        _panel(
            1,
            "stat",
            "Error budget left",
            "Share of the error budget that is left in the window of each objective. Below 0, the objective is missed.",
            (0, 0, 16, 8),
            (f"{BUDGET_LEFT}{_SELECTED}", _OF),
            unit="percentunit",
            steps=[("red", None), ("orange", 0.0), ("green", 0.25)],
        ),
        _panel(
            2,
            "stat",
            "Firing alerts",
            "Alerts of the objectives. The link of an alert leads to its section in the runbook.",
            (16, 0, 8, 8),
            (f"count by (alertname, severity) ({alerts}) or vector(0)", "{{alertname}}"),
            unit="none",
            steps=[("green", None), ("red", 1)],
        ),
        _panel(
            3,
            "timeseries",
            f"Burn rate over {longest}",
            f"1 consumes the budget exactly within the window. Above {BURN_RATES[0].factor}, an alert fires.",
            (0, 8, 24, 9),
            (burn, _OF),
            unit="none",
            steps=[("green", None), ("red", float(BURN_RATES[0].factor))],
        ),
        _panel(
            4,
            "timeseries",
            "Bad events",
            "Rate of bad events; for the age of a queue, 1 while a message waits for too long.",
            (0, 17, 12, 9),
            (f"{ERRORS}{_SELECTED}", _OF),
            unit="none",
            steps=[("green", None)],
        ),
        _panel(
            5,
            "timeseries",
            "All events",
            "Rate of the events that the objectives count.",
            (12, 17, 12, 9),
            (f"{EVENTS}{_SELECTED}", _OF),
            unit="none",
            steps=[("green", None)],
        ),
    ]


def _panel(
    number: int,
    kind: str,
    title: str,
    description: str,
    place: tuple[int, int, int, int],
    query: tuple[str, str],
    *,
    unit: str,
    steps: list[tuple[str, float | None]],
) -> dict[str, Any]:
    x, y, width, height = place
    expression, legend = query
    return {
        "id": number,
        "type": kind,
        "title": title,
        "description": description,
        "datasource": _DATASOURCE,
        "gridPos": {"h": height, "w": width, "x": x, "y": y},
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "thresholds": {
                    "mode": "absolute",
                    "steps": [{"color": color, "value": value} for color, value in steps],
                },
            },
            "overrides": [],
        },
        "options": {"colorMode": "background", "reduceOptions": {"calcs": ["lastNotNull"]}}
        if kind == "stat"
        else {},
        "targets": [
            {"refId": "A", "datasource": _DATASOURCE, "expr": expression, "legendFormat": legend},
        ],
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    }


def _variable(label: str) -> dict[str, Any]:
    within = "" if label == "namespace" else '{namespace="$namespace"}'
    query = f"label_values({OBJECTIVE}{within}, {label})"
    several = {} if label == "namespace" else {"multi": True, "includeAll": True}
    return {
        "name": label,
        "label": label.capitalize() if label != "slo" else "Objective",
        "type": "query",
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": label},
        "refresh": 2,
        "sort": 1,
        **several,
    }
