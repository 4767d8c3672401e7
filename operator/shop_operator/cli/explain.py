"""Why a ShopService is not ready: everything that is known of it, boiled down to one sentence and the next command. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shop_operator.pods import Diagnosis

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """What was found in the cluster.

    Args:
        shop: the ShopService.
        diagnosis: what keeps its pods from being ready, None when nothing is known.
        words: the last line that the container has logged; empty when there is none.
        warnings: what Events warn of, the newest first.
        unavailable: a Deployment of it that has too few pods by its own account; empty when none has.
    """

    shop: Object
    diagnosis: Diagnosis | None = None
    words: str = ""
    warnings: Sequence[str] = field(default_factory=list)
    unavailable: str = ""


@dataclass(frozen=True)
class Explanation:
    """The answer.

    Args:
        reason: one word.
        sentence: why.
        next: the command that says more, or helps; empty when nothing is to be done.
        ready: whether there is nothing to explain.
    """

    reason: str
    sentence: str
    next: str = ""
    ready: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For `-o json`."""
        return {"ready": self.ready, "reason": self.reason, "sentence": self.sentence, "next": self.next}


def unavailable(deployments: Iterable[Object]) -> str:
    """The first Deployment that has had fewer pods than wanted since its controller looked; empty when none has."""
    for each in sorted(deployments, key=lambda each: str(each["metadata"]["name"])):
        state, wanted = each.get("status") or {}, each["spec"].get("replicas", 1)
        if (
            state.get("observedGeneration") == each["metadata"].get("generation")
            and state.get("availableReplicas", 0) < wanted
        ):
            return str(each["metadata"]["name"])
    return ""


def explain(facts: Facts) -> Explanation:
    """The one thing to know, and what to do about it."""
    shop = facts.shop
    name, namespace = shop["metadata"]["name"], shop["metadata"]["namespace"]
    state = shop.get("status") or {}
    conditions = {each["type"]: each for each in state.get("conditions", ())}
    here = f"-n {namespace}"
    if "deletionTimestamp" in shop["metadata"]:
        held = ", ".join(shop["metadata"].get("finalizers", ())) or "its children"
        return Explanation(
            "Terminating",
            f"{name} is being deleted and waits for {held}.",
            f"kubectl get all {here} -l shopservice.dev/name={name}",
        )
    if state.get("observedGeneration") != shop["metadata"].get("generation") or "Ready" not in conditions:
        return Explanation(
            "NotObserved",
            f"No operator has looked at this version of {name} yet: is it running, and does it watch {namespace}?",
            _OPERATOR,
        )
    ready = conditions["Ready"]
    if (shop.get("spec") or {}).get("suspend"):
        return Explanation(
            "Suspended",
            f"{name} is suspended: the operator leaves everything as it is.",
            f"kubectl shop resume {name} {here}",
        )
    if ready["status"] == "True" and facts.unavailable:
        found = f": {facts.diagnosis.message}" if facts.diagnosis else ""
        return Explanation(
            "StatusOutdated",
            f"{name} says that it is ready, but Deployment {facts.unavailable} has too few pods{found}."
            " Is the operator running?",
            _OPERATOR,
        )
    if ready["status"] == "True":
        return Explanation(
            "Ready",
            f"{name} is ready: {state.get('ready', '')} pods of {state.get('image', '')}.",
            ready=True,
        )
    return _unready(facts, name, here, ready, conditions)


def _unready(
    facts: Facts, name: str, here: str, ready: Object, conditions: Mapping[str, Object]
) -> Explanation:
    reason, found = ready["reason"], facts.diagnosis
    message = f"{name} is not ready: {ready['message']}"
    if reason == "WaitingForDependencies":
        waited = conditions.get("DependenciesReady", {}).get("message", "")
        return Explanation(
            reason,
            f"{name} waits for its dependencies. {waited}".strip(),
            f"kubectl shop status {here}",
        )
    if reason in _BY_REASON:
        return Explanation(reason, message, _BY_REASON[reason].format(name=name, here=here))
    if found is not None:
        words = f", and its last words are: {facts.words}" if facts.words else ""
        command = _for_pod(found).format(pod=found.pod, container=found.container, here=here)
        return Explanation(found.reason, f"{name} is not ready: {found.message}{words}.", command)
    if facts.warnings and reason in {"RollingOut", "Creating"}:
        return Explanation(reason, f"{message} {facts.warnings[0]}", f"kubectl shop tree {name} {here}")
    return Explanation(reason, message, f"kubectl shop tree {name} {here}")


_OPERATOR: Final = "kubectl get pods -A -l app.kubernetes.io/name=shop-operator"
_BY_REASON: Final = {
    "InvalidSpec": "kubectl edit shopservice {name} {here}",
    "Refused": "kubectl edit shopservice {name} {here}",
    "RolledBack": "kubectl edit shopservice {name} {here}",
    "Conflict": "kubectl get all {here} --show-labels",
    "Contested": "kubectl get shopservice {name} {here} -o jsonpath={{.status.drift}}",
    "Forbidden": "kubectl get clusterroles,roles -A -l app.kubernetes.io/name=shop-operator",
    "RouteNotAccepted": "kubectl get gateways,httproutes -A",
    "NotInstalled": "kubectl api-resources",
    # Of a ReplicaSet that gets no pods, such as for a quota.
    "FailedCreate": "kubectl describe deployments {here} -l shopservice.dev/name={name}",
}


def _for_pod(found: Diagnosis) -> str:
    if found.container is not None:
        previous = " --previous" if found.previous else ""
        return f"kubectl logs {{pod}} -c {{container}}{previous} {{here}}"
    if found.reason == "Unschedulable":
        return "kubectl describe nodes"
    return "kubectl describe pod {pod} {here}"
