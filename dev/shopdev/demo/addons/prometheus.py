"""Prometheus: scrapes the pods of the shop, and evaluates the rules of its PrometheusRules.

The Prometheus operator is not installed. Pods are found by their labels, with the target labels that monitors of the Prometheus
operator give them.
"""

from shopdev.demo import addons
from shopdev.demo.target import SHOP_NAMESPACE, Target

PORT = 9090


def install(target: Target) -> str:
    """Install Prometheus, and return the URL of its API on this machine, such as `<url>/api/v1/query?query=up`."""
    image = addons.deliver(target, "prometheus")
    addons.apply(target, "prometheus", addons.OBSERVABILITY, image=image, shop=SHOP_NAMESPACE)
    return addons.expose("prometheus", addons.OBSERVABILITY, PORT)
