"""Summaries of live children: the few fields that the cache keeps of an object after the comparison, for its verdict.

Paths are the same as in the object, so a verdict reads a summary like the object. Fields that change continually (the time of a
probe, a measurement of an autoscaler) are omitted: a change that leaves the summary as it is causes no reconcile.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from shop_operator.names import (
    CHECKSUM_ANNOTATION,
    FIELD_MANAGER,
    KEPT_COUNT_ANNOTATION,
    NAME_LABEL,
    PART_OF_LABEL,
    PORT_NAME,
)
from shop_operator.objects.discovery import registered
from shop_operator.objects.lenient import mapping, mappings, number, shallow, text, texts

Summary = dict[str, Any]

# In levels of nesting; the Gateway API has 4.
_DEEPEST_MATCH: Final = 16
# Limits of the rules of a NetworkPolicy: levels of nesting, of which the API has 10, and bytes of JSON.
_DEEPEST_RULE: Final = 32
_LARGEST_RULES: Final = 32 * 1024
_DIRECTIONS: Final = ("ingress", "egress")

_URL: Final = re.compile(r"http://(?P<host>[^/:]+):(?P<port>[0-9]{1,5})$")
_MEASURED: Final = ("cpu", "memory")
_PAUSED_ANNOTATION: Final = "autoscaling.keda.sh/paused"
_PAUSED_COUNT_ANNOTATION: Final = "autoscaling.keda.sh/paused-replicas"
# As FieldsV1 names the label of a pod template.
_PART_OF_OWNED: Final = ("f:spec", "f:template", "f:metadata", "f:labels", f"f:{PART_OF_LABEL}")
_ROLLED_OUT: Final = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
)


class LiveRoute(NamedTuple):
    """The hostnames and rules of an HTTPRoute in the cluster.

    Args:
        hostnames: hostnames, sorted.
        rules: `rule_id` of every rule.
    """

    hostnames: tuple[str, ...]
    rules: tuple[str, ...]

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "LiveRoute":
        """From the summary of an HTTPRoute."""
        return cls(tuple(kept["spec"]["hostnames"]), tuple(kept["spec"]["rules"]))


def rule_id(rule: Mapping[str, Any]) -> str:
    """The identity of a rule of an HTTPRoute, 8 hex digits: a hash of its matches, without filters and backends."""
    matches = orjson.dumps(shallow(rule.get("matches"), _DEEPEST_MATCH), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(matches, digest_size=4).hexdigest()


def summary(obj: Mapping[str, Any]) -> Summary:
    """The summary of an object. It always has `metadata`."""
    metadata = obj["metadata"]
    kept: Summary = {"metadata": {}}
    if "deletionTimestamp" in metadata:
        kept["metadata"] |= {
            key: metadata[key] for key in ("deletionTimestamp", "finalizers") if key in metadata
        }
    more = _BY_KIND.get(obj["kind"])
    if more is not None:
        kept["metadata"]["generation"] = number(metadata.get("generation"))
        found = more(obj)
        kept["metadata"] |= found.pop("metadata", {})
        kept |= found
    return kept


def _deployment(obj: Mapping[str, Any]) -> Summary:
    spec, state = mapping(obj.get("spec")), mapping(obj.get("status"))
    template = mapping(spec.get("template"))
    containers = mappings(mapping(template.get("spec")).get("containers"))
    marks = [
        mapping(mapping(each.get("metadata")).get("annotations")).get(CHECKSUM_ANNOTATION)
        for each in (obj, template)
    ]
    replicas = spec.get("replicas")
    return {
        # Checksums of the configuration, of the Deployment and of its pods.
        **({"checksums": marks} if any(marks) else {}),
        **_part_of(obj),
        # By container. Not in spec, which gets a second owner as a whole during the hand-over of replicas to an autoscaler.
        "images": {text(each.get("name")): text(each.get("image")) or None for each in containers},
        "spec": {"replicas": replicas if isinstance(replicas, int) else 1},
        **({"paused": True} if spec.get("paused") else {}),
        **({"kept": True} if KEPT_COUNT_ANNOTATION in mapping(obj["metadata"].get("annotations")) else {}),
        **_unrequested(containers),
        **_retained(obj, containers),
        "status": {
            **{key: number(state[key]) for key in _ROLLED_OUT if key in state},
            "conditions": _conditions_of(state),
        },
    }


def _retained(obj: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> Summary:
    """Requirements of the pods of this template: their ServiceAccount, their port, and the ports of their dependencies."""
    kept: Summary = {}
    pod = mapping(mapping(mapping(obj.get("spec")).get("template")).get("spec"))
    account = text(pod.get("serviceAccountName"))
    if account:
        kept["account"] = account
    # A Service uses the first of several ports with the same name.
    served = (
        number(port.get("containerPort"))
        for container in containers
        for port in mappings(container.get("ports"))
        if port.get("name") == PORT_NAME and port.get("protocol", "TCP") == "TCP"
    )
    port = next(served, None)
    if port is not None:
        kept["port"] = port
    called = calls(text(obj["metadata"].get("namespace")), containers)
    return kept | ({"calls": called} if called else {})


def calls(namespace: str, containers: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The ports in the URLs that containers use for other ShopServices of their namespace, by name of the ShopService.

    If several URLs name the same ShopService, the variable for a dependency takes precedence.
    """
    suffix = f".{namespace}.svc"
    urls = [
        (text(variable.get("name")), found["host"].removesuffix(suffix), int(found["port"]))
        for container in containers
        for variable in mappings(container.get("env"))
        if (found := _URL.match(text(variable.get("value")))) and found["host"].endswith(suffix)
    ]
    urls.sort(key=lambda each: each[0] == url_variable(each[1]))
    return {name: port for _, name, port in urls}


