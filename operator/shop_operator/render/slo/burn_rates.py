"""Burn rates: how fast an error budget is consumed, and over which windows an alert measures it.

The factors and windows are those of the Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts". They are for a
window of 30 days; those of another window have the same proportions, so that an alert stands for the same share of the budget.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

Severity = Literal["critical", "warning"]

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
_UNITS: Final = {"d": DAY, "h": HOUR, "m": MINUTE, "s": 1}
_REFERENCE: Final = 30 * DAY
_SCRAPES: Final = 4
"""Scrapes within the shortest window, so that a rate does not depend on a single one."""


@dataclass(frozen=True)
class BurnRate:
    """A rate above which an alert fires, if it holds over both windows.

    Attributes:
        factor: 1 consumes the budget exactly within the window of the objective.
        long: seconds over which the rate shows that much of the budget is lost.
        short: seconds over which the rate shows that the loss continues. The alert resolves soon after it ends.
        severity: critical for alerts that require a response at once, otherwise warning.
    """

    factor: Decimal
    long: int
    short: int
    severity: Severity

    def threshold(self, objective: str) -> Decimal:
        """The share of errors above which the alert fires, for an objective in percent."""
        return self.factor * budget(objective)


BURN_RATES: Final = (
    BurnRate(Decimal("14.4"), HOUR, 5 * MINUTE, "critical"),
    BurnRate(Decimal(6), 6 * HOUR, 30 * MINUTE, "critical"),
    BurnRate(Decimal(3), DAY, 2 * HOUR, "warning"),
    BurnRate(Decimal(1), 3 * DAY, 6 * HOUR, "warning"),
)
"""For a window of 30 days: 2 % of the budget in 1 hour, 5 % in 6 hours, 10 % in 1 day, and 10 % in 3 days."""


def budget(objective: str) -> Decimal:
    """The share of events that may be errors, for an objective in percent such as 99.9."""
    return 1 - Decimal(objective) / 100


def seconds(duration: str) -> int:
    """The seconds of a duration with one unit, such as 30d."""
    found = re.fullmatch(r"([0-9]+)([dhms])", duration)
    if found is None:
        raise ValueError(f"not a duration: {duration}")
    return int(found[1]) * _UNITS[found[2]]


def duration(of: int) -> str:
    """Seconds in the largest unit that divides them, such as 30d."""
    unit = next(unit for unit, length in _UNITS.items() if of % length == 0)
    return f"{of // _UNITS[unit]}{unit}"


def burn_rates(objective: str, window: int, scrape_interval: int) -> list[BurnRate]:
    """The burn rates for an objective, without those that even a total failure does not reach.

    Args:
        objective: percentage of good events, such as 99.9.
        window: seconds over which the objective holds.
        scrape_interval: seconds between two samples; no window is shorter than four of them.
    """
    shortest = _SCRAPES * scrape_interval
    found = [
        BurnRate(
            each.factor,
            scaled(each.long, window, shortest),
            scaled(each.short, window, shortest),
            each.severity,
        )
        for each in BURN_RATES
    ]
    return [each for each in found if each.threshold(objective) < 1]


def scaled(length: int, window: int, shortest: int) -> int:
    """A duration in seconds that fits a window of 30 days, for another window."""
    return max(length * window // _REFERENCE, shortest)
