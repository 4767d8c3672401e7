"""Requests of a spec that require a kind which may not be installed. Pure."""

from collections.abc import Iterator

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import NotInstalled
from shop_operator.render.surroundings import Surroundings
from shop_operator.render.workloads import workloads


def not_installed(shop: ShopService, around: Surroundings) -> Iterator[NotInstalled]:
    """The requests of a spec that fail until a kind is installed, which a watch reports."""
    yield from _canary(shop, around)
    if around.serves("ScaledObject"):
        return
    found = [(each.name, each.autoscaling) for each in workloads(shop, around) if each.autoscaling]
    queued = [name for name, autoscaling in found if autoscaling.queue]
    if queued:
        yield NotInstalled(
            f"{', '.join(queued)}: scaling by a queue requires KEDA, which is not installed; install it, or"
            " remove autoscaling.queue. Until then, the number of pods follows cpu and memory; without these, it stays, and is"
            " at least 1."
        )
    timed = [name for name, autoscaling in found if autoscaling.schedule]
    if timed:
        yield NotInstalled(
            f"{', '.join(timed)}: scaling by a schedule requires KEDA, which is not installed; install it, or"
            " remove autoscaling.schedule. Until then, no pods are added for the peaks."
        )


def _canary(shop: ShopService, around: Surroundings) -> Iterator[NotInstalled]:
    canary = shop.spec.rollout.canary if shop.spec.rollout else None
    if canary is None:
        return
    if not around.serves("Rollout"):
        yield NotInstalled(
            f"{shop.name}: rollout.canary requires Argo Rollouts, which is not installed, so pods are replaced one after another;"
            " install it, or remove rollout.canary."
        )
    elif canary.analysis is not None and not around.serves("AnalysisTemplate"):
        yield NotInstalled(
            f"{shop.name}: rollout.canary.analysis requires the CustomResourceDefinition of AnalysisTemplate, which is not installed,"
            " so the new version is not measured; install all CustomResourceDefinitions of Argo Rollouts, or remove analysis."
        )
    elif canary.analysis is not None and not around.prometheus:
        yield NotInstalled(
            f"{shop.name}: rollout.canary.analysis requires the address of Prometheus, so the new version is not measured;"
            " set prometheus.address in the values of the operator's chart, or remove analysis."
        )


def left_out(shop: ShopService, around: Surroundings) -> Iterator[str]:
    """The requests of a spec that are omitted while a kind is not installed."""
    monitoring = shop.spec.monitoring
    if monitoring is None or not monitoring.enabled:
        return
    if not around.serves("ServiceMonitor"):
        yield "no ServiceMonitor is created, because the Prometheus operator is not installed"
    if monitoring.slos and not around.serves("PrometheusRule"):
        yield (
            "the alerts of monitoring.slos do not exist, because the CustomResourceDefinition of PrometheusRule is not installed"
        )