def url_variable(dependency: str) -> str:
    """The name of the environment variable with the URL of a dependency, such as PRODUCT_URL."""
    return f"{dependency.upper().replace('-', '_')}_URL"


def _service(obj: Mapping[str, Any]) -> Summary:
    """The operator's ports that target the port of the container, the current one first, and the hostname with its creation time.

    A port that another manager has added in place of the operator's is omitted, since no client uses it.
    """
    owned = _owned_ports(obj)
    found = [
        (each.get("name") != PORT_NAME, number(each.get("port")))
        for each in mappings(mapping(obj.get("spec")).get("ports"))
        if each.get("targetPort") == PORT_NAME
        and each.get("name") in {PORT_NAME, old_port_name(number(each.get("port")))}
        and (owned is None or f'k:{{"port":{each.get("port")},"protocol":"TCP"}}' in owned)
    ]
    hostname, created = registered(obj), text(obj["metadata"].get("creationTimestamp"))
    return {
        "ports": [port for _, port in sorted(found, key=lambda each: each[0])],
        **({"hostname": hostname, "metadata": {"creationTimestamp": created}} if hostname else {}),
    }


def _owned_ports(obj: Mapping[str, Any]) -> set[str] | None:
    """The ports that the operator has applied, as keys of FieldsV1; None if managedFields have no apply by the operator."""
    applied = [
        mapping(mapping(mapping(each.get("fieldsV1")).get("f:spec")).get("f:ports"))
        for each in mappings(mapping(obj.get("metadata")).get("managedFields"))
        if each.get("manager") == FIELD_MANAGER and each.get("operation") == "Apply"
    ]
    return {key for ports in applied for key in ports} if applied else None


def _network_policy(obj: Mapping[str, Any]) -> Summary:
    """The rules that the operator has applied. A direction that another manager has edited belongs to that manager."""
    spec = mapping(obj.get("spec"))
    applied = [
        mapping(mapping(each.get("fieldsV1")).get("f:spec"))
        for each in mappings(mapping(obj.get("metadata")).get("managedFields"))
        if each.get("manager") == FIELD_MANAGER and each.get("operation") == "Apply"
    ]
    rules = {
        direction: mappings(spec.get(direction))
        for direction in _DIRECTIONS
        if any(f"f:{direction}" in fields for fields in applied)
    }
    rules = shallow(rules, _DEEPEST_RULE)
    return {"rules": rules} if len(orjson.dumps(rules)) <= _LARGEST_RULES else {}


def old_port_name(port: int) -> str:
    """The name of an earlier port in the Service."""
    return f"{PORT_NAME}-{port}"


def _unrequested(containers: Iterable[Mapping[str, Any]]) -> Summary:
    """The containers without a request, by resource. A limit counts as a request."""
    lacking = {
        resource: names
        for resource in _MEASURED
        if (names := [text(each.get("name")) for each in containers if not _requests(each, resource)])
    }
    return {"unrequested": lacking} if lacking else {}


def _requests(container: Mapping[str, Any], resource: str) -> bool:
    resources = mapping(container.get("resources"))
    return any(resource in mapping(resources.get(key)) for key in ("requests", "limits"))


def _part_of(obj: Mapping[str, Any]) -> Summary:
    """The part-of label of the pods, if the operator owns it and not another manager."""
    template = mapping(mapping(obj.get("spec")).get("template"))
    value = mapping(mapping(template.get("metadata")).get("labels")).get(PART_OF_LABEL)
    managed = mappings(obj["metadata"].get("managedFields"))
    ours = (each.get("fieldsV1") for each in managed if each.get("manager") == FIELD_MANAGER)
    return {"partOf": value} if value is not None and any(map(_owns_part_of, ours)) else {}


