"""The Service of the web part."""

from typing import Any

from shop_operator.render.labels import WEB, metadata, selector
from shop_operator.render.pod import PORT_NAME
from shop_operator.spec import ShopService


def service(shop: ShopService) -> dict[str, Any]:
    """A ClusterIP Service on the container's own port number."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(shop, shop.name, WEB),
        "spec": {"type": "ClusterIP", "selector": selector(shop, WEB), "ports": [port(shop)]},
    }


def port(shop: ShopService) -> dict[str, Any]:
    """The container's own port, as every Service in front of it has it."""
    return {
        "name": PORT_NAME,
        "port": shop.spec.port,
        "targetPort": PORT_NAME,
        "protocol": "TCP",
        "appProtocol": "http",
    }


def url(shop: ShopService) -> str:
    """Where the Service answers inside the cluster."""
    return f"http://{shop.name}.{shop.namespace}.svc:{shop.spec.port}"
