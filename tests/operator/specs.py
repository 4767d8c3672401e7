"""Specs for tests: a table of what is refused and in which words, and any spec that the CRD's schema allows for.

The same specs go to the models (a unit test) and to a real API server (an integration test), so that the two cannot come to
different verdicts.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from shop_operator.api.v1alpha1 import (
    common_metadata,
    dependencies,
    discovery,
    disruption,
    environment,
    lifecycle,
    network_policy,
    probes,
    rollout,
    route_filters,
    routing,
    scaling,
    service_account,
    shares,
    shopservice,
    spec,
    worker,
)
from shop_operator.api.v1alpha1.crd import crd
from shop_operator.api.v1alpha1.scalars import NO_KEY
from shop_operator.api.v1alpha1.schema import python_pattern

SPEC_SCHEMA: dict[str, Any] = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


class Refusal(NamedTuple):
    """A bad ShopService.

    Args:
        given: what is bad, in short.
        spec: added to an image.
        server: a part of the API server's sentence.
        model: a part of the models' sentence; the same when not given.
        name: of the ShopService.
    """

    given: str
    spec: dict[str, Any]
    server: str
    model: str | None = None
    name: str = "web"


_WORKER = {"name": "relay", "command": ["relay"]}
_PUBLIC = {"name": "public"}


_URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
_TWO_PEERS = {"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}


def _scaled(**queue: Any) -> dict[str, Any]:
    return {"autoscaling": {"maxReplicas": 2, "queue": queue}}


def _selecting(**expression: Any) -> dict[str, Any]:
    return {"podSelector": {"matchExpressions": [{"key": "a"} | expression]}}


def _routed(**route: Any) -> dict[str, Any]:
    return {"gateway": _PUBLIC, "routes": [{"path": "/"} | route]}


def _replacing(filter_type: str, path_type: str, prefix: str) -> dict[str, Any]:
    """A filter that replaces the prefix of the path."""
    field = {"URLRewrite": "urlRewrite", "RequestRedirect": "requestRedirect"}[filter_type]
    return {"type": filter_type, field: {"path": {"type": path_type, "replacePrefixMatch": prefix}}}


def _probe(**probe: Any) -> dict[str, Any]:
    return {"probes": {"liveness": probe}}


def _to_port(port: Any) -> dict[str, Any]:
    return {"networkPolicy": {"egress": [{"ports": [{"port": port}]}]}}


_DNS_LABEL = "must consist of lowercase letters, digits and '-', begin with a letter and end with a letter or digit, such as order-api"

REFUSALS = [
    Refusal("no bound of a disruption", {"disruption": {}}, disruption.ONE_BOUND),
    Refusal(
        "two bounds of a disruption",
        {"disruption": {"minAvailable": 1, "maxUnavailable": 1}},
        disruption.ONE_BOUND,
    ),
    Refusal("a disruption of no pod", {"disruption": {"maxUnavailable": 0}}, disruption.NEVER_DISRUPTED),
    Refusal("a disruption of no part", {"disruption": {"maxUnavailable": "0%"}}, disruption.NEVER_DISRUPTED),
    Refusal("all pods always", {"disruption": {"minAvailable": "100%"}}, disruption.NEVER_DISRUPTED),
    Refusal(
        "no share",
        {"disruption": {"maxUnavailable": "many"}},
        shares.NO_SHARE,
    ),
    Refusal("a roll-out without room", {"rollout": {"maxSurge": 0}}, rollout.NO_PROGRESS),
    Refusal(
        "a roll-out without any room",
        {"rollout": {"maxSurge": "0%", "maxUnavailable": 0}},
        rollout.NO_PROGRESS,
    ),
    Refusal(
        "a peer that is two",
        {"networkPolicy": {"ingress": [{"from": [_TWO_PEERS]}]}},
        network_policy.ONE_PEER,
    ),
    Refusal("a peer that is none", {"networkPolicy": {"egress": [{"to": [{}]}]}}, network_policy.ONE_PEER),
    Refusal(
        "values for a label that must exist",
        {"networkPolicy": {"ingress": [{"from": [_selecting(operator="Exists", values=["a"])]}]}},
        network_policy.FOREIGN_VALUES,
    ),
    Refusal(
        "no values for a label that must have some",
        {"networkPolicy": {"egress": [{"to": [_selecting(operator="In")]}]}},
        network_policy.FOREIGN_VALUES,
    ),
    Refusal(
        "no port",
        {"networkPolicy": {"egress": [{"ports": [{"port": 0}]}]}},
        "spec.networkPolicy.egress[0].ports[0].port in body should be greater than or equal to 1",
        network_policy.NO_PORT_NAME,
    ),
    Refusal(
        "a part of a range of addresses that is none",
        {
            "networkPolicy": {
                "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0"]}}]}]
            }
        },
        "except[0] in body should match '^(?<must_be_an_address_range_in_CIDR_notation_such_as_10_0_0_0_8_",
        "except[0]: must be an address range in CIDR notation, such as 10.0.0.0/8",
    ),
    Refusal(
        "a header with a space that is set",
        _routed(
            filters=[
                {
                    "type": "RequestHeaderModifier",
                    "requestHeaderModifier": {"set": [{"name": "A B", "value": "1"}]},
                }
            ]
        ),
        "set[0].name in body should match '^(?<must_be_a_name_without_spaces>",
        "set[0].name: must be a name without spaces: letters, digits",
    ),
    Refusal(
        "a range that ends before it begins",
        {"networkPolicy": {"egress": [{"ports": [{"port": 9, "endPort": 8}]}]}},
        network_policy.NO_RANGE,
    ),
    Refusal(
        "a range that begins with a name",
        {"networkPolicy": {"egress": [{"ports": [{"port": "http", "endPort": 8}]}]}},
        network_policy.NO_RANGE,
    ),
    Refusal(
        "a range without a beginning",
        {"networkPolicy": {"ingress": [{"ports": [{"endPort": 8}]}]}},
        network_policy.NO_RANGE,
    ),
    Refusal(
        "a port's name without a letter",
        {"networkPolicy": {"ingress": [{"ports": [{"port": "80"}]}]}},
        network_policy.NO_PORT_NAME,
    ),
    Refusal(
        "an address without a mask",
        {"networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.1"}}]}]}},
        "must be an address range in CIDR notation, such as 10.0.0.0/8, 192.0.2.1/32 or fd00::/8",
    ),
    Refusal(
        "an address that there is not",
        {"networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.256/32"}}]}]}},
        "must be an address range in CIDR notation, such as 10.0.0.0/8, 192.0.2.1/32 or fd00::/8",
    ),
    Refusal(
        "a label with two slashes",
        {"networkPolicy": {"egress": [{"to": [_selecting(operator="Exists", key="a/b/c")]}]}},
        "matchExpressions[0].key in body should match '^(?<must_be_the_key_of_a_label_such_as_team_or_example_com_team>",
        "matchExpressions[0].key: must be the key of a label such as team or example.com/team",
    ),
    Refusal(
        "a dependency that is no name",
        {"dependsOn": ["Product"]},
        _DNS_LABEL,
    ),
    Refusal(
        "more dependencies than anybody has",
        {"dependsOn": [f"d{number}" for number in range(65)]},
        "spec.dependsOn: Too many: 65: must have at most 64 items",
        "spec.dependsOn: List should have at most 64 items",
    ),
    Refusal(
        "a deadline that no roll-out meets",
        {"rollout": {"progressDeadlineSeconds": 9}},
        "spec.rollout.progressDeadlineSeconds in body should be greater than or equal to 10",
        "spec.rollout.progressDeadlineSeconds: Input should be greater than or equal to 10",
    ),
    Refusal(
        "metrics every now and then",
        {"monitoring": {"interval": "often"}},
        "must be a duration in seconds or minutes, such as 30s or 1m",
    ),
    Refusal("two queues", _scaled(url=_URL, urlFrom="URL", region="eu-west-1"), scaling.ONE_QUEUE),
    Refusal("no queue", _scaled(region="eu-west-1"), scaling.ONE_QUEUE),
    Refusal("a queue nowhere", _scaled(url="http://aws:4566/000000000000/orders"), scaling.NO_REGION),
    Refusal("a queue of a variable nowhere", _scaled(urlFrom="URL"), scaling.NO_REGION),
    Refusal(
        "no pods without a queue", {"autoscaling": {"minReplicas": 0, "maxReplicas": 2}}, scaling.NEVER_BACK
    ),
    Refusal("a dependency on itself", {"dependsOn": ["web"]}, dependencies.ITSELF),
    Refusal(
        "a dependency twice",
        {"dependsOn": ["a", "a"]},
        'spec.dependsOn[1]: Duplicate value: "a"',
        "spec.dependsOn: Duplicate value: a",
    ),
    Refusal("no image", {"image": None}, "spec.image: Required value", "spec.image: is required"),
    Refusal(
        "an image with a space",
        {"image": "web: 1"},
        "must be the name of an image without spaces, such as registry.example.com/web:1.2",
    ),
    Refusal("two owners of the count", {"replicas": 1, "autoscaling": {"maxReplicas": 2}}, scaling.NOT_BOTH),
    Refusal(
        "two owners of a worker's count",
        {"workers": [_WORKER | {"replicas": 1, "autoscaling": {"maxReplicas": 2}}]},
        scaling.NOT_BOTH,
    ),
    Refusal(
        "a minimum above the maximum",
        {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}},
        scaling.MIN_ABOVE_MAX,
    ),
    Refusal(
        "a minimum above the maximum by default",
        {"autoscaling": {"maxReplicas": 0}},
        "spec.autoscaling.maxReplicas in body should be greater than or equal to 1",
        "spec.autoscaling.maxReplicas: Input should be greater than or equal to 1",
    ),
    Refusal(
        "less than no replicas",
        {"replicas": -1},
        "spec.replicas in body should be greater than or equal to 0",
        "spec.replicas: Input should be greater than or equal to 0",
    ),
    Refusal(
        "an unknown field", {"replcas": 2}, 'unknown field "spec.replcas"', "spec.replcas: unknown field"
    ),
    Refusal(
        "a field as Python spells it",
        {"image_pull_policy": "Always"},
        'unknown field "spec.image_pull_policy"',
        "spec.image_pull_policy: unknown field",
    ),
    Refusal(
        "an unknown field far below",
        {"workers": [_WORKER | {"autoscaling": {"maxReplica": 2}}]},
        'unknown field "spec.workers[0].autoscaling.maxReplica"',
        "spec.workers[0].autoscaling.maxReplica: unknown field",
    ),
    Refusal(
        "a number as text",
        {"port": "8080"},
        'spec.port in body must be of type integer: "string"',
        "spec.port: must be a whole number without quotes",
    ),
    Refusal("routes without a gateway", {"routes": [{"path": "/"}]}, spec.NO_GATEWAY),
    Refusal(
        "a bad method",
        {"gateway": _PUBLIC, "routes": [{"path": "/", "methods": ["FETCH"]}]},
        'spec.routes[0].methods[0]: Unsupported value: "FETCH"',
        "spec.routes[0].methods[0]: Input should be 'GET'",
    ),
    Refusal(
        "a method twice",
        {"gateway": _PUBLIC, "routes": [{"path": "/", "methods": ["GET", "GET"]}]},
        "spec.routes[0].methods[1]: Duplicate value",
        "spec.routes[0].methods: Duplicate value: GET",
    ),
    Refusal(
        "no method at all",
        {"gateway": _PUBLIC, "routes": [{"path": "/", "methods": []}]},
        "spec.routes[0].methods in body should have at least 1 items",
        "spec.routes[0].methods: List should have at least 1 item",
    ),
    Refusal(
        "a path without a slash",
        {"gateway": _PUBLIC, "routes": [{"path": "orders"}]},
        "path must begin with /",
    ),
    Refusal(
        "a path with more than one reading",
        {"gateway": _PUBLIC, "routes": [{"path": "/orders/../admin"}]},
        routing.AMBIGUOUS_PATH,
    ),
    Refusal(
        "more routes than there may be",
        {"gateway": _PUBLIC, "routes": [{"path": f"/{number}"} for number in range(129)]},
        "spec.routes: Too many: 129: must have at most 128 items",
        "spec.routes: List should have at most 128 items",
    ),
    Refusal(
        "two workers of one name",
        {"workers": [_WORKER, _WORKER]},
        'spec.workers[1]: Duplicate value: {"name":"relay"}',
        "spec.workers: Duplicate value: relay",
    ),
    Refusal(
        "a worker without a command",
        {"workers": [{"name": "relay"}]},
        "spec.workers[0].command: Required value",
        "spec.workers[0].command: is required",
    ),
    Refusal(
        "a worker whose Deployment would have too long a name",
        {"workers": [{"name": "w" * 40, "command": ["run"]}]},
        worker.NAME_TOO_LONG,
        name="s" * 23,
    ),
    Refusal("discovery under one label", {"discovery": {"hostname": "payment"}}, discovery.NOT_A_DNS_NAME),
    Refusal(
        "discovery in capitals",
        {"discovery": {"hostname": "Payment.shop.internal"}},
        discovery.NOT_A_DNS_NAME,
    ),
    Refusal("discovery with a dot at the end", {"discovery": {"hostname": "a.b."}}, discovery.NOT_A_DNS_NAME),
    Refusal(
        "discovery under a label that is too long",
        {"discovery": {"hostname": f"{'p' * 64}.internal"}},
        discovery.NOT_A_DNS_NAME,
    ),
    Refusal(
        "discovery under a name that is too long",
        {"discovery": {"hostname": ".".join(["p" * 50] * 5)}},
        "spec.discovery.hostname: Too long",
        "spec.discovery.hostname: String should have at most 253",
    ),
    Refusal(
        "discovery without a name",
        {"discovery": {}},
        "spec.discovery.hostname: Required value",
        "spec.discovery.hostname: is required",
    ),
    Refusal(
        "a name to which -discovery cannot be added",
        {"discovery": {"hostname": "payment.shop.internal"}},
        discovery.NAME_TOO_LONG_TO_DISCOVER,
        name="s" * 54,
    ),
    Refusal("a name that no Service may have", {}, shopservice.NAME, name="1st"),
    Refusal("a name with a dot", {}, shopservice.NAME, name="web.shop"),
    Refusal("two probes in one", _probe(httpGet={}, exec={"command": ["true"]}), probes.ONE_HANDLER),
    Refusal("a liveness probe that hesitates", _probe(successThreshold=2), probes.ONE_SUCCESS),
    Refusal(
        "a probe of a port that the container has not",
        _probe(tcpSocket={"port": "admin"}),
        "must be a number from 1 to 65535, or http for the container's own port",
    ),
    Refusal(
        "a worker that has nothing to be asked on",
        {"workers": [_WORKER | _probe(periodSeconds=5)]},
        worker.NOTHING_TO_ASK,
    ),
    Refusal(
        "a worker that is asked on a port it has not",
        {"workers": [_WORKER | _probe(httpGet={"port": "http"})]},
        worker.NOTHING_TO_ASK,
    ),
    Refusal(
        "a variable twice",
        {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        'spec.env[1]: Duplicate value: {"name":"A"}',
        "spec.env: Duplicate value: A",
    ),
    Refusal(
        "a variable with two values",
        {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        environment.ONE_VALUE,
    ),
    Refusal("a variable from nowhere", {"env": [{"name": "A", "valueFrom": {}}]}, environment.ONE_SOURCE),
    Refusal("variables from nowhere", {"envFrom": [{"prefix": "A_"}]}, environment.ONE_ORIGIN),
    Refusal(
        "a variable in a unit that it has not",
        {
            "env": [
                {
                    "name": "A",
                    "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1Mi"}},
                }
            ]
        },
        environment.DIVISOR,
    ),
    Refusal(
        "a variable from a field that no pod has",
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.color"}}}]},
        "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'],"
        " spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP or status.podIPs",
    ),
    Refusal(
        "a variable with = in its name",
        {"env": [{"name": "A=B"}]},
        "must be the name of an environment variable: printable ASCII characters except =, such as LOG_LEVEL",
    ),
    Refusal(
        "no quantity",
        {"resources": {"limits": {"memory": "much"}}},
        "spec.resources.limits.memory in body should match '^(?<quantity_such_as_100m_or_0_5_or_128Mi>",
        'spec.resources.limits.memory: must be a quantity such as 100m, "0.5" or 128Mi',
    ),
    Refusal(
        "a quantity with a space",
        {"resources": {"limits": {"cpu": "100 m"}}},
        "spec.resources.limits.cpu in body should match",
        "spec.resources.limits.cpu: must be a quantity",
    ),
    Refusal(
        "annotations for a ServiceAccount that is not ours",
        {"serviceAccount": {"name": "mine", "annotations": {"a": "b"}}},
        service_account.FOREIGN_ACCOUNT,
    ),
    Refusal(
        "pods that are all ended first and some more",
        {"rollout": {"type": "Recreate", "maxSurge": 1}},
        rollout.NO_SURGE,
    ),
    Refusal(
        "pods that are all ended first and one at a time",
        {"rollout": {"type": "Recreate", "maxUnavailable": 1}},
        rollout.NO_SURGE,
    ),
    Refusal(
        "a strategy that Kubernetes does not have",
        {"rollout": {"type": "Canary"}},
        'spec.rollout.type: Unsupported value: "Canary"',
        "spec.rollout.type: Input should be 'RollingUpdate' or 'Recreate'",
    ),
    Refusal(
        "a roll-out that is over before a pod counts",
        {"rollout": {"minReadySeconds": 300}},
        rollout.TOO_SHORT_A_DEADLINE,
    ),
    Refusal(
        "a deadline before a pod counts",
        {"rollout": {"minReadySeconds": 20, "progressDeadlineSeconds": 20}},
        rollout.TOO_SHORT_A_DEADLINE,
    ),
    Refusal(
        "two hooks in one",
        {"lifecycle": {"preStop": {"sleep": {"seconds": 1}, "exec": {"command": ["drain"]}}}},
        lifecycle.ONE_HOOK,
    ),
    Refusal(
        "a pause that is longer than the grace period",
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        lifecycle.TOO_LONG_A_PAUSE,
    ),
    Refusal(
        "a worker's pause that is longer than its grace period",
        {
            "workers": [
                _WORKER
                | {
                    "terminationGracePeriodSeconds": 5,
                    "lifecycle": {"postStart": {"sleep": {"seconds": 6}}},
                }
            ]
        },
        lifecycle.TOO_LONG_A_PAUSE,
    ),
    Refusal(
        "a request to a worker without a port",
        {"workers": [_WORKER | {"lifecycle": {"preStop": {"httpGet": {"port": "http"}}}}]},
        lifecycle.NOTHING_TO_CALL,
    ),
    Refusal(
        "a filter without what its type names",
        _routed(filters=[{"type": "URLRewrite"}]),
        route_filters.ONE_FILTER,
    ),
    Refusal(
        "a filter of another type than it says",
        _routed(filters=[{"type": "URLRewrite", "urlRewrite": {}, "requestRedirect": {}}]),
        route_filters.ONE_FILTER,
    ),
    Refusal(
        "a filter twice",
        _routed(filters=[{"type": "URLRewrite", "urlRewrite": {"hostname": each}} for each in ("a", "b")]),
        routing.FILTER_TWICE,
    ),
    Refusal(
        "a redirect of what is rewritten",
        _routed(
            filters=[
                {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}},
                {"type": "URLRewrite", "urlRewrite": {"hostname": "a"}},
            ]
        ),
        routing.REDIRECTED,
    ),
    Refusal(
        "a redirect to weighted backends",
        _routed(
            filters=[{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}],
            backendRefs=[{"name": "web"}],
        ),
        routing.REDIRECTED,
    ),
    Refusal(
        "a prefix in place of a whole path",
        _routed(pathType="Exact", filters=[_replacing("URLRewrite", "ReplacePrefixMatch", "/v2")]),
        routing.NO_PREFIX,
    ),
    Refusal(
        "a prefix in place of a whole path by a redirect",
        _routed(pathType="Exact", filters=[_replacing("RequestRedirect", "ReplacePrefixMatch", "")]),
        routing.NO_PREFIX,
    ),
    Refusal(
        "a replacement of another type than it says",
        _routed(filters=[_replacing("URLRewrite", "ReplaceFullPath", "/v2")]),
        route_filters.ONE_REPLACEMENT,
    ),
    Refusal(
        "an attempt that may take longer than the whole request",
        _routed(timeouts={"request": "1s", "backendRequest": "1001ms"}),
        routing.TOO_LONG_A_TIMEOUT,
    ),
    Refusal(
        "a time without a unit",
        _routed(timeouts={"request": "10"}),
        "must be a duration with its unit, such as 10s, 500ms or 1m30s",
    ),
    Refusal(
        "backends that get nothing",
        _routed(backendRefs=[{"name": "web", "weight": 0}]),
        routing.NO_WEIGHT,
    ),
    Refusal(
        "a backend twice",
        _routed(backendRefs=[{"name": "web"}, {"name": "web"}]),
        'spec.routes[0].backendRefs[1]: Duplicate value: {"name":"web"}',
        "spec.routes[0].backendRefs: Duplicate value: web",
    ),
    Refusal(
        "a header twice",
        _routed(headers=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        'spec.routes[0].headers[1]: Duplicate value: {"name":"A"}',
        "spec.routes[0].headers: Duplicate value: A",
    ),
    Refusal(
        "a header's name with a space",
        _routed(headers=[{"name": "A B", "value": "1"}]),
        "must be a name without spaces: letters, digits and !#$%&'*+-.^_`|~, such as X-Request-Id",
    ),
    *(
        Refusal(
            f"a common label {key} that is the operator's",
            {"commonMetadata": {"labels": {key: "a"}}},
            common_metadata.OWNED_LABEL,
        )
        for key in ("app.kubernetes.io/part-of", "shopservice.dev/name")
    ),
    *(
        Refusal(
            f"a common annotation {key} that is for others to set",
            {"commonMetadata": {"annotations": {key: "a"}}},
            common_metadata.OWNED_ANNOTATION,
        )
        for key in (
            "shopservice.dev/applied-hash",
            "external-dns.kubernetes.io/hostname",
            "external-dns.alpha.kubernetes.io/hostname",
            "deployment.kubernetes.io/revision",
            "kubectl.kubernetes.io/last-applied-configuration",
        )
    ),
    Refusal("a common label that is none", {"commonMetadata": {"labels": {"a b": "c"}}}, NO_KEY),
    Refusal(
        "a common annotation that is none",
        {"commonMetadata": {"annotations": {"a/b/c": "d"}}},
        NO_KEY,
    ),
    Refusal(
        "no namespace of a gateway's proxies",
        {"networkPolicy": {"gatewayNamespaces": []}},
        "spec.networkPolicy.gatewayNamespaces in body should have at least 1 items",
        "spec.networkPolicy.gatewayNamespaces: List should have at least 1 item",
    ),
    Refusal(
        "variables as a map",
        {"env": {"A": "b"}},
        'unknown field "spec.env.A"',
        "spec.env: must be a list, such as [{name: GREETING, value: hello}]",
    ),
    Refusal(
        "workers as a map",
        {"workers": {"relay": {"command": ["relay"]}}},
        'unknown field "spec.workers.relay"',
        "spec.workers: must be a list: begin each item with a hyphen",
    ),
    Refusal(
        "a prefix with = in it",
        {"envFrom": [{"prefix": "A=", "secretRef": {"name": "a"}}]},
        "must be the name of an environment variable: printable ASCII characters except =, such as LOG_LEVEL",
    ),
    Refusal(
        "a queue in a variable with = in its name",
        _scaled(urlFrom="A=B", region="eu-west-1"),
        "must be the name of an environment variable: printable ASCII characters except =, such as LOG_LEVEL",
    ),
    Refusal(
        "a queue without a scheme",
        _scaled(url="sqs.eu-west-1.amazonaws.com/1/orders", region="eu-west-1"),
        "must be a URL that begins with https:// or http://, without spaces",
    ),
    Refusal(
        "a region that is none",
        _scaled(url=_URL, region="Ireland"),
        "must be an AWS region, such as eu-west-1",
    ),
    Refusal(
        "the name of an object in capitals",
        {"serviceAccount": {"name": "Mine"}},
        "must be the name of an object: lowercase letters, digits, '-' and '.', with a letter or digit first and last",
    ),
    Refusal(
        "a key with a slash",
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "a/b"}}}]},
        "must be a key of a ConfigMap or Secret: letters, digits, '-', '_' and '.', such as app.yaml",
    ),
    Refusal(
        "a resource that no container has",
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}}]},
        "must be limits or requests, a dot, and cpu, memory or ephemeral-storage, such as limits.memory",
    ),
    Refusal(
        "a probe's header with a colon",
        _probe(httpGet={"httpHeaders": [{"name": "Host:", "value": "a"}]}),
        "must be the name of an HTTP header: letters, digits and '-', such as X-Request-Id",
    ),
    Refusal(
        "a probe's path without a slash",
        _probe(httpGet={"path": "healthz"}),
        "path must begin with /",
    ),
    Refusal(
        "a hook's path without a slash",
        {"lifecycle": {"preStop": {"httpGet": {"path": "drain"}}}},
        "path must begin with /",
    ),
    Refusal(
        "a path with a space",
        _routed(path="/a b"),
        "path must contain only letters, digits, / and -._~!$&'()*+,;=:@; write any other character as % and two hexadecimal digits",
    ),
    Refusal(
        "metrics on a path with a space", {"monitoring": {"path": "/a b"}}, "path must not contain spaces"
    ),
    Refusal(
        "a host name with a scheme",
        _routed(hostnames=["https://shop.example.com"]),
        "must be a lowercase hostname without scheme and port, such as shop.example.com or *.example.com",
    ),
    Refusal(
        "a host name in place of another with a port",
        _routed(filters=[{"type": "URLRewrite", "urlRewrite": {"hostname": "shop:80"}}]),
        "must be a lowercase hostname without scheme and port, such as shop.example.com",
    ),
    Refusal(
        "a group in capitals",
        _routed(filters=[{"type": "ExtensionRef", "extensionRef": {"group": "A", "kind": "A", "name": "a"}}]),
        "must be a lowercase API group, such as traefik.io, or empty for the core group",
    ),
    Refusal(
        "a kind with a dot",
        _routed(
            filters=[{"type": "ExtensionRef", "extensionRef": {"group": "", "kind": "a.b", "name": "a"}}]
        ),
        "must be a kind, such as Middleware",
    ),
    Refusal(
        "a namespace with a dot",
        {"gateway": {"name": "public", "namespace": "a.b"}},
        "must be the name of a namespace: lowercase letters, digits and '-', with a letter or digit first and last",
    ),
    Refusal(
        "a worker's name in capitals",
        {"workers": [{"name": "Relay", "command": ["relay"]}]},
        _DNS_LABEL,
    ),
    Refusal(
        "a pod's label with a space in its value",
        {"podTemplate": {"metadata": {"labels": {"team": "check out"}}}},
        "must be the value of a label: letters, digits, '-', '_' and '.', with a letter or digit first and last",
    ),
    Refusal(
        "a selected value with a space",
        {"networkPolicy": {"ingress": [{"from": [{"podSelector": {"matchLabels": {"a": "b c"}}}]}]}},
        'podSelector.matchLabels[a]: Invalid value: "string": must be the value of a label: letters',
        "podSelector.matchLabels.a: must be the value of a label: letters",
    ),
    *(
        Refusal(f"a key with a space in {above}", spec, NO_KEY)
        for above, spec in (
            ("podTemplate.metadata.labels", {"podTemplate": {"metadata": {"labels": {"a b": "c"}}}}),
            (
                "podTemplate.metadata.annotations",
                {"podTemplate": {"metadata": {"annotations": {"a b": "c"}}}},
            ),
            ("monitoring.labels", {"monitoring": {"labels": {"a b": "c"}}}),
            ("serviceAccount.annotations", {"serviceAccount": {"annotations": {"a b": "c"}}}),
        )
    ),
    *(
        Refusal(f"{port!r} as the name of a port", _to_port(port), network_policy.NO_PORT_NAME)
        for port in ("-a", "a-", "a--b", "A", "a_b", "1-2", "")
    ),
    *(
        Refusal(f"{share!r} as a share", {"rollout": {"maxSurge": share}}, shares.NO_SHARE)
        for share in ("25", "101%", "-1%", "")
    ),
    Refusal(
        "a share of what is available that is none",
        {"replicas": 3, "disruption": {"minAvailable": "most"}},
        shares.NO_SHARE,
    ),
]

names = st.from_regex(r"\A[a-z]([-a-z0-9]{0,18}[a-z0-9])?\Z")

# Keys that Kubernetes itself knows; a schema cannot list them.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "requests": ("cpu", "memory", "ephemeral-storage"),
    "limits": ("cpu", "memory", "ephemeral-storage"),
    "annotations": ("a", "example.com/b", "eks.amazonaws.com/role-arn"),
    "labels": ("a", "example.com/b"),
    "matchLabels": ("a", "example.com/b"),
}


@st.composite
def documents(draw: st.DrawFn, schema: Mapping[str, Any] = SPEC_SCHEMA, field: str = "") -> Any:
    """What a structural schema allows. The rules between fields may be broken by it."""
    if "properties" in schema:
        required = set(schema.get("required", ()))
        optional = sorted(schema["properties"].keys() - required)
        chosen = draw(st.lists(st.sampled_from(optional), unique=True, max_size=4)) if optional else []
        fields = [*sorted(required), *chosen]
        return {name: draw(documents(schema["properties"][name], name)) for name in fields}
    return draw(_values(schema, field))


# Parts of a pod's spec, of which the schema says nothing: good ones, and some that the operator refuses.
_POD_SPECS: tuple[dict[str, Any], ...] = (
    {},
    {"priorityClassName": "high"},
    {"nodeSelector": {"kubernetes.io/arch": "arm64"}, "hostUsers": False},
    {"containers": [{"name": "app", "env": [{"name": "SIDE", "value": "1"}]}]},
    {"containers": [{"name": "app", "image": "other"}]},
    {"restartPolicy": "Never"},
)
_SAMPLES: Mapping[str, tuple[str, ...]] = {
    # Its rule is CEL, for the sentence; hardly any text at random would meet it.
    "cidr": ("10.0.0.0/8", "fd00::/8"),
    "except": ("10.1.0.0/16",),
    "path": ("/", "/a", "/orders/1", "/%41", "a", ""),
    "hostname": ("payment.shop.internal", "1.2-3", "payment", "A.internal", "a..b", "a.b-", ""),
}


def _values(schema: Mapping[str, Any], field: str) -> st.SearchStrategy[Any]:
    if field in _SAMPLES:
        return st.sampled_from(_SAMPLES[field])
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return _quantities(schema) if "pattern" in schema else st.sampled_from(_POD_SPECS)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "additionalProperties" in schema:
        values = documents(schema["additionalProperties"])
        return st.dictionaries(st.sampled_from(_KEYS[field]), values, max_size=3)
    if "x-kubernetes-int-or-string" in schema:
        return _integers(schema) | _strings(schema)
    made = {"integer": _integers, "string": _strings, "array": _lists, "boolean": _booleans}
    return made[schema["type"]](schema)


def _in_rules(schema: Mapping[str, Any]) -> str:
    """The pattern that a rule holds a text to, empty for none."""
    ruled = (each["rule"] for each in schema.get("x-kubernetes-validations", ()))
    found = (re.fullmatch(r'(?:type\(self\) == int \|\| )?self\.matches\(r"(.*)"\)', each) for each in ruled)
    return next((each[1] for each in reversed(list(found)) if each), "")


def _quantities(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    numbers = st.integers(0, 10**12) | st.floats(0, 10**6, allow_subnormal=False)
    return numbers | _strings(schema)


def _booleans(_: Mapping[str, Any]) -> st.SearchStrategy[bool]:
    return st.booleans()


def _integers(schema: Mapping[str, Any]) -> st.SearchStrategy[int]:
    return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**31 - 1))


def _strings(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 64)
    pattern = python_pattern(schema.get("pattern") or _in_rules(schema))
    if not pattern:
        return st.text(st.characters(codec="utf-8"), min_size=least, max_size=min(most, 20))
    anchored = pattern if pattern.endswith("$") else pattern + "[!-~]*$"
    return st.from_regex(re.compile(rf"{anchored[:-1]}\Z", re.ASCII)).filter(
        lambda text: least <= len(text) <= most
    )


def _lists(schema: Mapping[str, Any]) -> st.SearchStrategy[list[Any]]:
    keys = schema.get("x-kubernetes-list-map-keys", ())
    distinct = keys or schema.get("x-kubernetes-list-type") == "set"

    def identity(item: Any) -> Any:
        return tuple(item[key] for key in keys) if keys else item

    return st.lists(
        documents(schema["items"]),
        min_size=schema.get("minItems", 0),
        max_size=3,
        unique_by=identity if distinct else None,
    )


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """The same document with one thing in it replaced by something of any kind."""
    if isinstance(document, dict) and document and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(document)))
        return document | {key: draw(changed(document[key]))}
    if isinstance(document, list) and document and draw(st.integers(0, 9)):
        index = draw(st.integers(0, len(document) - 1))
        return [*document[:index], draw(changed(document[index])), *document[index + 1 :]]
    if isinstance(document, dict) and draw(st.booleans()):
        return document | {"unknown": 1}
    if isinstance(document, list) and document and draw(st.booleans()):
        return [*document, document[0]]
    return draw(
        st.sampled_from(
            [[], {}, "", " ", "x" * 5000, -1, 0, 10**9, True, None, "http", "GET", [""], [{}], [None]]
        )
        | st.text(st.characters(codec="utf-8"), max_size=3)
    )
