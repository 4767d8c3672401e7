"""The verdict on a Deployment: its newest template runs in as many available pods as wanted, and no old pod is left.

A Deployment that has completed the rollout of its newest template is not rolling out again when it is scaled or loses a pod.
A paused Deployment waits until it is resumed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from shop_operator.api.v1alpha1.rollout import DEADLINE_SECONDS
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.objects.summary import Summary
from shop_operator.status.dependencies import GRACE
from shop_operator.status.diagnosis import Diagnosis
from shop_operator.status.verdicts.verdict import (
    READY_VERDICT,
    Input,
    Known,
    Summaries,
    Verdict,
    first_answer,
)
from shop_operator.wording import clause, number

SCALING: Final = "is scaling to "
"""The start of the message about a Deployment that is being scaled."""
OVER: Final = "; the rollout exceeded its progress deadline"
"""Between the cause and the seconds of the deadline."""
_DEADLINE: Final = "ProgressDeadlineExceeded"
_ROLLED_OUT: Final = "NewReplicaSetAvailable"
_UNCREATED: Final = "ReplicaSetCreateError"
# The reasons for which the diagnosis of a pod is more precise.
_DIAGNOSED: Final = frozenset({"RollingOut", "Scaling", "PodsUnavailable", _DEADLINE})
_POD_NAME: Final = re.compile(r'pods "[^"]*" is forbidden: ')
_REPLICASET_NAME: Final = re.compile(
    r'Failed to create new replica set "[^"]*": (?P<refusal>replicasets\.apps "[^"]*" is forbidden: )?'
)


class _Deployment(NamedTuple):
    """The fields that the checks read.

    Attributes:
        name: of the Deployment.
        wanted: the wanted count of pods.
        replicas: the count of pods.
        updated: the count of pods of the newest template.
        available: the count of available pods.
        observed: whether its status and conditions are about its current spec.
        paused: whether its rollout is paused.
        progressing: its Progressing condition; empty without one.
        failure: its ReplicaFailure condition; empty without one.
        scaling: whether its wanted count has changed and has not been reached yet.
        uncreated: whether its newest template has had no ReplicaSet for as long as the deadline.
        deadline: its progress deadline, in seconds.
    """

    name: str
    wanted: int
    replicas: int
    updated: int
    available: int
    observed: bool
    paused: bool
    progressing: Mapping[str, Any]
    failure: Mapping[str, Any]
    scaling: bool
    uncreated: bool
    deadline: int

    @property
    def late(self) -> bool:
        """Whether its controller reports that the deadline is exceeded."""
        return self.progressing.get("reason") == _DEADLINE

    @property
    def old(self) -> int:
        """The count of pods of earlier templates."""
        return self.replicas - self.updated

    @property
    def settled(self) -> bool:
        """Whether no rollout is in progress."""
        return (self.paused or self.progressing.get("reason") == _ROLLED_OUT) and self.old <= 0


def _read(
    name: str,
    summary: Summary,
    *,
    scaling: bool = False,
    uncreated: bool = False,
    deadline: int = DEADLINE_SECONDS,
) -> _Deployment:
    state = summary.get("status", {})
    conditions = {each["type"]: each for each in state.get("conditions", ())}
    return _Deployment(
        name,
        summary["spec"].get("replicas", 1),
        state.get("replicas", 0),
        state.get("updatedReplicas", 0),
        state.get("availableReplicas", 0),
        state.get("observedGeneration", 0) >= summary["metadata"].get("generation", 0),
        bool(summary.get("paused")),
        conditions.get("Progressing", _NONE),
        conditions.get("ReplicaFailure", _NONE),
        scaling,
        uncreated,
        deadline,
    )


_NONE: Final[Mapping[str, Any]] = {}


def judge(child: Input) -> Verdict:
    """Judge a Deployment, with the diagnosis of its pods in place of a less precise reason."""
    known, name = child.known, child.name
    if ("Rollout", name) in child.children and not child.summary["spec"].get("replicas", 1):
        # The verdict on the Rollout is the verdict on its pods.
        return READY_VERDICT
    read = _read(
        name,
        child.summary,
        scaling=name in known.scaling,
        uncreated=name in known.uncreated,
        deadline=child.deadline,
    )
    verdict = first_answer(_CHAIN, read)
    return READY_VERDICT if verdict.ready else _diagnosed(verdict, known.diagnoses.get(name), child.deadline)


def absent(known: Known) -> Verdict:
    """The verdict on a Deployment that does not exist yet."""
    if known.held and known.dependencies is not None:
        return Verdict(
            ready=False,
            reason="WaitingForDependencies",
            message=f"is waiting for dependencies (starts anyway {GRACE.seconds} s after the ShopService was created):"
            f" {clause(known.dependencies.message)}",
        )
    return Verdict(ready=False, reason="Creating", message="is being created")


def _without_replicaset(deployment: _Deployment) -> Verdict | None:
    if not _lacks_replicaset(deployment):
        return None
    return _without_pods(deployment, deployment.progressing, late=deployment.uncreated)


def _unobserved(deployment: _Deployment) -> Verdict | None:
    if deployment.observed:
        return None
    # Its conditions are about an earlier version.
    rolled_out = deployment.progressing.get("reason") == _ROLLED_OUT
    return Verdict(
        ready=False,
        reason="Scaling" if deployment.scaling and rolled_out else "RollingOut",
        message="has not been observed by the Deployment controller yet",
    )


def _refused(deployment: _Deployment) -> Verdict | None:
    if deployment.failure.get("status") != "True":
        return None
    return _without_pods(deployment, deployment.failure, late=deployment.late)


def _past_deadline(deployment: _Deployment) -> Verdict | None:
    if not deployment.late:
        return None
    return Verdict(
        ready=False,
        reason=_DEADLINE,
        message=f"rollout exceeded its progress deadline ({deployment.deadline} s):"
        f" {deployment.available} of {number(deployment.wanted, 'pod')} available",
        stuck=True,
        overdue=True,
    )


def _paused(deployment: _Deployment) -> Verdict | None:
    if not (deployment.paused and (deployment.updated < deployment.wanted or deployment.old > 0)):
        return None
    return Verdict(
        ready=False,
        reason="RolloutPaused",
        message=f"rollout is paused: {deployment.updated} of {number(deployment.wanted, 'pod')} updated;"
        f" resume it with `kubectl rollout resume deployment/{deployment.name}`",
        stuck=True,
    )


def _being_scaled(deployment: _Deployment) -> Verdict | None:
    if not deployment.settled:
        return None
    wanted = deployment.wanted
    if deployment.replicas > wanted or (deployment.scaling and deployment.available < wanted):
        message = f"{SCALING}{number(wanted, 'pod')}: {deployment.available} available"
        return Verdict(ready=False, reason="Scaling", message=message)
    return None


def _pods_lost(deployment: _Deployment) -> Verdict | None:
    if not (deployment.settled and deployment.available < deployment.wanted):
        return None
    return Verdict(ready=False, reason="PodsUnavailable", message=_available(deployment))


def _complete(deployment: _Deployment) -> Verdict | None:
    return READY_VERDICT if deployment.settled else None


def _rolling_out(deployment: _Deployment) -> Verdict | None:
    """The progress, in the words of `kubectl rollout status`."""
    if deployment.updated < deployment.wanted:
        message = f"{deployment.updated} of {number(deployment.wanted, 'pod')} updated"
    elif deployment.old > 0:
        message = f"{number(deployment.old, 'old pod')} terminating"
    elif deployment.available < deployment.wanted:
        message = _available(deployment)
    else:
        return None
    return Verdict(ready=False, reason="RollingOut", message=message)


_REPORTED: Final = (
    _unobserved,
    _refused,
    _past_deadline,
    _paused,
    _being_scaled,
    _pods_lost,
    _complete,
    _rolling_out,
)
_CHAIN: Final = (_without_replicaset, *_REPORTED)


def _available(deployment: _Deployment) -> str:
    return f"{deployment.available} of {number(deployment.wanted, 'pod')} available"


def _lacks_replicaset(deployment: _Deployment) -> bool:
    """Whether the cluster does not allow the ReplicaSet of the newest template.

    The controller then writes only this condition: neither observedGeneration, nor that the deadline is exceeded. The
    condition remains for a while after the template returns to one whose ReplicaSet exists and has pods.
    """
    if deployment.progressing.get("reason") != _UNCREATED:
        return False
    # Complete counts are those of a ReplicaSet that was deleted: otherwise the condition would have been removed.
    complete = deployment.available == deployment.replicas == deployment.updated
    return not deployment.observed or not deployment.updated or complete


def _without_pods(deployment: _Deployment, condition: Mapping[str, Any], *, late: bool) -> Verdict:
    """A quota, a policy or a missing ServiceAccount prevents the pods or the ReplicaSet. The cause remains after the deadline."""
    cause = _POD_NAME.sub("pods are forbidden: ", condition.get("message", ""))
    cause = clause(_REPLICASET_NAME.sub(_replicasets, cause)) or "no details reported"
    over = f"{OVER} ({deployment.deadline} s)" if late else ""
    reason = condition.get("reason", "")
    return Verdict(
        ready=False,
        reason=reason if reason in {"FailedCreate", "FailedDelete", _UNCREATED} else "ReplicaFailure",
        message=f"{cause}{over}",
        stuck=late,
        overdue=late,
    )


def _replicasets(found: re.Match[str]) -> str:
    return f"ReplicaSets {'are forbidden' if found['refusal'] else 'cannot be created'}: "


def _diagnosed(verdict: Verdict, found: Diagnosis | None, deadline: int) -> Verdict:
    """The verdict with the diagnosis as its cause, which remains after the deadline."""
    if found is None or verdict.reason not in _DIAGNOSED:
        return verdict
    over = f"{OVER} ({deadline} s)" if verdict.overdue else ""
    return replace(verdict, reason=found.reason, message=f"{clause(found.message)}{over}")


# What the Deployments alone report, before anything else is known.


def own_words(shop: ShopService, name: str, summary: Summary) -> frozenset[str]:
    """The messages of a status about a Deployment of which only its own status is known."""
    deadline = deadline_of(shop)
    return frozenset(
        first_answer(_REPORTED, _read(name, summary, scaling=scaling, deadline=deadline)).message
        for scaling in (False, True)
    )


def deadline_of(shop: ShopService) -> int:
    """The progress deadline of its Deployments, in seconds."""
    return (shop.spec.rollout and shop.spec.rollout.progress_deadline_seconds) or DEADLINE_SECONDS


def waiting(children: Summaries) -> frozenset[str]:
    """The Deployments with pods that are not available."""
    return frozenset(
        name
        for name, deployment in _deployments(children)
        if deployment.replicas > deployment.available and not first_answer(_REPORTED, deployment).ready
    )


def overdue(children: Summaries) -> dict[str, int]:
    """The Deployments that report that their deadline is exceeded, with their generations."""
    return {
        name: children["Deployment", name]["metadata"]["generation"]
        for name, deployment in _deployments(children)
        if deployment.observed and deployment.late
    }


def uncreated(children: Summaries) -> set[tuple[str, int]]:
    """The Deployments whose newest ReplicaSet the cluster does not allow, with their generations."""
    return {
        (name, children["Deployment", name]["metadata"].get("generation", 0))
        for name, deployment in _deployments(children)
        if _lacks_replicaset(deployment)
    }


def _deployments(children: Summaries) -> Iterator[tuple[str, _Deployment]]:
    for (kind, name), summary in children.items():
        if kind == "Deployment":
            yield name, _read(name, summary)
