"""The summary of a Service."""

from collections.abc import Mapping
from typing import Any

from shop_operator.names import COMPONENT_LABEL, FIELD_MANAGER, NAME_LABEL, PORT_NAME, ROLLOUTS_HASH_LABEL
from shop_operator.objects.discovery import registered
from shop_operator.objects.lenient import mapping, mappings, number, text
from shop_operator.objects.summary.conditions import Summary


def fields(obj: Mapping[str, Any]) -> Summary:
    """The operator's ports that target the port of the container, the current one first, and the hostname with its creation time.

    `picks` is true if Argo Rollouts has restricted the selector to the pods of one version. A port that another manager has added in place of the operator's is omitted, since no client uses it.
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
    selector = dict(mapping(mapping(obj.get("spec")).get("selector")))
    name = mapping(obj["metadata"].get("labels")).get(NAME_LABEL)
    picks = bool(selector.pop(ROLLOUTS_HASH_LABEL, None)) and selector == {
        NAME_LABEL: name,
        COMPONENT_LABEL: "web",
    }
    return {
        **({"picks": True} if picks else {}),
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


def old_port_name(port: int) -> str:
    """The name of an earlier port in the Service."""
    return f"{PORT_NAME}-{port}"
