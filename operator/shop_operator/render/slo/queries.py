"""The expressions of PromQL that measure an indicator."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shop_operator.api.v1alpha1.slos import Availability, Indicator, Latency, Matcher, QueueAge

_CLASS: Final = re.compile("([1-9])xx")
_WORDS: Final = frozenset({"atan2", "bool", "group_left", "group_right", "ignoring", "inf", "nan", "on"})
"""Words of PromQL, in any case, that it does not accept as the name of a metric before braces."""


@dataclass(frozen=True)
class Scope:
    """The pods whose time series count: those of one ShopService.

    Attributes:
        namespace: the namespace of the ShopService.
        service: its name.
    """

    namespace: str
    service: str

    @property
    def matchers(self) -> str:
        """The labels that a Prometheus of the Prometheus operator gives to the targets of a ServiceMonitor and of a PodMonitor."""
        job = f"({_quoted(self.namespace)}/)?{_quoted(self.service)}"
        return f"namespace={_string(self.namespace)},job=~{_string(job)}"


def events(indicator: Indicator, scope: Scope, over: str) -> str:
    """Rate of all events in a duration such as 5m; 1 for an indicator that measures time."""
    match indicator.measured:
        case Availability() as found:
            return f"sum(rate({_series(found.metric, scope, found.selector)}[{over}]))"
        case Latency() as found:
            return f"sum(rate({_series(f'{found.metric}_count', scope, found.selector)}[{over}]))"
        case QueueAge() as found:
            return f"max({_series(found.metric, scope, found.selector)}) >= bool 0"


def errors(indicator: Indicator, scope: Scope, over: str) -> str:
    """Rate of bad events, 0 if there are none; for an indicator that measures time, 1 while it is bad, otherwise 0."""
    match indicator.measured:
        case Availability() as found:
            bad = Matcher(label=found.error_label, values=found.error_values)
            failed = f"sum(rate({_series(found.metric, scope, found.selector, bad)}[{over}]))"
            # There is no time series for errors until the first error.
            return f"{failed} or 0 * {events(indicator, scope, over)}"
        case Latency() as found:
            in_time = f"sum(rate({_buckets(scope, found)}[{over}]))"
            return f"{events(indicator, scope, over)} - {in_time}"
        case QueueAge() as found:
            return f"max({_series(found.metric, scope, found.selector)}) > bool {found.threshold_seconds}"


def buckets(metric: str, selector: Iterable[Matcher], scope: Scope, over: str) -> str:
    """Rate of all buckets of a histogram in a duration such as 5m, for a quantile."""
    return f"rate({_series(f'{metric}_bucket', scope, selector)}[{over}])"


def missing(indicator: Indicator, scope: Scope) -> str | None:
    """An expression that has a value while the indicator cannot be measured; None if a service without traffic looks the same."""
    match indicator.measured:
        case Availability():
            return None
        case Latency() as found:
            counted = f"sum({_series(f'{found.metric}_count', scope, found.selector)})"
            return f"{counted} unless sum({_buckets(scope, found)})"
        case QueueAge() as found:
            # A consumer that cannot read its queue may report NaN, which is no age.
            return f"absent({_series(found.metric, scope, found.selector)} >= 0)"


def _buckets(scope: Scope, found: Latency) -> str:
    """The buckets of the events that are in time."""
    bound = f"le=~{_string(_bound(found.threshold_ms))}"
    return _series(f"{found.metric}_bucket", scope, found.selector, extra=bound)


def _series(
    metric: str,
    scope: Scope,
    selector: Iterable[Matcher] | None,
    *more: Matcher,
    extra: str | None = None,
) -> str:
    """The time series of a metric."""
    found = [scope.matchers, *(_matcher(each) for each in (*(selector or ()), *more))]
    if extra is not None:
        found.append(extra)
    if metric.lower() in _WORDS:
        return f"{{__name__={_string(metric)},{','.join(found)}}}"
    return f"{metric}{{{','.join(found)}}}"


def _bound(milliseconds: int) -> str:
    """A pattern for the upper bound of a bucket, which clients write as 1, 1.0 or 0.25."""
    whole, part = divmod(milliseconds, 1000)
    return rf"{whole}\.{part:03}".rstrip("0") + "0*" if part else rf"{whole}(\.0+)?"


def _matcher(matcher: Matcher) -> str:
    equal, like = ("=", "=~") if matcher.operator == "In" else ("!=", "!~")
    if len(matcher.values) == 1 and not _CLASS.fullmatch(matcher.values[0]):
        return f"{matcher.label}{equal}{_string(matcher.values[0])}"
    return f"{matcher.label}{like}{_string('|'.join(_pattern(each) for each in matcher.values))}"


def _pattern(value: str) -> str:
    """A pattern for a value. A class of status codes matches its codes, and itself, because some clients use it as the value."""
    found = _CLASS.fullmatch(value)
    return f"{found[1]}(xx|[0-9]{{2}})" if found else _quoted(value)


def _quoted(text: str) -> str:
    """A pattern of RE2 that matches only the text."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def _string(text: str) -> str:
    """A string of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
