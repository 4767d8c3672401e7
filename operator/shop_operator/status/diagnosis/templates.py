"""The pods of one pod template: a Deployment, or a Rollout, has pods of several while it replaces them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from shop_operator.names import REVISION_ANNOTATION, ROLLOUTS_HASH_LABEL, ROLLOUTS_REVISION_ANNOTATION
from shop_operator.objects.lenient import digits
from shop_operator.status.diagnosis.findings import Pod

_HASHES: Final = (ROLLOUTS_HASH_LABEL, "pod-template-hash")


def hashes(pods: Iterable[Pod]) -> set[str]:
    """The pod-template-hash of every pod that is not being deleted."""
    return {template_hash(pod) for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def latest(replicasets: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The ReplicaSet with the highest revision, among those of a Rollout if there are any; None without any."""
    return max(replicasets, key=_revision, default=None)


def of_template(pods: Iterable[dict[str, Any]], template: str | None) -> list[dict[str, Any]]:
    """The pods of one pod template; all pods for None."""
    return [pod for pod in pods if template is None or template_hash(pod) == template]


def of_newest(
    pods: Iterable[dict[str, Any]], replicasets: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The pods of the newest template of each Deployment, and the pods of unknown ReplicaSets."""
    by_owner: dict[str, list[Mapping[str, Any]]] = {}
    for each in replicasets:
        owners = each["metadata"].get("ownerReferences") or ()
        by_owner.setdefault(next((o["uid"] for o in owners if o.get("controller")), ""), []).append(each)
    every = {template_hash(each) for group in by_owner.values() for each in group}
    old = every - {template_hash(found) for group in by_owner.values() if (found := latest(group))}
    return [pod for pod in pods if template_hash(pod) not in old]


def template_hash(obj: Mapping[str, Any]) -> str:
    """The pod-template-hash of a pod or a ReplicaSet; empty without one."""
    return hash_selector(obj).partition("=")[2]


def hash_selector(obj: Mapping[str, Any]) -> str:
    """The label selector for the pods of the template of a pod or a ReplicaSet; empty without a hash."""
    labels = obj["metadata"].get("labels") or {}
    return next((f"{key}={labels[key]}" for key in _HASHES if key in labels), "")


def _revision(replicaset: Mapping[str, Any]) -> tuple[int, int]:
    annotations = replicaset["metadata"].get("annotations") or {}
    ours, theirs = (
        digits(annotations.get(key)) for key in (ROLLOUTS_REVISION_ANNOTATION, REVISION_ANNOTATION)
    )
    return (ours, theirs)
