"""The Service of the web workload."""

from collections.abc import Sequence
from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.names import PORT_NAME
from shop_operator.objects.summary.service import old_port_name
from shop_operator.render.labels import WEB, metadata, selector


def service(shop: ShopService, old_ports: Sequence[int] = ()) -> dict[str, Any]:
    """The ClusterIP Service, on the port number of the container."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(shop, shop.name, WEB),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(shop, WEB),
            "ports": service_ports(shop, old_ports),
        },
    }


def service_ports(shop: ShopService, old_ports: Sequence[int] = ()) -> list[dict[str, Any]]:
    """The current port, followed by the earlier ones."""
    return [port(shop), *(_old(shop, each) for each in old_ports)]


def port(shop: ShopService) -> dict[str, Any]:
    """The port of the container, as each Service of the workload has it."""
    return {
        "name": PORT_NAME,
        "port": shop.spec.port,
        "targetPort": PORT_NAME,
        "protocol": "TCP",
        "appProtocol": "http",
    }


def _old(shop: ShopService, number: int) -> dict[str, Any]:
    """An earlier port, with the same target as the current one."""
    return {**port(shop), "name": old_port_name(number), "port": number}


def url(shop: ShopService) -> str:
    """The URL of the Service inside the cluster."""
    return f"http://{shop.name}.{shop.namespace}.svc:{shop.spec.port}"
