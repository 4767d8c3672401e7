"""The Deployment of one workload."""

from typing import Any

from shop_operator.api.v1alpha1.rollout import DEADLINE_SECONDS, Rollout
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.names import CHECKSUM_ANNOTATION, KEPT_COUNT_ANNOTATION
from shop_operator.objects import pod_security
from shop_operator.render.canary import REVISIONS, SURGE, deployment_replicas, kept_count
from shop_operator.render.labels import metadata, selector
from shop_operator.render.overlay import overlaid
from shop_operator.render.pod import template
from shop_operator.render.replicas import LiveScale, keeps_count
from shop_operator.render.surroundings import Surroundings
from shop_operator.render.workloads import Workload


def deployment(
    shop: ShopService, workload: Workload, account: str, live: LiveScale | None, around: Surroundings
) -> dict[str, Any]:
    """The Deployment of a workload. By default, a rollout never has fewer ready pods than desired.

    Raises:
        InvalidSpec: the podTemplate changes a field that the operator owns, or violates the pod-security level.
    """
    rollout = shop.spec.rollout or Rollout()
    pods = overlaid(shop, workload, template(shop, workload, account, around))
    pod_security.check(pods, around.pod_security, workload.name)
    spec: dict[str, Any] = {
        "revisionHistoryLimit": REVISIONS,
        "progressDeadlineSeconds": rollout.progress_deadline_seconds or DEADLINE_SECONDS,
        "selector": {"matchLabels": selector(shop, workload.component)},
        "strategy": _strategy(rollout),
        "template": pods,
    }
    if rollout.min_ready_seconds:
        # The API server does not store a zero, which would then look like drift.
        spec["minReadySeconds"] = rollout.min_ready_seconds
    replicas = deployment_replicas(shop, workload, live, around)
    recorded = around.record(workload.name).deployment
    own = {} if recorded is None else {CHECKSUM_ANNOTATION: recorded}
    if keeps_count(workload, live):
        own[KEPT_COUNT_ANNOTATION] = str(replicas)
    own |= kept_count(shop, workload, live, around)
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(shop, workload.name, workload.component, own),
        "spec": spec,
    }


def _strategy(rollout: Rollout) -> dict[str, Any]:
    if rollout.type == "Recreate":
        return {"type": "Recreate"}
    surge, missing = rollout.max_surge, rollout.max_unavailable
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {
            "maxSurge": SURGE if surge is None else surge,
            "maxUnavailable": 0 if missing is None else missing,
        },
    }
