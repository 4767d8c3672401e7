"""How each child is: ready, on its way, or stuck, and why. Pure.

A Deployment that has rolled out its newest template once is not rolling out when it is scaled or loses a pod; a paused one
waits for whoever paused it. An autoscaler counts as broken only after a while without a measurement, or without a controller
that reads it, unless its Deployment shows that there can never be one.
"""

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shop_operator.api.v1alpha1.policies import DEADLINE_SECONDS
from shop_operator.api.v1alpha1.spec import ShopService
from shop_operator.render.workloads import workloads
from shop_operator.status.dependencies import GRACE, Dependencies
from shop_operator.status.diagnosis import Diagnosis
from shop_operator.wording import clause, listed, number

Child = Mapping[str, Any]
Children = Mapping[tuple[str, str], Child]

DEADLINE: Final = "ProgressDeadlineExceeded"
ROLLED_OUT: Final = "NewReplicaSetAvailable"
UNCREATED: Final = "ReplicaSetCreateError"
NOT_SCALING: Final = "AutoscalerNotWorking"
SCALING: Final = "is scaling to "
CANNOT_SCALE: Final = "cannot scale"
OVER: Final = "; the rollout exceeded its progress deadline"
"""Between the cause and the seconds of the deadline."""
ON_ITS_WAY: Final = frozenset({"Creating", "RollingOut", "Scaling", "Terminating", "WaitingForDependencies"})
"""Reasons that end by themselves in the usual course of things."""
AUTOSCALERS: Final = ("HorizontalPodAutoscaler", "ScaledObject")
# What the diagnosis of a pod says more about.
_DIAGNOSED: Final = frozenset({"RollingOut", "Scaling", "PodsUnavailable", DEADLINE})
_DECISIVE: Final = frozenset({"Deployment", "HTTPRoute", "Service", "ServiceAccount"})
# An HPA of no pods measures nothing on purpose.
_ON_PURPOSE: Final = "ScalingDisabled"
# By kind, what is said of one that no controller has read.
_UNHANDLED: Final = {
    "HorizontalPodAutoscaler": "not processed by the HorizontalPodAutoscaler controller",
    "ScaledObject": "not accepted by KEDA",
}
_POD_NAME: Final = re.compile(r'pods "[^"]*" is forbidden: ')
_REPLICASET_NAME: Final = re.compile(
    r'Failed to create new replica set "[^"]*": (?P<refusal>replicasets\.apps "[^"]*" is forbidden: )?'
)


@dataclass(frozen=True)
class Verdict:
    """How one child is.

    Args:
        ready: it does what it is for.
        reason: one word, when it does not.
        message: a clause, when it does not.
        stuck: it will not get ready by itself.
        overdue: it has not been rolled out within its deadline.
        decisive: the ShopService is not ready without it.
    """

    ready: bool
    reason: str = ""
    message: str = ""
    stuck: bool = False
    overdue: bool = False
    decisive: bool = True


@dataclass(frozen=True)
class Known:
    """What a verdict needs beside the children themselves.

    Args:
        dependencies: what the ShopService depends on, None when on nothing.
        held: whether there are no pods because of them.
        diagnoses: what is known of pods that do not get ready, by the name of their Deployment.
        scaling: the Deployments whose wanted count has changed and is not reached yet.
        unscaled: the autoscalers (kind, name) that have not worked for a while.
        uncreated: the Deployments that have had no ReplicaSet for their newest template for as long as their deadline.
    """

    dependencies: Dependencies | None = None
    held: bool = False
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    scaling: AbstractSet[str] = frozenset()
    unscaled: AbstractSet[tuple[str, str]] = frozenset()
    uncreated: AbstractSet[str] = frozenset()


