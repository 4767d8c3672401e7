"""What is kept of a live child once it was compared: what its verdict needs, as small as it gets.

The paths are those of the object itself, so a verdict reads a summary as it would read the object. What changes while
nothing happens (the time of a probe, a measurement of an autoscaler) is not in it: two states with the same summary cost
no pass.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

Summary = dict[str, Any]

CHECKSUM_ANNOTATION: Final = "shopservice.dev/config-checksum"
"""A container reads its variables once, so that a ConfigMap or Secret that changes needs new pods."""
_ROLLED_OUT: Final = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
)


def summary(obj: Mapping[str, Any]) -> Summary:
    """The summary of one object; always with `metadata`."""
    metadata = obj["metadata"]
    kept: Summary = {"metadata": {}}
    if "deletionTimestamp" in metadata:
        kept["metadata"] |= {
            key: metadata[key] for key in ("deletionTimestamp", "finalizers") if key in metadata
        }
    more = _BY_KIND.get(obj["kind"])
    if more is not None:
        kept["metadata"]["generation"] = metadata.get("generation", 0)
        kept |= more(obj)
    return kept


def _deployment(obj: Mapping[str, Any]) -> Summary:
    state = obj.get("status") or {}
    marks = [
        (each.get("metadata", {}).get("annotations") or {}).get(CHECKSUM_ANNOTATION)
        for each in (obj, obj["spec"].get("template", {}))
    ]
    return {
        # Of the configuration: on the Deployment itself, on its pods.
        **({"checksums": marks} if any(marks) else {}),
        # By container. Not in spec, all of which gets a second owner when replicas pass to an autoscaler.
        "images": {
            each["name"]: each.get("image")
            for each in obj["spec"].get("template", {}).get("spec", {}).get("containers") or ()
        },
        "spec": {"replicas": obj["spec"].get("replicas", 1)},
        "status": {
            **{key: state[key] for key in _ROLLED_OUT if key in state},
            "conditions": [_condition(each) for each in state.get("conditions") or ()],
        },
    }


def _conditions(obj: Mapping[str, Any]) -> Summary:
    """Without the messages, which tell of every measurement."""
    found = (obj.get("status") or {}).get("conditions") or ()
    return {"status": {"conditions": [_condition(each, "type", "status", "reason") for each in found]}}


def _route(obj: Mapping[str, Any]) -> Summary:
    parents = (obj.get("status") or {}).get("parents") or ()
    return {
        "spec": {"parentRefs": obj["spec"].get("parentRefs") or []},
        "status": {
            "parents": [
                {"conditions": [_condition(each) for each in parent.get("conditions") or ()]}
                for parent in parents
            ]
        },
    }


def _condition(
    condition: Mapping[str, Any],
    *keys: str,
) -> Summary:
    kept = keys or ("type", "status", "reason", "message", "observedGeneration")
    return {key: condition[key] for key in kept if key in condition}


_BY_KIND: Final[Mapping[str, Callable[[Mapping[str, Any]], Summary]]] = {
    "Deployment": _deployment,
    "HorizontalPodAutoscaler": _conditions,
    "ScaledObject": _conditions,
    "HTTPRoute": _route,
}
