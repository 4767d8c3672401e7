"""The NetworkPolicy of a ShopService: it admits the known callers, and the known dependencies of the ShopService."""

from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.names import NAME_LABEL
from shop_operator.render.labels import WEB, metadata
from shop_operator.render.route import gateways
from shop_operator.render.surroundings import Surroundings
from shop_operator.render.workloads import workloads

_NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
# To any address: DNS may run in pods of kube-system, or on the node (NodeLocal DNSCache, EKS Auto Mode), which no selector matches.
_DNS: Final = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}


def network_policy(shop: ShopService, made: ShopService, around: Surroundings) -> list[dict[str, Any]]:
    """One policy for the pods of all workloads; none unless the spec enables it.

    Args:
        shop: the ShopService.
        made: the ShopService from whose spec the pods are rendered; a different one after an automatic rollback.
        around: the rest of the cluster.
    """
    policy = shop.spec.network_policy
    if policy is None or not policy.enabled:
        return []
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": {NAME_LABEL: shop.name}},
        "policyTypes": ["Ingress", "Egress"],
        # Sent even if it is empty, so that a rule of another client is drift.
        "ingress": [*_callers(shop, made, around), *_stored(policy.ingress)],
        "egress": [_DNS, *_called([shop, made], around), *_stored(policy.egress)],
    }
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(shop, shop.name, WEB),
            "spec": spec,
        }
    ]


def _callers(shop: ShopService, made: ShopService, around: Surroundings) -> list[dict[str, Any]]:
    """Rules for the gateway and the dependants, on the port of the web workload, and for Prometheus, on every port."""
    peers: list[dict[str, Any]] = []
    monitoring = shop.spec.monitoring
    old = [each["namespace"] for refs in around.old_parents.values() for each in refs if "namespace" in each]
    peers += [_namespace(each) for each in dict.fromkeys([*_proxies(shop), *old])]
    if around.dependants:
        among = {"key": NAME_LABEL, "operator": "In", "values": sorted(around.dependants)}
        peers.append({"podSelector": {"matchExpressions": [among]}})
    rules = (
        [{"from": peers, "ports": [_tcp(each) for each in (shop.spec.port, *around.old_ports)]}]
        if peers
        else []
    )
    if monitoring is not None and monitoring.enabled:
        listening = (workload.port for each in (shop, made) for workload in workloads(each, around))
        ports = sorted({*around.old_ports, *(port for port in listening if port is not None)})
        rules.append({"from": [_namespace(monitoring.namespace)], "ports": [_tcp(each) for each in ports]})
    return rules


def _proxies(shop: ShopService) -> list[str]:
    """The namespaces from which gateways send requests: those in the spec, otherwise those of the Gateways of the routes."""
    policy = shop.spec.network_policy
    if policy is not None and policy.gateway_namespaces:
        return sorted(policy.gateway_namespaces)
    if not shop.spec.routes:
        return []
    return list(dict.fromkeys(each.namespace or shop.namespace for each in gateways(shop)))


def _called(shops: list[ShopService], around: Surroundings) -> list[dict[str, Any]]:
    return [
        {
            "to": [{"podSelector": {"matchLabels": {NAME_LABEL: each}}}],
            "ports": [
                _tcp(port) for port in dict.fromkeys((around.port(each), *around.called_ports.get(each, ())))
            ],
        }
        for each in dict.fromkeys(name for shop in shops for name in shop.spec.depends_on or ())
    ]


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: name}}}


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}


def _stored(rules: list[Any] | None) -> list[dict[str, Any]]:
    """The rules of the spec, without values that the API server does not store."""
    kept: list[dict[str, Any]] = [_without_empty(rule.to_dict()) for rule in rules or ()]
    return kept


def _without_empty(value: Any) -> Any:
    """The value without empty lists and maps, except for selectors, where empty selects everything."""
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    cleaned = {key: _without_empty(item) for key, item in value.items()}
    return {key: item for key, item in cleaned.items() if item not in ([], {}) or key.endswith("Selector")}
