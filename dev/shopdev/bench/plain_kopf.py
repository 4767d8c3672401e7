"""An operator for comparison that uses kopf as its tutorials do: handlers for created and updated objects, and the typed client.

It renders the same six children with the same code, so that only the handling differs.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import kopf
import kubernetes

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render

_NOUNS = {
    "ServiceAccount": ("CoreV1Api", "service_account"),
    "Service": ("CoreV1Api", "service"),
    "Deployment": ("AppsV1Api", "deployment"),
    "HorizontalPodAutoscaler": ("AutoscalingV2Api", "horizontal_pod_autoscaler"),
    "PodDisruptionBudget": ("PolicyV1Api", "pod_disruption_budget"),
    "NetworkPolicy": ("NetworkingV1Api", "network_policy"),
}


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Run as many handlers at once as the operator of the shop has workers."""
    kubernetes.config.load_kube_config()
    settings.posting.enabled = False
    settings.execution.max_workers = 16


@kopf.on.create("shopservice.dev", "v1alpha1", "shopservices")
def created(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
    """Create every child."""
    shop = ShopService.from_object(dict(body))
    for child in render(shop, live=None):
        call("create", child["kind"])(shop.namespace, child)
    patch.status["observedGeneration"] = shop.generation


@kopf.on.update("shopservice.dev", "v1alpha1", "shopservices")
def updated(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
    """Patch every child."""
    shop = ShopService.from_object(dict(body))
    for child in render(shop, live=None):
        call("patch", child["kind"])(child["metadata"]["name"], shop.namespace, child)
    patch.status["observedGeneration"] = shop.generation


@cache
def call(verb: str, kind: str) -> Callable[..., Any]:
    """A method of the typed client, cached because every client has its own pool of connections."""
    group, noun = _NOUNS[kind]
    method: Callable[..., Any] = getattr(getattr(kubernetes.client, group)(), f"{verb}_namespaced_{noun}")
    return method


if __name__ == "__main__":
    kopf.run(clusterwide=True, standalone=True)
