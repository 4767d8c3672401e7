"""Summaries of live children: the few fields that the cache keeps of an object after the comparison, for its verdict.

Paths are the same as in the object, so a verdict reads a summary like the object. Fields that change continually (the time of a
probe, a measurement of an autoscaler) are omitted: a change that leaves the summary as it is causes no reconcile.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from shop_operator.objects.lenient import number
from shop_operator.objects.summary import autoscaler, deployment, http_route, network_policy, rollout, service
from shop_operator.objects.summary.conditions import Summary

__all__ = ["Summary", "summary"]

_BY_KIND: Final[Mapping[str, Callable[[Mapping[str, Any]], Summary]]] = {
    "Deployment": deployment.fields,
    "Rollout": rollout.fields,
    "HorizontalPodAutoscaler": autoscaler.fields,
    "ScaledObject": autoscaler.fields_of_scaled_object,
    "HTTPRoute": http_route.fields,
    "Service": service.fields,
    "NetworkPolicy": network_policy.fields,
}


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
