"""The ScaledObject of one workload: KEDA scales its Deployment by the backlog of a queue or by the time of day, and creates a HorizontalPodAutoscaler for it."""

from collections.abc import Mapping
from typing import Any, Final

from shop_operator.api.v1alpha1.scaling import Autoscaling, Queue, QueueFallback
from shop_operator.api.v1alpha1.scaling_schedule import Peak
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render.autoscaler import default_cpu
from shop_operator.render.labels import metadata
from shop_operator.render.scaling_behavior import behavior
from shop_operator.render.workloads import Workload, queue_url

POLL_SECONDS: Final = 15
"""Seconds, half of the default of KEDA, so that pods are added soon after the start of a peak."""


def scaled_object(
    shop: ShopService, workload: Workload, autoscaling: Autoscaling, target: Mapping[str, str]
) -> dict[str, Any]:
    """The keda.sh/v1alpha1 object; the numbers of a trigger are strings."""
    queue = autoscaling.queue
    # KEDA finds no containers, and so no variables, in a Rollout that refers to a Deployment.
    url = queue_url(workload) if target["kind"] == "Rollout" else None
    spec: dict[str, Any] = {
        "scaleTargetRef": {**target},
        "minReplicaCount": autoscaling.min_replicas,
        "maxReplicaCount": autoscaling.max_replicas,
        "pollingInterval": queue.polling_seconds if queue else POLL_SECONDS,
        "triggers": [
            *([_backlog(queue, url)] if queue else []),
            *map(_peak, autoscaling.schedule or ()),
            *_utilization(workload, autoscaling),
        ],
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior(autoscaling)}},
    }
    if queue:
        spec["cooldownPeriod"] = queue.cooldown_seconds
        spec["fallback"] = _fallback(queue, autoscaling)
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(shop, workload.name, workload.component),
        "spec": spec,
    }


def _fallback(queue: Queue, autoscaling: Autoscaling) -> dict[str, Any]:
    """The replica count while the queue cannot be read. Messages may wait in it, so there is at least one pod."""
    chosen = queue.fallback or QueueFallback(replicas=max(autoscaling.min_replicas, 1))
    return {
        "failureThreshold": chosen.failures,
        "replicas": chosen.replicas,
        "behavior": "currentReplicasIfHigher",
    }


def _peak(peak: Peak) -> dict[str, Any]:
    """A trigger that requires a replica count during a span, and none outside it."""
    return {
        "type": "cron",
        "metadata": {
            "timezone": peak.time_zone,
            "start": peak.start,
            "end": peak.end,
            "desiredReplicas": str(peak.replicas),
        },
    }


def _backlog(queue: Queue, url: str | None) -> dict[str, Any]:
    described = {
        "queueURL": url or queue.url,
        "queueURLFromEnv": None if url else queue.url_from,
        "queueLength": str(queue.messages_per_replica),
        "activationQueueLength": None
        if queue.activation_messages is None
        else str(queue.activation_messages),
        "awsRegion": queue.region_of_url,
        "awsEndpoint": queue.endpoint,
        "identityOwner": None if queue.authentication else "operator",
    }
    trigger: dict[str, Any] = {
        "type": "aws-sqs-queue",
        "metadata": {key: value for key, value in described.items() if value is not None},
    }
    if queue.authentication:
        trigger["authenticationRef"] = {"name": queue.authentication}
    return trigger


def _utilization(workload: Workload, autoscaling: Autoscaling) -> list[dict[str, Any]]:
    """The triggers for the utilization of the workload's own container, without its sidecars."""
    return [
        {
            "type": name,
            "metricType": "Utilization",
            "metadata": {"value": str(value), "containerName": workload.container},
        }
        for name, value in (("cpu", default_cpu(autoscaling)), ("memory", autoscaling.memory))
        if value is not None
    ]
