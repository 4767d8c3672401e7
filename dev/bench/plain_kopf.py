#!/usr/bin/env python3
"""kopf as its tutorials use it: handlers for created and updated objects, and the typed client. To compare with, not to run.

It makes the same six children by the same pure rendering, so that what differs is how the two of them go about it.
"""

import sys
from pathlib import Path
from typing import Any

import kopf
import kubernetes

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "operator"))

from shop_operator.render import render
from shop_operator.spec import ShopService


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """As many handlers at once as our operator has workers."""
    kubernetes.config.load_kube_config()
    settings.posting.enabled = False
    settings.execution.max_workers = 16


@kopf.on.create("shopservice.dev", "v1alpha1", "shopservices")
@kopf.on.update("shopservice.dev", "v1alpha1", "shopservices")
@kopf.on.resume("shopservice.dev", "v1alpha1", "shopservices")
def made(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
    """Create every child, or replace what is there."""
    shop = ShopService.from_object(dict(body))
    for child in render(shop, live=None):
        put(child)
    patch.status["observedGeneration"] = shop.generation


def put(child: dict[str, Any]) -> None:
    """Read it, then create or patch it."""
    calls = {
        "ServiceAccount": (kubernetes.client.CoreV1Api, "service_account"),
        "Service": (kubernetes.client.CoreV1Api, "service"),
        "Deployment": (kubernetes.client.AppsV1Api, "deployment"),
        "HorizontalPodAutoscaler": (kubernetes.client.AutoscalingV2Api, "horizontal_pod_autoscaler"),
        "PodDisruptionBudget": (kubernetes.client.PolicyV1Api, "pod_disruption_budget"),
        "NetworkPolicy": (kubernetes.client.NetworkingV1Api, "network_policy"),
    }
    group, noun = calls[child["kind"]]
    api, name, namespace = group(), child["metadata"]["name"], child["metadata"]["namespace"]
    try:
        getattr(api, f"read_namespaced_{noun}")(name, namespace)
    except kubernetes.client.ApiException as error:
        if error.status != 404:  # noqa: PLR2004  not found
            raise
        getattr(api, f"create_namespaced_{noun}")(namespace, child)
    else:
        getattr(api, f"patch_namespaced_{noun}")(name, namespace, child)


if __name__ == "__main__":
    kopf.run(clusterwide=True, standalone=True)
