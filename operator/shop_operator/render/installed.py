"""What a spec asks for in a cluster that lacks a kind for it. Pure."""

from collections.abc import Iterator

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import NotInstalled
from shop_operator.render.surroundings import Surroundings
from shop_operator.render.workloads import workloads


def not_installed(shop: ShopService, around: Surroundings) -> Iterator[NotInstalled]:
    """What the spec asks for and the cluster cannot have yet; a watch tells when it can."""
    scaled = [
        workload.name
        for workload in workloads(shop, around)
        if workload.autoscaling and workload.autoscaling.queue
    ]
    if scaled and not around.serves("ScaledObject"):
        yield NotInstalled(
            f"{', '.join(scaled)}: scaling by a queue requires KEDA, which is not installed; install it, or"
            " remove autoscaling.queue."
        )


def left_out(shop: ShopService, around: Surroundings) -> Iterator[str]:
    """What the spec asks for and is left out where its kind is not installed."""
    monitoring = shop.spec.monitoring
    if monitoring is not None and monitoring.enabled and not around.serves("ServiceMonitor"):
        yield "no ServiceMonitor is created, because the Prometheus operator is not installed"
