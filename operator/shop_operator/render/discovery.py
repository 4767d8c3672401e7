"""The headless Service that makes the web workload discoverable from outside the cluster.

ExternalDNS reads it and registers the addresses of the pods. It is separate from the main Service, because a cluster IP is reachable
only on the nodes of the cluster, while other clients in the same VPC (a function, a task) can reach the address of a pod.
"""

from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import Conflict
from shop_operator.names import DISCOVERY_SUFFIX
from shop_operator.objects.discovery import HOSTNAME_ANNOTATIONS
from shop_operator.render.labels import DISCOVERY, WEB, metadata, selector
from shop_operator.render.service import port
from shop_operator.render.surroundings import Surroundings


def discovery_service(shop: ShopService, around: Surroundings) -> list[dict[str, Any]]:
    """The headless Service; none without a hostname or while another ShopService has the hostname.

    It does not set publishNotReadyAddresses: the default false is desired, and the API server does not store it.
    """
    if shop.spec.discovery is None or not around.discovered:
        return []
    annotations = dict.fromkeys(HOSTNAME_ANNOTATIONS, shop.spec.discovery.hostname)
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(shop, shop.name + DISCOVERY_SUFFIX, DISCOVERY, annotations),
            "spec": {
                "type": "ClusterIP",
                "clusterIP": "None",
                "selector": selector(shop, WEB),
                "ports": [port(shop)],
            },
        }
    ]


def hostname(shop: ShopService) -> str:
    """The discovery hostname that the spec requests; empty for none."""
    return shop.spec.discovery.hostname if shop.spec.discovery else ""


def taken(hostname: str, holder: str | None) -> Conflict:
    """The error of a ShopService whose discovery hostname belongs to another one.

    Args:
        hostname: as the spec writes it.
        holder: the name of the holder; None for one in another namespace, whose name is not disclosed.
    """
    other = "a ShopService of another namespace" if holder is None else f"ShopService {holder}"
    return Conflict(
        f"spec.discovery.hostname: {hostname} is in use by {other}. Choose another hostname, or remove it there;"
        " this ShopService is not registered under it until then."
    )
