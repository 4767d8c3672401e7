"""The children of a ShopService: a pure function from its spec to apply configurations.

No module of this package reads the cluster, the clock or the environment, so the same ShopService always renders the same objects.
Each kind of child has a module. `labels` has the common metadata of all children, and `pod` the common fields of all pods.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.render import queue_addresses
from shop_operator.render.autoscaler import autoscaler
from shop_operator.render.canary import pods, rollout, scale_target
from shop_operator.render.canary import services as canary_services
from shop_operator.render.common import with_common_metadata
from shop_operator.render.configuration import MOST_OBJECTS, Use, uses
from shop_operator.render.deployment import deployment
from shop_operator.render.discovery import discovery_service
from shop_operator.render.disruption import disruption_budget
from shop_operator.render.monitors import monitors
from shop_operator.render.network_policy import network_policy
from shop_operator.render.objectives import objectives
from shop_operator.render.overlay import overlaid
from shop_operator.render.pod import template
from shop_operator.render.replicas import LiveScale
from shop_operator.render.route import http_routes
from shop_operator.render.scaled_object import scaled_object
from shop_operator.render.service import service, url
from shop_operator.render.service_account import account_name, service_account
from shop_operator.render.surroundings import Surroundings
from shop_operator.render.workloads import NOWHERE, Workload, queue_url, workloads

__all__ = [
    "KINDS",
    "ChildKind",
    "LiveScale",
    "Surroundings",
    "account_name",
    "configuration_uses",
    "render",
    "url",
]


@dataclass(frozen=True)
class ChildKind:
    """A kind of child.

    Args:
        api_version: such as apps/v1.
        kind: such as Deployment.
        plural: the name of the resource in URLs.
        optional: its CustomResourceDefinition may not be installed.
    """

    api_version: str
    kind: str
    plural: str
    optional: bool = False


KINDS: Final = (
    ChildKind("v1", "ServiceAccount", "serviceaccounts"),
    ChildKind("v1", "Service", "services"),
    ChildKind("apps/v1", "Deployment", "deployments"),
    ChildKind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ChildKind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ChildKind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    ChildKind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", optional=True),
    ChildKind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects", optional=True),
    ChildKind("argoproj.io/v1alpha1", "AnalysisTemplate", "analysistemplates", optional=True),
    ChildKind("argoproj.io/v1alpha1", "Rollout", "rollouts", optional=True),
    ChildKind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors", optional=True),
    ChildKind("monitoring.coreos.com/v1", "PodMonitor", "podmonitors", optional=True),
    ChildKind("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules", optional=True),
)
"""All kinds that can be rendered. Children that are no longer desired are pruned in these kinds only."""


def render(
    shop: ShopService, *, live: LiveScale | None, around: Surroundings = NOWHERE
) -> list[dict[str, Any]]:
    """The children as complete apply configurations, in the order in which they are applied.

    Args:
        shop: the ShopService.
        live: the live replica counts; None before the first Deployment.
        around: the rest of the cluster, as far as it affects a child.

    Raises:
        InvalidSpec: the spec cannot be rendered.
    """
    made = around.pods or shop
    if made is not shop:
        # The version label shows the version that runs.
        shop = replace(shop, document={**shop.document, "image": made.spec.image})
    account = account_name(made)
    own_account = service_account(made)
    children = [] if own_account is None else [own_account]
    children += [service(shop, around.old_ports), *canary_services(shop, around)]
    children += discovery_service(shop, around)
    children += network_policy(shop, made, around)
    routes = http_routes(shop, around)
    made_workloads = () if around.hold else tuple(workloads(made, around))
    rollouts = [
        child for each in made_workloads if each.serves for child in rollout(made, each, live, around, routes)
    ]
    returning = pods(shop, around).returning
    if returning:
        # It must be paused before the pod template changes.
        children += rollouts
    for workload in made_workloads:
        children.append(deployment(made, workload, account, live, around))
        children += [*_scaler(made, workload, around), *disruption_budget(made, workload, live)]
    children += routes
    if not returning:
        children += rollouts
    children += [*monitors(shop, made, around), *objectives(shop, around)]
    return with_common_metadata(shop, around.common, children)


def configuration_uses(shop: ShopService) -> dict[str, frozenset[Use]]:
    """The ConfigMaps and Secrets that each Deployment uses, by the name of the Deployment; only of Deployments that use some.

    Raises:
        InvalidSpec: the podTemplate cannot be merged, or too many objects are used.
    """
    if not _may_use_configuration(shop):
        return {}
    account = account_name(shop)
    found = {
        workload.name: uses(overlaid(shop, workload, template(shop, workload, account, NOWHERE))["spec"])
        for workload in workloads(shop)
    }
    objects = {use.object for used in found.values() for use in used}
    if len(objects) > MOST_OBJECTS:
        raise InvalidSpec(
            f"spec: the pods use {len(objects)} ConfigMaps and Secrets; a ShopService may use {MOST_OBJECTS} at most."
        )
    return {name: used for name, used in found.items() if used}


def _may_use_configuration(shop: ShopService) -> bool:
    """Whether the pods may use configuration. Most do not, which saves their rendering in every pass."""
    spec = shop.spec
    variables = [*(spec.env or ()), *(each for worker in spec.workers or () for each in worker.env or ())]
    return bool(
        spec.env_from
        or (spec.pod_template and spec.pod_template.spec)
        or any(each.value_from is not None for each in variables)
    )


def _queue_path(workload: Workload) -> str:
    """The path of the queue of a workload in the ShopService."""
    at = "spec" if workload.serves else f"spec.workers[{workload.container}]"
    return f"{at}.autoscaling.queue"


def _scaler(shop: ShopService, workload: Workload, around: Surroundings) -> list[dict[str, Any]]:
    """The autoscaler of a workload.

    It is a ScaledObject for a queue or a schedule if KEDA is installed, otherwise a HorizontalPodAutoscaler for the other metrics.
    """
    autoscaling = workload.autoscaling
    if autoscaling is None:
        return []
    target = scale_target(shop, workload, around)
    queue = autoscaling.queue
    if queue is not None and around.queue_endpoints is not None:
        queue_addresses.check(queue, _queue_path(workload), queue_url(workload), around.queue_endpoints)
    if autoscaling.by_keda and around.serves("ScaledObject"):
        return [scaled_object(shop, workload, autoscaling, target)]
    measured = queue is None or autoscaling.cpu is not None or autoscaling.memory is not None
    return [autoscaler(shop, workload, autoscaling, target)] if measured else []