def verdicts(
    shop: ShopService, children: Children, known: Known
) -> Iterator[tuple[tuple[str, str], Verdict]]:
    """Judge every live child, and every Deployment that should be there and is not."""
    if not shop.spec.suspend:
        absent = _absent(known)
        for workload in workloads(shop):
            if ("Deployment", workload.name) not in children:
                yield ("Deployment", workload.name), absent
    deadline = deadline_of(shop)
    for key, child in children.items():
        kind, name = key
        if "deletionTimestamp" in child["metadata"]:
            yield key, _decided(kind, Verdict(ready=False, reason="Terminating", message="is being deleted"))
        elif kind == "Deployment":
            verdict = uncreated(child, late=name in known.uncreated, deadline=deadline) or deployment(
                name, child, scaling=name in known.scaling, deadline=deadline
            )
            yield key, _diagnosed(verdict, known.diagnoses.get(name), deadline)
        elif kind in AUTOSCALERS:
            yield key, _autoscaler(key, children, known.unscaled)
        elif kind == "HTTPRoute":
            yield key, _route(child)
        else:
            yield key, Verdict(ready=True)


def own_words(shop: ShopService, name: str, child: Child) -> frozenset[str]:
    """What a status may say of a Deployment while nothing is known but the Deployment itself."""
    deadline = deadline_of(shop)
    return frozenset(
        deployment(name, child, scaling=scaling, deadline=deadline).message for scaling in (False, True)
    )


def deadline_of(shop: ShopService) -> int:
    """Seconds within which a rollout of its Deployments must make progress."""
    return (shop.spec.rollout and shop.spec.rollout.progress_deadline_seconds) or DEADLINE_SECONDS


def _decided(kind: str, verdict: Verdict) -> Verdict:
    return replace(verdict, decisive=kind in _DECISIVE)


def _absent(known: Known) -> Verdict:
    if known.held and known.dependencies is not None:
        return Verdict(
            ready=False,
            reason="WaitingForDependencies",
            message=f"is waiting for dependencies (starts anyway {GRACE.seconds} s after the ShopService was created):"
            f" {clause(known.dependencies.message)}",
        )
    return Verdict(ready=False, reason="Creating", message="is being created")


def deployment(
    name: str, child: Child, *, scaling: bool = False, deadline: int = DEADLINE_SECONDS
) -> Verdict:
    """Rolled out: the newest template, in as many pods as wanted, all available, and no old pod left."""
    spec, state = child["spec"], child.get("status", {})
    conditions = {each["type"]: each for each in state.get("conditions", ())}
    wanted = spec.get("replicas", 1)
    progressing = conditions.get("Progressing", {}).get("reason")
    if state.get("observedGeneration", 0) < child["metadata"].get("generation", 0):
        # What its conditions say is about an earlier version.
        reason = "Scaling" if scaling and progressing == ROLLED_OUT else "RollingOut"
        return Verdict(
            ready=False, reason=reason, message="has not been observed by the Deployment controller yet"
        )
    late = progressing == DEADLINE
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return _without_pods(failure, late=late, deadline=deadline)
    if late:
        available = state.get("availableReplicas", 0)
        return Verdict(
            ready=False,
            reason=DEADLINE,
            message=f"rollout exceeded its progress deadline ({deadline} s): {available} of {number(wanted, 'pod')} available",
            stuck=True,
            overdue=True,
        )
    return _on_its_way(name, child, wanted, scaling=scaling, rolled_out=progressing == ROLLED_OUT)


def uncreated(child: Child, *, late: bool = False, deadline: int = DEADLINE_SECONDS) -> Verdict | None:
    """How a Deployment is that has no ReplicaSet for its newest template, since the cluster does not allow one; None for others.

    Its controller writes nothing but one condition then: no observedGeneration, and never that the deadline is over. The
    condition stays for a while after the template went back to one that has a ReplicaSet, of which there are pods.
    """
    state = child["status"]
    failure: Child = next((each for each in state["conditions"] if each["type"] == "Progressing"), {})
    if failure.get("reason") != UNCREATED:
        return None
    behind = state.get("observedGeneration", 0) < child["metadata"].get("generation", 0)
    updated = state.get("updatedReplicas", 0)
    # The counts of one that has everything are of a ReplicaSet that was deleted: complete, the condition would have gone.
    complete = state.get("availableReplicas", 0) == state.get("replicas", 0) == updated
    return _without_pods(failure, late=late, deadline=deadline) if behind or not updated or complete else None


