"""The rules for one objective: recording rules for its share of errors over each window, and the alerts on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from shop_operator.api.v1alpha1.slos import Availability, Indicator, Latency, QueueAge, Slo
from shop_operator.render.slo import queries
from shop_operator.render.slo.burn_rates import (
    DAY,
    MINUTE,
    BurnRate,
    Severity,
    budget,
    burn_rates,
    duration,
    scaled,
    seconds,
)
from shop_operator.render.slo.queries import Scope

EVENTS: Final = "slo:events:rate"
ERRORS: Final = "slo:errors:rate"
ERROR_RATIO: Final = "slo:error_ratio"
OBJECTIVE: Final = "slo:objective:ratio"
BUDGET_LEFT: Final = "slo:error_budget_remaining:ratio"

BURN_ALERTS: Final[Mapping[Severity, str]] = {
    "critical": "ShopServiceErrorBudgetBurnsFast",
    "warning": "ShopServiceErrorBudgetBurnsSlowly",
}
_SUMMARY: Final[Mapping[Severity, str]] = {
    "critical": "burns fast",
    "warning": "burns faster than the objective allows",
}
MISSING_ALERT: Final = "ShopServiceIndicatorMissing"
# For a window of 30 days. The slow rules read days of samples, so they are evaluated less often.
_SLOW_WINDOW: Final = DAY
_SLOW_INTERVAL: Final = 2 * MINUTE
_MISSING_FOR: Final = 15 * MINUTE

Rule = dict[str, Any]


@dataclass(frozen=True)
class _Objective:
    """An objective with what its rules share."""

    slo: Slo
    scope: Scope
    scrape_interval: int

    @property
    def window(self) -> int:
        return seconds(self.slo.window)

    @property
    def rates(self) -> list[BurnRate]:
        return burn_rates(self.slo.objective, self.window, self.scrape_interval)

    @property
    def labels(self) -> dict[str, str]:
        return {"namespace": self.scope.namespace, "service": self.scope.service, "slo": self.slo.name}

    def series(self, name: str, **labels: str) -> str:
        """A time series that these rules record."""
        found = ",".join(f'{key}="{value}"' for key, value in {**self.labels, **labels}.items())
        return f"{name}{{{found}}}"

    def ratio(self, window: int) -> str:
        return self.series(ERROR_RATIO, window=duration(window))

    def scaled(self, length: int) -> int:
        return scaled(length, self.window, self.scrape_interval)


def groups(slo: Slo, scope: Scope, scrape_interval: str) -> list[dict[str, Any]]:
    """The groups of rules for an objective, as in a PrometheusRule or a file of Prometheus.

    Args:
        slo: the objective.
        scope: the pods that it is about.
        scrape_interval: a duration such as 30s.
    """
    of = _Objective(slo, scope, seconds(scrape_interval))
    slow = of.scaled(_SLOW_WINDOW)
    lengths = {length for each in of.rates for length in (each.long, each.short)}
    shortest = min(lengths)
    # With a long scrape interval, a window of an alert may be that of the objective.
    windows = sorted(lengths | {of.window})
    return [
        {
            "name": f"{scope.service}-{slo.name}",
            "rules": [
                *_measured(of, shortest),
                *(_ratio(of, each, shortest) for each in windows if each < slow),
                *_burn_alerts(of, "critical"),
                *_missing_alert(of),
            ],
        },
        {
            "name": f"{scope.service}-{slo.name}-slow",
            "interval": duration(of.scaled(_SLOW_INTERVAL)),
            "rules": [
                *(_ratio(of, each, shortest) for each in windows if each >= slow),
                *_budget(of),
                *_burn_alerts(of, "warning"),
            ],
        },
    ]


def _measured(of: _Objective, shortest: int) -> Iterable[Rule]:
    over, indicator = duration(shortest), of.slo.indicator
    yield _record(of, EVENTS, queries.events(indicator, of.scope, over))
    yield _record(of, ERRORS, queries.errors(indicator, of.scope, over))


def _ratio(of: _Objective, window: int, shortest: int) -> Rule:
    """The share of errors over a window. Longer windows average the recorded rates, which costs less than the rates themselves."""
    errors, events = of.series(ERRORS), of.series(EVENTS)
    over = duration(window)
    if window != shortest:
        errors, events = f"avg_over_time({errors}[{over}])", f"avg_over_time({events}[{over}])"
    return _record(of, ERROR_RATIO, f"{errors} / {events}", window=over)


def _budget(of: _Objective) -> Iterable[Rule]:
    allowed = _text(budget(of.slo.objective))
    yield _record(of, OBJECTIVE, f"vector({_text(1 - budget(of.slo.objective))})")
    yield _record(of, BUDGET_LEFT, f"1 - {of.ratio(of.window)} / {allowed}")


def _record(of: _Objective, name: str, expression: str, **labels: str) -> Rule:
    return {"record": name, "expr": expression, "labels": {**of.labels, **labels}}


def _burn_alerts(of: _Objective, severity: Severity) -> Iterable[Rule]:
    rates = [each for each in of.rates if each.severity == severity]
    if not rates:
        return
    both = [
        f"({of.ratio(each.long)} > {threshold} and ignoring (window) {of.ratio(each.short)} > {threshold})"
        for each in rates
        for threshold in (_text(each.threshold(of.slo.objective)),)
    ]
    yield {
        "alert": BURN_ALERTS[severity],
        "expr": f"max without (window) ({' or '.join(both)})",
        "labels": {"severity": severity, **of.labels},
        "annotations": {
            "summary": f"The error budget of {of.scope.service}/{of.slo.name} {_SUMMARY[severity]}.",
            "description": (
                f"{{{{ $value | humanizePercentage }}}} of {_bad(of.slo.indicator)}; the objective allows"
                f" {_text(budget(of.slo.objective) * 100)} % within {of.slo.window}."
            ),
            **_runbook(of.slo),
        },
    }


def _missing_alert(of: _Objective) -> Iterable[Rule]:
    expression = queries.missing(of.slo.indicator, of.scope)
    if expression is None:
        return
    reason = (
        "the histogram has no bucket for the threshold"
        if of.slo.indicator.latency
        else "no pod reports the age of the oldest message"
    )
    yield {
        "alert": MISSING_ALERT,
        "expr": expression,
        "for": duration(of.scaled(_MISSING_FOR)),
        "labels": {"severity": "warning", **of.labels},
        "annotations": {
            "summary": f"The indicator of {of.scope.service}/{of.slo.name} cannot be measured.",
            "description": f"The other alerts of this objective do not fire, because {reason}.",
            **_runbook(of.slo),
        },
    }


def _bad(indicator: Indicator) -> str:
    match indicator.measured:
        case Availability():
            return "events are errors"
        case Latency() as found:
            return f"events took more than {found.threshold_ms} ms"
        case QueueAge() as found:
            return f"the time, a message had waited for more than {found.threshold_seconds} s"


def _runbook(slo: Slo) -> dict[str, str]:
    """The address, in which Prometheus must not find a template: it could query the metrics of other namespaces."""
    if slo.runbook_url is None:
        return {}
    return {"runbook_url": slo.runbook_url.replace("{{", '{{"{{"}}')}


def _text(number: Decimal) -> str:
    """A number without an exponent and without trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
