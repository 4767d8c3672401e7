"""The PrometheusRule of the Prometheus operator: recording rules and burn-rate alerts for the objectives of a ShopService."""

from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render.labels import WEB, metadata
from shop_operator.render.slo.queries import Scope
from shop_operator.render.slo.rules import groups
from shop_operator.render.surroundings import Surroundings


def objectives(shop: ShopService, around: Surroundings) -> list[dict[str, Any]]:
    """The PrometheusRule, if its kind is installed and the spec has objectives."""
    monitoring = shop.spec.monitoring
    if monitoring is None or not monitoring.enabled or not monitoring.slos:
        return []
    if not around.serves("PrometheusRule"):
        return []
    described = metadata(shop, shop.name, WEB)
    scope = Scope(shop.namespace, shop.name)
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            # The operator's labels take precedence, because pruning finds children by them.
            "metadata": {**described, "labels": {**(monitoring.labels or {}), **described["labels"]}},
            "spec": {
                "groups": [
                    group for slo in monitoring.slos for group in groups(slo, scope, monitoring.interval)
                ]
            },
        }
    ]
