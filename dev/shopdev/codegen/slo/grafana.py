"""The dashboard of Grafana: the error budget and the burn rates of every objective in a namespace.

The panels read the time series that the operator's rules record, so they also show the objectives of other ShopServices.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

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
        "panels": [_drawn(number, each) for number, each in enumerate(_panels(), 1)],
    }
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


class _Panel(NamedTuple):
    """A panel.

    Attributes:
        title: its title.
        description: its description.
        place: column, row, width and height in the grid of 24 columns.
        query: query of Prometheus.
        legend: name of a time series.
        kind: type of the panel.
        unit: unit of the values.
        steps: colors, each with the value from which it applies.
    """

    title: str
    description: str
    place: tuple[int, int, int, int]
    query: str
    legend: str = _OF
    kind: str = "timeseries"
    unit: str = "none"
    steps: Sequence[tuple[str, float | None]] = (("green", None),)


def _panels() -> list[_Panel]:
    longest = duration(BURN_RATES[0].long)
    burn = (
        f'{ERROR_RATIO}{_SELECTED[:-1]},window="{longest}"}} / ignoring (window) (1 - {OBJECTIVE}{_SELECTED})'
    )
    alerts = 'ALERTS{namespace="$namespace",service=~"$service",slo=~"$slo",alertstate="firing"}'
    return [
        _Panel(
            "Error budget left",
            "Share of the error budget that is left in the window of each objective. Below 0, the objective is missed.",
            (0, 0, 16, 8),
            f"{BUDGET_LEFT}{_SELECTED}",
            kind="stat",
            unit="percentunit",
            steps=(("red", None), ("orange", 0.0), ("green", 0.25)),
        ),
        _Panel(
            "Firing alerts",
            "Alerts of the objectives. The link of an alert leads to its section in the runbook.",
            (16, 0, 8, 8),
            f"count by (alertname, severity) ({alerts}) or vector(0)",
            "{{alertname}}",
            kind="stat",
            steps=(("green", None), ("red", 1)),
        ),
        _Panel(
            f"Burn rate over {longest}",
            f"1 consumes the budget exactly within the window. Above {BURN_RATES[0].factor}, an alert fires.",
            (0, 8, 24, 9),
            burn,
            steps=(("green", None), ("red", float(BURN_RATES[0].factor))),
        ),
        _Panel(
            "Bad events",
            "Rate of bad events; for the age of a queue, 1 while a message waits for too long.",
            (0, 17, 12, 9),
            f"{ERRORS}{_SELECTED}",
        ),
        _Panel(
            "All events",
            "Rate of the events that the objectives count.",
            (12, 17, 12, 9),
            f"{EVENTS}{_SELECTED}",
        ),
    ]


def _drawn(number: int, panel: _Panel) -> dict[str, Any]:
    x, y, width, height = panel.place
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "gridPos": {"h": height, "w": width, "x": x, "y": y},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "thresholds": {
                    "mode": "absolute",
                    "steps": [{"color": color, "value": value} for color, value in panel.steps],
                },
            },
            "overrides": [],
        },
        "options": {"colorMode": "background", "reduceOptions": {"calcs": ["lastNotNull"]}}
        if panel.kind == "stat"
        else {},
        "targets": [
            {"refId": "A", "datasource": _DATASOURCE, "expr": panel.query, "legendFormat": panel.legend},
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
