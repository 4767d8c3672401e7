"""Why a ShopService is not ready, as one sentence and the next command. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shop_operator.api.v1alpha1.reasons import REASONS, row
from shop_operator.cli.rollback import last_available
from shop_operator.status.diagnosis import RANKED, Diagnosis, probe_answer
from shop_operator.wording import clause, listed, number, sentence

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """The facts that were found in the cluster.

    Args:
        shop: the ShopService.
        diagnosis: the cause why its pods are not ready; None if unknown.
        words: last line of the log of the container; empty if it has none.
        warnings: warnings from Events, newest first.
        unavailable: name of a Deployment whose status has too few pods; empty if none.
        probes: Events about the probes of the diagnosed pod, newest first.
        gateways: all Gateways, as namespace/name; None if the user may not list them.
    """

    shop: Object
    diagnosis: Diagnosis | None = None
    words: str = ""
    warnings: Sequence[str] = field(default_factory=list)
    unavailable: str = ""
    probes: Sequence[str] = field(default_factory=list)
    gateways: Sequence[str] | None = None


@dataclass(frozen=True)
class Explanation:
    """The explanation.

    Args:
        reason: the reason of the condition, or one of the plugin.
        sentence: the cause.
        cure: the remedy, from the table of reasons; empty if none is required.
        next: the command to run next; empty if none is required.
        ready: whether the ShopService is ready.
    """

    reason: str
    sentence: str
    next: str = ""
    ready: bool = False
    cure: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For `-o json`."""
        return {
            "ready": self.ready,
            "reason": self.reason,
            "sentence": self.sentence,
            "cure": self.cure,
            "next": self.next,
        }


def unavailable(deployments: Iterable[Object]) -> str:
    """The first Deployment that has fewer available pods than desired by its current status; empty if none."""
    for each in sorted(deployments, key=lambda each: str(each["metadata"]["name"])):
        state, wanted = each.get("status") or {}, each["spec"].get("replicas", 1)
        if (
            state.get("observedGeneration") == each["metadata"].get("generation")
            and state.get("availableReplicas", 0) < wanted
        ):
            return str(each["metadata"]["name"])
    return ""


def explain(facts: Facts) -> Explanation:
    """The explanation of the most important fact."""
    shop = facts.shop
    name, namespace = shop["metadata"]["name"], shop["metadata"]["namespace"]
    state = shop.get("status") or {}
    conditions = {each["type"]: each for each in state.get("conditions", ())}
    if "deletionTimestamp" in shop["metadata"]:
        held = ", ".join(shop["metadata"].get("finalizers", ())) or "its children"
        return Explanation(
            "Terminating",
            f"{name} is being deleted and waits for {held}.",
            f"kubectl get all -n {namespace} -l shopservice.dev/name={name}",
        )
    generation, observed = shop["metadata"].get("generation"), state.get("observedGeneration")
    if observed != generation or "Ready" not in conditions:
        return Explanation(
            "NotObserved",
            f"{name} is not reconciled yet (generation {generation}, observed {observed or 'none'})."
            f" Check that the operator is running and watches {namespace}.",
            _OPERATOR,
        )
    ready = conditions["Ready"]
    if (shop.get("spec") or {}).get("suspend"):
        more = "" if ready["status"] == "True" else f" {sentence(ready['message'])}"
        return _of_table("Suspended", f"{name} is suspended: the operator changes nothing.{more}", facts)
    if ready["status"] == "True" and facts.unavailable:
        found = f": {_found(facts.diagnosis)}" if facts.diagnosis else ""
        return Explanation(
            "StatusOutdated",
            f"{name} reports Ready, but Deployment {facts.unavailable} has too few pods{found}."
            " Check that the operator is running.",
            _OPERATOR,
        )
    if ready["status"] == "True":
        return _ready(facts, name, ready, conditions)
    return _unready(facts, name, ready)


def _ready(facts: Facts, name: str, ready: Object, conditions: Mapping[str, Object]) -> Explanation:
    state = facts.shop.get("status") or {}
    depends = conditions.get("DependenciesReady", {})
    waits = f" {sentence(depends['message'])}" if depends.get("status") == "False" else ""
    if ready["reason"] == "ScaledToZero":
        return replace(
            _of_table("ScaledToZero", f"{name} is scaled to zero.{waits}", facts),
            ready=True,
        )
    return Explanation(
        "Ready",
        f"{name} is ready: {state.get('ready', '')} pods of {state.get('image', '')}.{waits}",
        _filled("kubectl shop status -n {namespace}", facts) if waits else "",
        ready=True,
    )


