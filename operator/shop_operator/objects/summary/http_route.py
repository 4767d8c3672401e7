"""The summary of an HTTPRoute."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from shop_operator.names import CANARY_SUFFIX, NAME_LABEL
from shop_operator.objects.lenient import mapping, mappings, number, shallow, text, texts
from shop_operator.objects.summary.conditions import Summary, conditions_of

# In levels of nesting; the Gateway API has 4.
_DEEPEST_MATCH: Final = 16


class LiveRoute(NamedTuple):
    """The hostnames and rules of an HTTPRoute in the cluster.

    Args:
        hostnames: hostnames, sorted.
        rules: `rule_id` of every rule.
        canary: the percentage of the requests that the new version gets in a canary release; None if no rule has it as a backend.
    """

    hostnames: tuple[str, ...]
    rules: tuple[str, ...]
    canary: int | None = None

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "LiveRoute":
        """From the summary of an HTTPRoute."""
        return cls(tuple(kept["spec"]["hostnames"]), tuple(kept["spec"]["rules"]), kept["spec"].get("canary"))


def rule_id(rule: Mapping[str, Any]) -> str:
    """The identity of a rule of an HTTPRoute, 8 hex digits: a hash of its matches, without filters and backends."""
    matches = orjson.dumps(shallow(rule.get("matches"), _DEEPEST_MATCH), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(matches, digest_size=4).hexdigest()


def fields(obj: Mapping[str, Any]) -> Summary:
    """The fields of an HTTPRoute in its summary."""
    spec, parents = mapping(obj.get("spec")), mappings(mapping(obj.get("status")).get("parents"))
    metadata = obj["metadata"]
    name = mapping(metadata.get("labels")).get(NAME_LABEL)
    created = text(metadata.get("creationTimestamp"))
    rules = mappings(spec.get("rules"))
    weights = [
        number(backend.get("weight"))
        for rule in rules
        for backend in mappings(rule.get("backendRefs"))
        if name is not None and backend.get("name") == f"{name}{CANARY_SUFFIX}"
    ]
    return {
        "metadata": {"creationTimestamp": created} if created else {},
        "spec": {
            "parentRefs": [
                {**each, "name": text(each.get("name"))} for each in mappings(spec.get("parentRefs"))
            ],
            **({"canary": weights[0]} if weights else {}),
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
                    "conditions": conditions_of(parent),
                    **({"ref": ref} if (ref := mapping(parent.get("parentRef"))) else {}),
                }
                for parent in parents
            ]
        },
    }
