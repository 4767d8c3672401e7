"""The monitors of the Prometheus operator: a ServiceMonitor for the web workload, and a PodMonitor for the workers with a port."""

from typing import Any

from shop_operator.api.v1alpha1.monitoring import Monitoring
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.names import COMPONENT_LABEL, NAME_LABEL, PORT_NAME
from shop_operator.render.labels import WEB, metadata, selector
from shop_operator.render.surroundings import Surroundings
from shop_operator.render.workloads import workloads


def monitors(shop: ShopService, made: ShopService, around: Surroundings) -> list[dict[str, Any]]:
    """The monitors whose kinds are installed; none unless the spec enables monitoring.

    Args:
        shop: the ShopService.
        made: the ShopService from whose spec the pods are rendered; a different one after an automatic rollback.
        around: the rest of the cluster.
    """
    monitoring = shop.spec.monitoring
    if monitoring is None or not monitoring.enabled:
        return []
    found = []
    endpoint = {"port": PORT_NAME, "path": monitoring.path, "interval": monitoring.interval}
    if around.serves("ServiceMonitor"):
        spec: dict[str, Any] = {"selector": {"matchLabels": selector(shop, WEB)}, "endpoints": [endpoint]}
        found.append(_monitor(shop, monitoring, "ServiceMonitor", shop.name, spec))
    workers = {
        workload.component
        for each in (shop, made)
        for workload in workloads(each, around)
        if not workload.serves and workload.port is not None
    }
    if workers and around.serves("PodMonitor"):
        among = {"key": COMPONENT_LABEL, "operator": "In", "values": sorted(workers)}
        spec = {
            "selector": {"matchLabels": {NAME_LABEL: shop.name}, "matchExpressions": [among]},
            "podMetricsEndpoints": [endpoint],
        }
        found.append(_monitor(shop, monitoring, "PodMonitor", shop.name, spec))
    return found


def _monitor(
    shop: ShopService, monitoring: Monitoring, kind: str, name: str, spec: dict[str, Any]
) -> dict[str, Any]:
    described = metadata(shop, name, WEB)
    # The operator's labels take precedence, because pruning finds children by them.
    labels = {**(monitoring.labels or {}), **described["labels"]}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": kind,
        "metadata": {**described, "labels": labels},
        "spec": spec,
    }
