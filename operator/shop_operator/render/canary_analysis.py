"""The limits for the new version of a canary release: an AnalysisTemplate of Argo Rollouts, which queries Prometheus."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from shop_operator.api.v1alpha1.canary import CanaryAnalysis
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.slos import Availability, Indicator, Matcher, Slo
from shop_operator.render.labels import WEB, metadata
from shop_operator.render.slo import queries
from shop_operator.render.slo.burn_rates import BURN_RATES, seconds
from shop_operator.render.slo.queries import Scope
from shop_operator.render.surroundings import Surroundings

_SCRAPES: Final = 4
"""Scrapes within the window of a measurement."""
_SHORTEST_WINDOW: Final = 20
_FEWEST_REQUESTS: Final = 10


@dataclass(frozen=True)
class NewVersion(Scope):
    """The pods of the new version, by the template hash that Argo Rollouts passes as an argument."""

    @property
    def matchers(self) -> str:
        """Their labels; the name of a pod begins with the name of the Rollout and the hash."""
        return f'namespace="{self.namespace}",pod=~"{self.service}-{{{{args.hash}}}}-.+"'


class _Metric(NamedTuple):
    """A measurement.

    Attributes:
        name: of the metric.
        query: a value, which is compared with `most`.
        requests: the rate of the requests that it is about.
        most: the highest value that is allowed.
    """

    name: str
    query: str
    requests: str
    most: str


def analysis_templates(
    shop: ShopService, analysis: CanaryAnalysis | None, around: Surroundings
) -> list[dict[str, Any]]:
    """The AnalysisTemplate; none without limits, or without a Prometheus to measure them."""
    if analysis is None or not around.prometheus or not around.serves("AnalysisTemplate"):
        return []
    monitoring = shop.spec.monitoring
    interval = seconds(monitoring.interval) if monitoring is not None else 30
    window = max(_SCRAPES * interval, _SHORTEST_WINDOW)
    return [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": metadata(shop, shop.name, WEB),
            "spec": {
                "args": [{"name": "hash"}],
                "metrics": [
                    {
                        "name": each.name,
                        "interval": f"{interval}s",
                        # Without enough requests, there is no result, and nothing to object to.
                        "successCondition": f"len(result) == 0 || isNaN(result[0]) || result[0] <= {each.most}",
                        "provider": {
                            "prometheus": {
                                "address": around.prometheus,
                                "query": f"{each.query} and {each.requests} * {window} >= {_FEWEST_REQUESTS}",
                            }
                        },
                    }
                    for each in _metrics(shop, analysis, f"{window}s")
                ],
            },
        }
    ]


def _metrics(shop: ShopService, analysis: CanaryAnalysis, window: str) -> Iterator[_Metric]:
    pods = NewVersion(shop.namespace, shop.name)
    monitoring = shop.spec.monitoring
    # Probes and scrapes are requests too, which would hide the errors of a version with little traffic.
    path = monitoring.path if monitoring is not None else "/metrics"
    # A path may be longer than the values of a spec.
    others = [Matcher.model_construct(label="route", operator="NotIn", values=["/healthz", "/readyz", path])]
    of_users = Indicator(availability=Availability(selector=others))
    if analysis.max_error_rate is not None:
        most = analysis.max_error_rate.removesuffix("%")
        requests = queries.events(of_users, pods, window)
        failed = queries.errors(of_users, pods, window)
        yield _Metric("error-rate", f"100 * ({failed}) / {requests}", requests, most)
    if analysis.max_latency_ms is not None:
        buckets = queries.buckets("http_request_duration_seconds", others, pods, window)
        query = f"1000 * histogram_quantile(0.95, sum by (le) ({buckets}))"
        requests = queries.events(of_users, pods, window)
        yield _Metric("latency", query, requests, str(analysis.max_latency_ms))
    objectives = {each.name: each for each in (monitoring.slos if monitoring else None) or ()}
    for name in analysis.slos or ():
        indicator = objectives[name].indicator
        requests = queries.events(indicator, pods, window)
        ratio = f"({queries.errors(indicator, pods, window)}) / {requests}"
        yield _Metric(f"slo-{name}", ratio, requests, _burnt(objectives[name]))


def _burnt(slo: Slo) -> str:
    """The share of errors of the fastest burn-rate alert that a total failure reaches."""
    found = next(limit for each in BURN_RATES if (limit := each.threshold(slo.objective)) < 1)
    return f"{found.normalize():f}"
