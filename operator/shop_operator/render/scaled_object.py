"""The ScaledObject of one workload: KEDA scales its Deployment by the backlog of a queue, and creates a HorizontalPodAutoscaler for it."""

from typing import Any, Final

from shop_operator.api.v1alpha1.scaling import Autoscaling, Queue
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render.labels import metadata
from shop_operator.render.workloads import Workload

POLL_SECONDS: Final = 15
"""Seconds, half of the default of KEDA, so that a growing queue is noticed before its first message is a minute old."""


def scaled_object(
    shop: ShopService, workload: Workload, autoscaling: Autoscaling, queue: Queue
) -> dict[str, Any]:
    """The keda.sh/v1alpha1 object; the numbers of a trigger are strings."""
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name},
        "minReplicaCount": autoscaling.min_replicas,
        "maxReplicaCount": autoscaling.max_replicas,
        "pollingInterval": POLL_SECONDS,
        "triggers": [_backlog(queue), *_utilization(workload, autoscaling)],
    }
    if autoscaling.behavior is not None:
        spec["advanced"] = {"horizontalPodAutoscalerConfig": {"behavior": autoscaling.behavior.to_dict()}}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(shop, workload.name, workload.component),
        "spec": spec,
    }


def _backlog(queue: Queue) -> dict[str, Any]:
    described = {
        "queueURL": queue.url,
        "queueURLFromEnv": queue.url_from,
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
        for name, value in (("cpu", autoscaling.cpu), ("memory", autoscaling.memory))
        if value is not None
    ]
