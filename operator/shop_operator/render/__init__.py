"""What a ShopService shall be in the cluster: a pure function from its spec to apply configurations.

Nothing here reads the cluster, the clock or the environment, so the same ShopService always renders the same objects. One
module per kind of child; what every child has is in `labels`, what every pod has in `pod`.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from shop_operator.render.autoscaler import autoscaler
from shop_operator.render.deployment import LiveScale, deployment
from shop_operator.render.discovery import discovery_service
from shop_operator.render.disruption import disruption_budget
from shop_operator.render.monitors import monitors
from shop_operator.render.network_policy import network_policy
from shop_operator.render.parts import NOWHERE, Part, parts
from shop_operator.render.references import config_references
from shop_operator.render.route import http_routes
from shop_operator.render.scaled_object import scaled_object
from shop_operator.render.service import service, url
from shop_operator.render.service_account import account_name, service_account
from shop_operator.render.surroundings import Surroundings
from shop_operator.spec import ShopService

__all__ = [
    "KINDS",
    "ChildKind",
    "LiveScale",
    "Surroundings",
    "account_name",
    "config_references",
    "render",
    "url",
]


@dataclass(frozen=True)
class ChildKind:
    """A kind of object that the operator keeps.

    Args:
        api_version: such as apps/v1.
        kind: such as Deployment.
        plural: the resource's name in URLs.
        optional: its CustomResourceDefinition may be missing in a cluster.
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
    ChildKind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors", optional=True),
    ChildKind("monitoring.coreos.com/v1", "PodMonitor", "podmonitors", optional=True),
)
"""Every kind that is ever rendered; what is not wanted any more is looked for in these."""


def render(
    shop: ShopService, *, live: LiveScale | None, around: Surroundings = NOWHERE
) -> list[dict[str, Any]]:
    """Every child as a complete apply configuration, in the order in which they are applied.

    Args:
        shop: the ShopService.
        live: the replica counts of the cluster, None before there is a Deployment.
        around: the rest of the cluster, as far as it shows in a child.

    Raises:
        InvalidSpec: when the spec cannot be rendered.
    """
    if around.image is not None:
        shop = replace(shop, document={**shop.document, "image": around.image})
    account = account_name(shop)
    own_account = service_account(shop)
    children = [] if own_account is None else [own_account]
    children += [service(shop), *discovery_service(shop), *network_policy(shop, around)]
    for part in () if around.hold else parts(shop, around):
        children.append(deployment(shop, part, account, live, around))
        children += [*_scaler(shop, part, around), *disruption_budget(shop, part)]
    return [*children, *http_routes(shop), *monitors(shop, around)]


def _scaler(shop: ShopService, part: Part, around: Surroundings) -> list[dict[str, Any]]:
    """What scales a part: KEDA by a queue where there is KEDA, Kubernetes itself by what else is to be held."""
    autoscaling = part.autoscaling
    if autoscaling is None:
        return []
    if autoscaling.queue is None:
        return [autoscaler(shop, part, autoscaling)]
    if around.serves("ScaledObject"):
        return [scaled_object(shop, part, autoscaling, autoscaling.queue)]
    measured = autoscaling.cpu is not None or autoscaling.memory is not None
    return [autoscaler(shop, part, autoscaling)] if measured and autoscaling.min_replicas else []