def _unready(facts: Facts, name: str, ready: Object) -> Explanation:
    reason, found = ready["reason"], facts.diagnosis
    message = f"{name} is not ready: {sentence(ready['message'])}"
    if reason == "RouteNotAccepted":
        return _of_table(reason, f"{message}{_gateways(facts)}", facts)
    no_way_back = reason == "RolledBack" and not last_available(facts.shop)
    special = _EDIT if no_way_back else _special(reason, message)
    if special:
        return replace(_of_table(reason, message, facts), next=_filled(special, facts))
    if found is not None and reason in _DIAGNOSED:
        answer = _answer(facts, found)
        words = f"; last log line: {facts.words}" if facts.words and not answer else ""
        said = f"{name} is not ready: {_found(found, answer)}{words}"
        explained = _of_table(found.reason, sentence(said), facts)
        return replace(explained, next=_filled(_EDIT, facts)) if answer else explained
    if facts.warnings and reason in {"RollingOut", "Creating", "Scaling", "PodsUnavailable"}:
        return _of_table(reason, f"{message} {sentence(facts.warnings[0])}", facts)
    return _of_table(reason, message, facts)


def _special(reason: str, message: str) -> str:
    """The command if that of the table does not fit the object in the message; otherwise empty."""
    if reason == "AutoscalerNotWorking" and "set resources.requests" in message:
        return _EDIT
    if reason == "AutoscalerNotWorking" and "ScaledObject " in message:
        return "kubectl describe scaledobjects -n {namespace} -l shopservice.dev/name={name}"
    return "kubectl api-resources" if reason == "NotInstalled" and "KEDA" not in message else ""


def _answer(facts: Facts, found: Diagnosis) -> str:
    """The response to the failing probe of a container; empty if no Event contains it."""
    if found.reason != "NotReady":
        return ""
    return next((said for each in facts.probes if (said := probe_answer(each))), "")


def _found(found: Diagnosis, answer: str = "") -> str:
    """The diagnosis with details that a status does not contain: the name of the pod, the restarts and the response to the probe."""
    restarts = f"; restarted {number(found.restarts, 'time')}" if found.restarts else ""
    message = clause(found.message)
    if answer:
        fails, _, question = message.partition("; ")
        message = f"{fails}: {answer}" + (f"; {question}" if question else "")
    return f"pod {found.pod}: {message}{restarts}"


def _gateways(facts: Facts) -> str:
    """A sentence with the existing Gateways if the one in the spec does not exist; otherwise empty."""
    if facts.gateways is None:
        return ""
    wanted = (facts.shop.get("spec") or {}).get("gateway") or {}
    namespace = wanted.get("namespace") or facts.shop["metadata"]["namespace"]
    named = f"{namespace}/{wanted.get('name', '')}"
    if named in facts.gateways:
        return ""
    if not facts.gateways:
        return f" Gateway {named} does not exist; the cluster has no Gateway."
    there = listed(sorted(facts.gateways)[:_MOST_GATEWAYS])
    return f" Gateway {named} does not exist; existing Gateways: {there} (set spec.gateway.name and spec.gateway.namespace)."


def _of_table(reason: str, said: str, facts: Facts) -> Explanation:
    """An explanation with the cure and the command of the table of reasons."""
    known = row(reason, said)
    if known is None:
        return Explanation(reason, said, _filled("kubectl shop tree {name} -n {namespace}", facts))
    command = known.next or "kubectl shop tree {name} -n {namespace}"
    if "{pod}" in command and facts.diagnosis is None:
        command = "kubectl shop tree {name} -n {namespace}"
    return Explanation(reason, said, _filled(command, facts), cure=known.cure)


def _child(shop: Object) -> str:
    """The Deployment in the message of Ready, or that of the web workload."""
    conditions = (shop.get("status") or {}).get("conditions", ())
    said = next((each.get("message") or "" for each in conditions if each["type"] == "Ready"), "")
    named = re.search(r"Deployment ([a-z0-9][a-z0-9.-]*): ", said)
    return named[1] if named else str(shop["metadata"]["name"])


def _filled(command: str, facts: Facts) -> str:
    found = facts.diagnosis
    return command.format(
        name=facts.shop["metadata"]["name"],
        namespace=facts.shop["metadata"]["namespace"],
        child=_child(facts.shop),
        pod=found.pod if found else "",
        container=(found.container if found else None) or "app",
        previous=" --previous" if found and found.previous else "",
    )


_OPERATOR: Final = "kubectl get pods -A -l app.kubernetes.io/name=shop-operator"
_EDIT: Final = REASONS["InvalidSpec"].next
_MOST_GATEWAYS: Final = 5
# Reasons that the diagnosis of a pod explains in more detail.
_DIAGNOSED: Final = frozenset(
    {*RANKED, "RollingOut", "Scaling", "PodsUnavailable", "ProgressDeadlineExceeded", "Creating"}
)
