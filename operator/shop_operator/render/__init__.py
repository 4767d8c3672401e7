"""What a ShopService shall be in the cluster: a pure function from its spec to apply configurations.

Nothing here reads the cluster, the clock or the environment, so the same ShopService always renders the same objects. One
module per kind of child; what every child has is in `labels`, what every pod has in `pod`.
"""

from dataclasses import dataclass
from typing import Any, Final

from shop_operator.render.autoscaler import autoscaler
from shop_operator.render.deployment import LiveScale, deployment
from shop_operator.render.discovery import discovery_service
from shop_operator.render.parts import parts
from shop_operator.render.route import http_routes
from shop_operator.render.service import service, url
from shop_operator.render.service_account import account_name, service_account
from shop_operator.spec import ShopService

__all__ = ["KINDS", "ChildKind", "LiveScale", "render", "url"]


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
    ChildKind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", optional=True),
)
"""Every kind that is ever rendered; what is not wanted any more is looked for in these."""


def render(shop: ShopService, *, live: LiveScale | None) -> list[dict[str, Any]]:
    """Every child as a complete apply configuration, in the order in which they are applied.

    Args:
        shop: the ShopService.
        live: the replica counts of the cluster, None before there is a Deployment.

    Raises:
        InvalidSpec: when the spec cannot be rendered.
    """
    account = account_name(shop)
    own_account = service_account(shop)
    children = [] if own_account is None else [own_account]
    children += [service(shop), *discovery_service(shop)]
    for part in parts(shop):
        children.append(deployment(shop, part, account, live))
        if part.autoscaling is not None:
            children.append(autoscaler(shop, part, part.autoscaling))
    return children + http_routes(shop)
