"""The summary of a Deployment."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shop_operator.names import (
    CHECKSUM_ANNOTATION,
    FIELD_MANAGER,
    KEPT_COUNT_ANNOTATION,
    PART_OF_LABEL,
    PORT_NAME,
)
from shop_operator.objects.lenient import mapping, mappings, number, text
from shop_operator.objects.summary.conditions import Summary, conditions_of

_URL: Final = re.compile(r"http://(?P<host>[^/:]+):(?P<port>[0-9]{1,5})$")
_MEASURED: Final = ("cpu", "memory")
# As FieldsV1 names the label of a pod template.
_PART_OF_OWNED: Final = ("f:spec", "f:template", "f:metadata", "f:labels", f"f:{PART_OF_LABEL}")
_ROLLED_OUT: Final = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
)


def fields(obj: Mapping[str, Any]) -> Summary:
    """The fields of a Deployment in its summary."""
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
            "conditions": conditions_of(state),
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
    called = ports_in_urls(text(obj["metadata"].get("namespace")), containers)
    return kept | ({"calls": called} if called else {})


def ports_in_urls(namespace: str, containers: Iterable[Mapping[str, Any]]) -> dict[str, int]:
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