def _owns_part_of(fields: Any) -> bool:
    for key in _PART_OF_OWNED:
        if not isinstance(fields, dict) or key not in fields:
            return False
        fields = fields[key]
    return True


def _conditions(obj: Mapping[str, Any]) -> Summary:
    """The conditions without their messages, which contain measurements."""
    return {"status": {"conditions": _conditions_of(mapping(obj.get("status")), "type", "status", "reason")}}


def _autoscaler(obj: Mapping[str, Any]) -> Summary:
    """The conditions, the desired replica count and its target, which both outlive a deleted Deployment, and the metrics.

    A metric that is a share of requests appears as its resource and its container, if it measures only one: in `shares` if the
    spec has it, in `measured` if the status has a measurement. Measurements themselves are omitted.
    """
    kept = _conditions(obj)
    kept["status"]["desiredReplicas"] = number(mapping(obj.get("status")).get("desiredReplicas"))
    scaled = text(mapping(mapping(obj.get("spec")).get("scaleTargetRef")).get("name"))
    kept |= {"scales": scaled} if scaled else {}
    shares = [
        [text(found.get("name")), found.get("container")]
        for metric in mappings(mapping(obj.get("spec")).get("metrics"))
        if (found := mapping(metric.get("resource") or metric.get("containerResource")))
        and mapping(found.get("target")).get("type") == "Utilization"
    ]
    # A metric without a measurement has an empty current value.
    measured = [
        [text(found.get("name")), found.get("container")]
        for metric in mappings(mapping(obj.get("status")).get("currentMetrics"))
        if (found := mapping(metric.get("resource") or metric.get("containerResource")))
        and "averageUtilization" in mapping(found.get("current"))
    ]
    return kept | ({"shares": shares} if shares else {}) | ({"measured": measured} if measured else {})


def _scaled_object(obj: Mapping[str, Any]) -> Summary:
    """The conditions, and whether an annotation pauses the ScaledObject."""
    annotations = mapping(obj["metadata"].get("annotations"))
    # KEDA parses the value like Go parses a Boolean, and every other value counts as true.
    runs = text(annotations.get(_PAUSED_ANNOTATION, "false")).lower() in {"false", "f", "0"}
    paused = _PAUSED_COUNT_ANNOTATION in annotations or not runs
    return _conditions(obj) | ({"paused": True} if paused else {})


def _route(obj: Mapping[str, Any]) -> Summary:
    spec, parents = mapping(obj.get("spec")), mappings(mapping(obj.get("status")).get("parents"))
    metadata = obj["metadata"]
    name = mapping(metadata.get("labels")).get(NAME_LABEL)
    created = text(metadata.get("creationTimestamp"))
    rules = mappings(spec.get("rules"))
    return {
        "metadata": {"creationTimestamp": created} if created else {},
        "spec": {
            "parentRefs": [
                {**each, "name": text(each.get("name"))} for each in mappings(spec.get("parentRefs"))
            ],
            "hostnames": sorted(texts(spec.get("hostnames"))),
            "rules": [rule_id(each) for each in rules],
            "ports": sorted(
                {
                    number(backend.get("port"))
                    for rule in rules
                    for backend in mappings(rule.get("backendRefs"))
                    if backend.get("name") == name
                }
            ),
        },
        "status": {
            "parents": [
                {
                    "conditions": _conditions_of(parent),
                    **({"ref": ref} if (ref := mapping(parent.get("parentRef"))) else {}),
                }
                for parent in parents
            ]
        },
    }


def _conditions_of(state: Mapping[str, Any], *keys: str) -> list[Summary]:
    """The conditions of a status, all with a type and a status."""
    return [
        {"status": "Unknown", **_condition(each, *keys)}
        for each in mappings(state.get("conditions"))
        if isinstance(each.get("type"), str)
    ]


def _condition(
    condition: Mapping[str, Any],
    *keys: str,
) -> Summary:
    kept = keys or ("type", "status", "reason", "message", "observedGeneration")
    return {key: condition[key] for key in kept if isinstance(condition.get(key), _TYPES.get(key, str))}


_TYPES: Final[Mapping[str, type]] = {"observedGeneration": int}
_BY_KIND: Final[Mapping[str, Callable[[Mapping[str, Any]], Summary]]] = {
    "Deployment": _deployment,
    "HorizontalPodAutoscaler": _autoscaler,
    "ScaledObject": _scaled_object,
    "HTTPRoute": _route,
    "Service": _service,
    "NetworkPolicy": _network_policy,
}
