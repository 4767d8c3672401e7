"""Specs for tests: a table of what is refused and in which words, and any spec that the CRD's schema allows for.

The same specs go to the models (a unit test) and to a real API server (an integration test), so that the two cannot come to
different verdicts.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from shop_operator import policies
from shop_operator import spec as words
from shop_operator.crd import crd

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


def _probe(**probe: Any) -> dict[str, Any]:
    return {"probes": {"liveness": probe}}


REFUSALS = [
    Refusal("no bound of a disruption", {"disruption": {}}, policies.ONE_BOUND),
    Refusal(
        "two bounds of a disruption",
        {"disruption": {"minAvailable": 1, "maxUnavailable": 1}},
        policies.ONE_BOUND,
    ),
    Refusal("a disruption of no pod", {"disruption": {"maxUnavailable": 0}}, policies.NEVER_DISRUPTED),
    Refusal("a disruption of no part", {"disruption": {"maxUnavailable": "0%"}}, policies.NEVER_DISRUPTED),
    Refusal("all pods always", {"disruption": {"minAvailable": "100%"}}, policies.NEVER_DISRUPTED),
    Refusal("every replica", {"replicas": 2, "disruption": {"minAvailable": 2}}, policies.NEVER_DISRUPTED),
    Refusal(
        "a percentage that is every replica",
        {"autoscaling": {"minReplicas": 2, "maxReplicas": 4}, "disruption": {"minAvailable": "51%"}},
        policies.NEVER_DISRUPTED,
    ),
    Refusal(
        "no share",
        {"disruption": {"maxUnavailable": "many"}},
        "spec.disruption.maxUnavailable in body should match",
        "spec.disruption.maxUnavailable: must be a number of pods or a percentage such as 25%",
    ),
    Refusal("a roll-out without room", {"rollout": {"maxSurge": 0}}, policies.NO_PROGRESS),
    Refusal(
        "a roll-out without any room",
        {"rollout": {"maxSurge": "0%", "maxUnavailable": 0}},
        policies.NO_PROGRESS,
    ),
    Refusal(
        "a peer that is two", {"networkPolicy": {"ingress": [{"from": [_TWO_PEERS]}]}}, policies.ONE_PEER
    ),
    Refusal("a peer that is none", {"networkPolicy": {"egress": [{"to": [{}]}]}}, policies.ONE_PEER),
    Refusal(
        "values for a label that must exist",
        {"networkPolicy": {"ingress": [{"from": [_selecting(operator="Exists", values=["a"])]}]}},
        policies.FOREIGN_VALUES,
    ),
    Refusal(
        "no values for a label that must have some",
        {"networkPolicy": {"egress": [{"to": [_selecting(operator="In")]}]}},
        policies.FOREIGN_VALUES,
    ),
    Refusal(
        "no port",
        {"networkPolicy": {"egress": [{"ports": [{"port": 0}]}]}},
        "spec.networkPolicy.egress[0].ports[0].port in body should be greater than or equal to 1",
        "spec.networkPolicy.egress[0].ports[0].port: must be a number from 1 to 65535 or the name of a port",
    ),
    Refusal(
        "a range that ends before it begins",
        {"networkPolicy": {"egress": [{"ports": [{"port": 9, "endPort": 8}]}]}},
        policies.NO_RANGE,
    ),
    Refusal(
        "a range that begins with a name",
        {"networkPolicy": {"egress": [{"ports": [{"port": "http", "endPort": 8}]}]}},
        policies.NO_RANGE,
    ),
    Refusal(
        "a range without a beginning",
        {"networkPolicy": {"ingress": [{"ports": [{"endPort": 8}]}]}},
        policies.NO_RANGE,
    ),
    Refusal(
        "a port's name without a letter",
        {"networkPolicy": {"ingress": [{"ports": [{"port": "80"}]}]}},
        "spec.networkPolicy.ingress[0].ports[0].port in body should match",
        "spec.networkPolicy.ingress[0].ports[0].port: must be a number from 1 to 65535 or the name of a port",
    ),
    Refusal(
        "an address without a mask",
        {"networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.1"}}]}]}},
        "spec.networkPolicy.egress[0].to[0].ipBlock.cidr in body should match",
        "spec.networkPolicy.egress[0].to[0].ipBlock.cidr: String should match",
    ),
    Refusal(
        "an address that there is not",
        {"networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.256/32"}}]}]}},
        "spec.networkPolicy.egress[0].to[0].ipBlock.cidr in body should match",
        "spec.networkPolicy.egress[0].to[0].ipBlock.cidr: String should match",
    ),
    Refusal(
        "a label with two slashes",
        {"networkPolicy": {"egress": [{"to": [_selecting(operator="Exists", key="a/b/c")]}]}},
        "matchExpressions[0].key in body should match",
        "matchExpressions[0].key: String should match",
    ),
    Refusal(
        "a dependency that is no name",
        {"dependsOn": ["Product"]},
        "spec.dependsOn[0] in body should match",
        "spec.dependsOn[0]: String should match",
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
        "spec.monitoring.interval in body should match",
        "spec.monitoring.interval: String should match",
    ),
    Refusal("two queues", _scaled(url=_URL, urlFrom="URL", region="eu-west-1"), policies.ONE_QUEUE),
    Refusal("no queue", _scaled(region="eu-west-1"), policies.ONE_QUEUE),
    Refusal("a queue nowhere", _scaled(url="http://aws:4566/000000000000/orders"), policies.NO_REGION),
    Refusal("a queue of a variable nowhere", _scaled(urlFrom="URL"), policies.NO_REGION),
    Refusal(
        "no pods without a queue", {"autoscaling": {"minReplicas": 0, "maxReplicas": 2}}, words.NEVER_BACK
    ),
    Refusal("a dependency on itself", {"dependsOn": ["web"]}, words.ITSELF),
    Refusal(
        "a dependency twice",
        {"dependsOn": ["a", "a"]},
        'spec.dependsOn[1]: Duplicate value: "a"',
        "spec.dependsOn: Duplicate value: a",
    ),
    Refusal("no image", {"image": None}, "spec.image: Required value", "spec.image: Input should be a valid"),
    Refusal(
        "an image with a space",
        {"image": "web: 1"},
        "spec.image: Invalid value",
        "spec.image: String should match",
    ),
    Refusal("two owners of the count", {"replicas": 1, "autoscaling": {"maxReplicas": 2}}, words.NOT_BOTH),
    Refusal(
        "two owners of a worker's count",
        {"workers": [_WORKER | {"replicas": 1, "autoscaling": {"maxReplicas": 2}}]},
        words.NOT_BOTH,
    ),
    Refusal(
        "a minimum above the maximum",
        {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}},
        words.MIN_ABOVE_MAX,
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
        "spec.port: Input should be a valid integer",
    ),
    Refusal("routes without a gateway", {"routes": [{"path": "/"}]}, words.NO_GATEWAY),
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
        "spec.routes[0].path in body should match",
        "spec.routes[0].path: String should match",
    ),
    Refusal(
        "a path with more than one reading",
        {"gateway": _PUBLIC, "routes": [{"path": "/orders/../admin"}]},
        words.AMBIGUOUS_PATH,
    ),
    Refusal(
        "more matches than an HTTPRoute may have",
        {
            "gateway": _PUBLIC,
            "routes": [
                {
                    "path": f"/{number}",
                    "methods": [
                        "GET",
                        "HEAD",
                        "POST",
                        "PUT",
                        "DELETE",
                        "CONNECT",
                        "OPTIONS",
                        "TRACE",
                        "PATCH",
                    ],
                }
                for number in range(15)
            ],
        },
        words.TOO_MANY_MATCHES,
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
        words.NAME_TOO_LONG,
        name="s" * 23,
    ),
    Refusal("discovery under one label", {"discovery": {"hostname": "payment"}}, words.NOT_A_DNS_NAME),
    Refusal(
        "discovery in capitals", {"discovery": {"hostname": "Payment.shop.internal"}}, words.NOT_A_DNS_NAME
    ),
    Refusal("discovery with a dot at the end", {"discovery": {"hostname": "a.b."}}, words.NOT_A_DNS_NAME),
    Refusal(
        "discovery under a label that is too long",
        {"discovery": {"hostname": f"{'p' * 64}.internal"}},
        words.NOT_A_DNS_NAME,
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
        words.NAME_TOO_LONG_TO_DISCOVER,
        name="s" * 54,
    ),
    Refusal("a name that no Service may have", {}, words.NAME, name="1st"),
    Refusal("a name with a dot", {}, words.NAME, name="web.shop"),
    Refusal("two probes in one", _probe(httpGet={}, exec={"command": ["true"]}), words.ONE_HANDLER),
    Refusal("a liveness probe that hesitates", _probe(successThreshold=2), words.ONE_SUCCESS),
    Refusal(
        "a probe of a port that the container has not",
        _probe(tcpSocket={"port": "admin"}),
        "spec.probes.liveness.tcpSocket.port in body should match",
        "spec.probes.liveness.tcpSocket.port: must be a number from 1 to 65535, or http",
    ),
    Refusal(
        "a worker that has nothing to be asked on",
        {"workers": [_WORKER | _probe(periodSeconds=5)]},
        words.NOTHING_TO_ASK,
    ),
    Refusal(
        "a worker that is asked on a port it has not",
        {"workers": [_WORKER | _probe(httpGet={"port": "http"})]},
        words.NOTHING_TO_ASK,
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
        words.ONE_VALUE,
    ),
    Refusal("a variable from nowhere", {"env": [{"name": "A", "valueFrom": {}}]}, words.ONE_SOURCE),
    Refusal("variables from nowhere", {"envFrom": [{"prefix": "A_"}]}, words.ONE_ORIGIN),
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
        words.DIVISOR,
    ),
    Refusal(
        "a variable from a field that no pod has",
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.color"}}}]},
        "spec.env[0].valueFrom.fieldRef.fieldPath in body should match",
        "spec.env[0].valueFrom.fieldRef.fieldPath: String should match",
    ),
    Refusal(
        "a variable with = in its name",
        {"env": [{"name": "A=B"}]},
        "spec.env[0].name in body should match",
        "spec.env[0].name: String should match",
    ),
    Refusal(
        "no quantity",
        {"resources": {"limits": {"memory": "much"}}},
        "spec.resources.limits.memory in body should match",
        'spec.resources.limits.memory: must be a quantity such as 100m, "0.5" or 128Mi',
    ),
    Refusal(
        "a quantity finer than Kubernetes keeps",
        {"resources": {"limits": {"cpu": "0.0001"}}},
        "spec.resources.limits.cpu in body should match",
        "spec.resources.limits.cpu: must be a quantity",
    ),
    Refusal(
        "annotations for a ServiceAccount that is not ours",
        {"serviceAccount": {"name": "mine", "annotations": {"a": "b"}}},
        words.FOREIGN_ACCOUNT,
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
    "hostname": ("payment.shop.internal", "1.2-3", "payment", "A.internal", "a..b", "a.b-", ""),
}


def _values(schema: Mapping[str, Any], field: str) -> st.SearchStrategy[Any]:
    if field in _SAMPLES:
        return st.sampled_from(_SAMPLES[field])
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.sampled_from(_POD_SPECS)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "additionalProperties" in schema:
        values = documents(schema["additionalProperties"])
        return st.dictionaries(st.sampled_from(_KEYS[field]), values, max_size=3)
    if "x-kubernetes-int-or-string" in schema:
        return _integers(schema) | _strings(schema)
    made = {"integer": _integers, "string": _strings, "array": _lists, "boolean": _booleans}
    return made[schema["type"]](schema)


def _booleans(_: Mapping[str, Any]) -> st.SearchStrategy[bool]:
    return st.booleans()


def _integers(schema: Mapping[str, Any]) -> st.SearchStrategy[int]:
    return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**31 - 1))


def _strings(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 64)
    if "pattern" not in schema:
        return st.text(st.characters(codec="utf-8"), min_size=least, max_size=min(most, 20))
    anchored = schema["pattern"] if schema["pattern"].endswith("$") else schema["pattern"] + "[!-~]*$"
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
        st.sampled_from([[], {}, "", " ", "x" * 5000, -1, 0, 10**9, True, "http", "GET", [""], [{}]])
        | st.text(st.characters(codec="utf-8"), max_size=3)
    )