def _without_pods(failure: Mapping[str, Any], *, late: bool, deadline: int) -> Verdict:
    """There can be no pods, or no ReplicaSet: a quota, a policy, a missing ServiceAccount. The cause stays when the deadline is over."""
    said = _POD_NAME.sub("pods are forbidden: ", failure.get("message", ""))
    said = clause(_REPLICASET_NAME.sub(_replicasets, said)) or "no details reported"
    over = f"{OVER} ({deadline} s)" if late else ""
    reason = failure.get("reason", "")
    return Verdict(
        ready=False,
        reason=reason if reason in {"FailedCreate", "FailedDelete", UNCREATED} else "ReplicaFailure",
        message=f"{said}{over}",
        stuck=late,
        overdue=late,
    )


def _replicasets(found: re.Match[str]) -> str:
    return f"ReplicaSets {'are forbidden' if found['refusal'] else 'cannot be created'}: "


def _on_its_way(name: str, child: Child, wanted: int, *, scaling: bool, rolled_out: bool) -> Verdict:
    """What is still missing, in the words of `kubectl rollout status`; ready when nothing is."""
    state = child.get("status", {})
    there, updated, available = (
        state.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")
    )
    old = there - updated
    paused = bool(child.get("paused"))
    if paused and (updated < wanted or old > 0):
        return Verdict(
            ready=False,
            reason="RolloutPaused",
            message=f"rollout is paused: {updated} of {number(wanted, 'pod')} updated;"
            f" resume it with `kubectl rollout resume deployment/{name}`",
            stuck=True,
        )
    if (rolled_out or paused) and old <= 0:
        if there > wanted or (scaling and available < wanted):
            message = f"{SCALING}{number(wanted, 'pod')}: {available} available"
            return Verdict(ready=False, reason="Scaling", message=message)
        if available < wanted:
            message = f"{available} of {number(wanted, 'pod')} available"
            return Verdict(ready=False, reason="PodsUnavailable", message=message)
        return Verdict(ready=True)
    if updated < wanted:
        behind = f"{updated} of {number(wanted, 'pod')} updated"
    elif old > 0:
        behind = f"{number(old, 'old pod')} terminating"
    elif available < wanted:
        behind = f"{available} of {number(wanted, 'pod')} available"
    else:
        return Verdict(ready=True)
    return Verdict(ready=False, reason="RollingOut", message=behind)


def _diagnosed(verdict: Verdict, found: Diagnosis | None, deadline: int) -> Verdict:
    """With the cause in front, which stays when the deadline is over."""
    if found is None or verdict.reason not in _DIAGNOSED:
        return verdict
    over = f"{OVER} ({deadline} s)" if verdict.overdue else ""
    return replace(verdict, reason=found.reason, message=f"{clause(found.message)}{over}")


def failing(children: Children) -> frozenset[tuple[str, str]]:
    """The autoscalers that say that they do not work."""
    return frozenset(
        key for key, child in children.items() if key[0] in AUTOSCALERS and _failure(key[0], child)
    )


def _failure(kind: str, child: Child) -> str:
    """The reason that an autoscaler gives for not working, empty when it gives none.

    Never its message: that changes with every measurement, and a status must not.
    """
    needed = ("AbleToScale", "ScalingActive") if kind == "HorizontalPodAutoscaler" else ("Ready",)
    conditions = child.get("status", {}).get("conditions", ())
    for condition in conditions:
        if condition["type"] in needed and condition["status"] == "False":
            reason: str = condition.get("reason") or "Unknown"
            return "" if reason == _ON_PURPOSE else reason
    if child.get("paused"):
        return ""
    # KEDA says Ready of one that has nothing to do, too.
    handled = any(each["type"] in needed and each["status"] == "True" for each in conditions)
    return "" if handled else _UNHANDLED[kind]


_HINTS: Final = {
    "FailedGetResourceMetric": "check that metrics-server is running and that every container of the pods requests the measured resource",
    "FailedGetContainerResourceMetric": "check that metrics-server is running and that the container requests the measured resource",
    "FailedGetScale": "check that the Deployment exists",
    "FailedUpdateScale": "check that no policy forbids scaling the Deployment",
    _UNHANDLED["HorizontalPodAutoscaler"]: "check that kube-controller-manager is running",
    _UNHANDLED["ScaledObject"]: "check that the KEDA operator is running and watches this namespace",
}


def _autoscaler(key: tuple[str, str], children: Children, unscaled: AbstractSet[tuple[str, str]]) -> Verdict:
    """Broken beyond doubt when any of what it measures is not requested, or when it has failed for a while."""
    kind, name = key
    child = children[key]
    failure = _failure(kind, child)
    lacking = _unrequested(child, children.get(("Deployment", name), {}))
    if lacking:
        # Only once its controller has tried.
        stuck = failure not in {"", _UNHANDLED[kind]} or _measures(child)
        return Verdict(ready=False, reason=NOT_SCALING, message=lacking, stuck=stuck)
    if not failure:
        return Verdict(ready=True)
    if key not in unscaled:
        return Verdict(ready=False, reason=failure, message=f"is not scaling yet: {failure}", decisive=False)
    hint = _HINTS.get(failure, f"see `kubectl describe {kind.lower()} {name}`")
    return Verdict(ready=False, reason=NOT_SCALING, message=f"{CANNOT_SCALE}: {failure}; {hint}")


def _measures(child: Child) -> bool:
    return any(
        each["type"] == "ScalingActive" and each["status"] == "True"
        for each in child.get("status", {}).get("conditions", ())
    )


def _unrequested(scaler: Child, scaled: Child) -> str:
    """What a HorizontalPodAutoscaler should measure as a share of requests that containers do not make.

    What it has measured all the same, pods request since a LimitRange has it so.
    """
    lacking: Mapping[str, list[str]] = scaled.get("unrequested", {})
    measured = scaler.get("measured", ())
    for resource, container in scaler.get("shares", ()):
        if [resource, container] in measured:
            continue
        found = [each for each in lacking.get(resource, ()) if container in {None, each}]
        if found:
            one = len(found) == 1
            return (
                f"cannot measure {resource}: container{'' if one else 's'} {listed(found)} {'requests' if one else 'request'}"
                f" none; set resources.requests.{resource}"
            )
    return ""


def _route(child: Child) -> Verdict:
    """Served: every Gateway that it names accepted it and found its backend."""
    gateways = child["spec"]["parentRefs"]
    if not gateways:
        return Verdict(ready=False, reason="RouteNotAccepted", message="names no Gateway")
    for gateway in gateways:
        conditions = _about(gateway, child)
        where = f"Gateway {gateway.get('namespace')}/{gateway['name']}"
        for condition in conditions:
            if condition["type"] in {"Accepted", "ResolvedRefs"} and condition["status"] == "False":
                said = condition.get("message") or condition.get("reason", "")
                return Verdict(
                    ready=False,
                    reason="RouteNotAccepted",
                    message=f"{where} rejected the route: {clause(said)}",
                )
        if not any(each["type"] == "Accepted" and each["status"] == "True" for each in conditions):
            return Verdict(
                ready=False,
                reason="RouteNotAccepted",
                message=f"{where} has not accepted the route;"
                " check that the Gateway exists and that its GatewayClass has a controller",
            )
    return Verdict(ready=True)


def _about(gateway: Mapping[str, Any], child: Child) -> list[Mapping[str, Any]]:
    """What was said about this version of an HTTPRoute for one Gateway; a controller need not repeat every part of the reference."""
    generation = child["metadata"].get("generation", 0)
    return [
        condition
        for parent in child.get("status", {}).get("parents", ())
        if all(gateway.get(key) == value for key, value in parent.get("ref", {}).items() if key in gateway)
        for condition in parent.get("conditions", ())
        if condition.get("observedGeneration", generation) >= generation
    ]


def worst(verdicts: Mapping[tuple[str, str], Verdict]) -> tuple[str, str] | None:
    """The child that speaks for all: one that fails before one that is on its way, the first by kind and name of equals."""
    return min(verdicts, key=lambda key: (verdicts[key].reason in ON_ITS_WAY, key), default=None)
