"""The status of a ShopService: a pure function of its spec, of its children, and of what went wrong.

Every condition is computed on every pass and they are written together. They follow kstatus, so that `kubectl wait`, Helm
and Argo CD understand them: Ready is what a user waits for; Reconciling and Stalled are true only while something is going
on or is stuck. Available looks at the pods alone: during a roll-out a service is available and not yet ready.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from shop_operator.dependencies import GRACE, Dependencies
from shop_operator.errors import InvalidSpec, OperatorError, PermanentError
from shop_operator.pods import Diagnosis
from shop_operator.render import url
from shop_operator.render.labels import WEB, selector
from shop_operator.render.parts import parts
from shop_operator.spec import ShopService

Child = Mapping[str, Any]

DEADLINE: Final = "ProgressDeadlineExceeded"
READY: Final = "Ready"
_STATUS: Final[Mapping[bool | None, str]] = {True: "True", False: "False", None: "Unknown"}
_LONGEST_MESSAGE: Final = 1024
_MOST_FIELDS: Final = 20


@dataclass(frozen=True)
class Repair:
    """Something that somebody had changed and that was put back.

    Args:
        object: such as Deployment web.
        fields: the paths that had another value.
        manager: the field manager that wrote the object last.
    """

    object: str
    fields: tuple[str, ...]
    manager: str

    def __str__(self) -> str:
        return f"{self.object}: {', '.join(self.fields)} was changed by {self.manager or 'somebody'} and put back."


@dataclass(frozen=True)
class Observed:
    """What one pass saw.

    Args:
        children: the summaries of the live objects of this ShopService by (kind, name).
        error: the worst that went wrong, None when nothing did.
        dependencies: what this ShopService depends on, None when on nothing.
        held: whether there are no pods because of them.
        diagnoses: what is known of pods that do not get ready, by the name of their Deployment.
        overdue: the Deployments that are over their deadline beyond doubt.
        repairs: what was put back in this pass.
    """

    children: Mapping[tuple[str, str], Child]
    error: OperatorError | None = None
    dependencies: Dependencies | None = None
    held: bool = False
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    overdue: AbstractSet[str] = frozenset()
    repairs: Sequence[Repair] = ()


@dataclass(frozen=True)
class Verdict:
    """How one child is.

    Args:
        ready: it does what it is for.
        reason: one word, when it does not.
        message: a sentence, when it does not.
        stuck: it will not get ready by itself.
    """

    ready: bool
    reason: str = ""
    message: str = ""
    stuck: bool = False


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(
    shop: ShopService, observed: Observed, previous: Mapping[str, Any], *, now: Callable[[], str] = _now
) -> dict[str, Any]:
    """The whole status.

    Args:
        shop: the ShopService.
        observed: its children and what went wrong.
        previous: the status so far; a condition that stays keeps its lastTransitionTime.
        now: the time as RFC 3339.
    """
    if isinstance(observed.error, InvalidSpec):
        # Nothing of the spec can be relied on: what runs goes on running, and is still shown.
        found = {key: value for key, value in previous.items() if key != "conditions"}
        verdicts: dict[tuple[str, str], Verdict] = {}
        available = _previous_available(previous)
    else:
        verdicts = dict(_verdicts(shop, observed))
        found = _facts(shop, observed, verdicts, previous)
        available = _available(observed.children.get(("Deployment", shop.name)))
    found |= _drift(observed.repairs, previous, now)
    wanted = [*_conditions(available, verdicts, observed.error), *_depending(observed.dependencies)]
    if _is_suspended(shop, observed):
        found["suspended"] = True
        wanted[0] = _condition(
            READY, None, "Suspended", "It is left as it is for as long as spec.suspend is true."
        )
    conditions = [_dated(each, shop.generation, previous, now) for each in wanted]
    return {**found, "observedGeneration": shop.generation, "conditions": conditions}


def _is_suspended(shop: ShopService, observed: Observed) -> bool:
    return not isinstance(observed.error, InvalidSpec) and shop.spec.suspend is True


def waiting(children: Mapping[tuple[str, str], Child]) -> dict[str, str]:
    """The Deployments that have pods which are not available, and what they say themselves: somebody may want to look."""
    return {
        name: verdict.message
        for name, child, verdict in _deployments(children)
        if not verdict.ready and _unavailable(child["status"])
    }


def overdue(children: Mapping[tuple[str, str], Child]) -> dict[str, int]:
    """The Deployments that are said to be over their deadline, and the generation of each that this is said of."""
    return {
        name: child["metadata"]["generation"]
        for name, child, verdict in _deployments(children)
        if verdict.stuck
    }


def _deployments(children: Mapping[tuple[str, str], Child]) -> Iterator[tuple[str, Child, Verdict]]:
    for (kind, name), child in sorted(children.items()):
        if kind == "Deployment":
            yield name, child, _deployment(child)


def _unavailable(state: Mapping[str, Any]) -> bool:
    return bool(state.get("replicas", 0) > state.get("availableReplicas", 0))


def _drift(repairs: Sequence[Repair], previous: Mapping[str, Any], now: Callable[[], str]) -> dict[str, Any]:
    before = previous.get("drift")
    if not repairs:
        return {"drift": before} if before else {}
    last = repairs[-1]
    return {
        "drift": {
            "count": (before or {}).get("count", 0) + len(repairs),
            "last": {
                "time": now(),
                "object": last.object,
                "fields": list(last.fields[:_MOST_FIELDS]),
                "manager": last.manager,
            },
        }
    }


def _depending(dependencies: Dependencies | None) -> Iterator[dict[str, Any]]:
    if dependencies is not None:
        yield _condition(
            "DependenciesReady", dependencies.satisfied, dependencies.reason, dependencies.message
        )


def _verdicts(shop: ShopService, observed: Observed) -> Iterator[tuple[tuple[str, str], Verdict]]:
    """Judge every live child, and every Deployment that should be there and is not."""
    absent = Verdict(ready=False, reason="Creating", message="is being created")
    if observed.held and observed.dependencies is not None:
        absent = Verdict(
            ready=False,
            reason="WaitingForDependencies",
            message=f"is created once its dependencies are available, or after {GRACE.seconds} s:"
            f" {observed.dependencies.message.rstrip('.')}",
        )
    for part in parts(shop):
        if ("Deployment", part.name) not in observed.children:
            yield ("Deployment", part.name), absent
    for key, child in observed.children.items():
        if "deletionTimestamp" in child["metadata"]:
            yield key, Verdict(ready=False, reason="Terminating", message="is being deleted")
        else:
            verdict = _JUDGES.get(key[0], _there)(child)
            known = observed.diagnoses.get(key[1]) if key[0] == "Deployment" and not verdict.ready else None
            if known is not None:
                verdict = replace(verdict, reason=known.reason, message=known.message)
            yield key, verdict


def _there(_: Child) -> Verdict:
    return Verdict(ready=True)


def _deployment(child: Child) -> Verdict:
    """Rolled out: the newest template, in as many pods as wanted, all available, and no old pod left."""
    spec, state = child["spec"], child.get("status", {})
    conditions = {each["type"]: each for each in state.get("conditions", ())}
    wanted = spec.get("replicas", 1)
    behind = _behind(child, wanted)
    progressing = conditions.get("Progressing", {})
    if state.get("observedGeneration", 0) < child["metadata"].get("generation", 0):
        # What its conditions say is about an earlier version.
        return Verdict(ready=False, reason="RollingOut", message=behind)
    if progressing.get("reason") == DEADLINE:
        return Verdict(
            ready=False,
            reason=DEADLINE,
            stuck=True,
            message=f"was not rolled out in time: {state.get('availableReplicas', 0)} of {wanted} pods are available; "
            "look at the pods' events and logs",
        )
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return Verdict(
            ready=False, reason=failure.get("reason", "ReplicaFailure"), message=failure.get("message", "")
        )
    return Verdict(ready=False, reason="RollingOut", message=behind) if behind else Verdict(ready=True)


def _behind(deployment: Child, wanted: int) -> str:
    """What a roll-out still waits for, in the words of `kubectl rollout status`; empty when it is complete."""
    state = deployment.get("status", {})
    updated, available = state.get("updatedReplicas", 0), state.get("availableReplicas", 0)
    if state.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return "was not looked at by the Deployment controller yet"
    if updated < wanted:
        return f"{updated} of {wanted} pods are of the newest version"
    if state.get("replicas", 0) > updated:
        return f"{state['replicas'] - updated} old pods are still ending"
    if available < wanted:
        return f"{available} of {wanted} pods are available"
    return ""


def _autoscaler(child: Child) -> Verdict:
    return _scales(child, "AbleToScale", "ScalingActive")


def _scaled_object(child: Child) -> Verdict:
    return _scales(child, "Ready")


def _scales(child: Child, *needed: str) -> Verdict:
    """Only the reason: the message of an autoscaler changes with every measurement, and a status must not."""
    for condition in child.get("status", {}).get("conditions", ()):
        if condition["type"] in needed and condition["status"] == "False":
            reason = condition.get("reason", "Unknown")
            return Verdict(ready=False, reason=reason, message=f"does not scale: {reason}")
    return Verdict(ready=True)


def _route(child: Child) -> Verdict:
    """Served: some Gateway accepted it and found its backend."""
    generation = child["metadata"].get("generation", 0)
    conditions = [
        condition
        for parent in child.get("status", {}).get("parents", ())
        for condition in parent.get("conditions", ())
        # What a controller said about an earlier version is no verdict on this one.
        if condition.get("observedGeneration", generation) >= generation
    ]
    gateways = child["spec"]["parentRefs"]
    if not gateways:
        return Verdict(ready=False, reason="RouteNotAccepted", message="names no Gateway")
    where = f"Gateway {gateways[0].get('namespace')}/{gateways[0]['name']}"
    for condition in conditions:
        if condition["type"] in {"Accepted", "ResolvedRefs"} and condition["status"] == "False":
            said = condition.get("message") or condition.get("reason", "")
            return Verdict(ready=False, reason="RouteNotAccepted", message=f"{where} refused it: {said}")
    if not any(each["type"] == "Accepted" and each["status"] == "True" for each in conditions):
        return Verdict(
            ready=False,
            reason="RouteNotAccepted",
            message=f"{where} has not taken it yet; is there such a Gateway, and a controller for its class?",
        )
    return Verdict(ready=True)


_JUDGES: Final[Mapping[str, Callable[[Child], Verdict]]] = {
    "Deployment": _deployment,
    "HorizontalPodAutoscaler": _autoscaler,
    "ScaledObject": _scaled_object,
    "HTTPRoute": _route,
}
_ON_ITS_WAY: Final = ("Creating", "RollingOut", "Terminating", "WaitingForDependencies")
# An autoscaler without measurements yet keeps nobody from being ready.
_DECISIVE: Final = ("Deployment", "HTTPRoute", "Service", "ServiceAccount")


def _facts(
    shop: ShopService,
    observed: Observed,
    verdicts: Mapping[tuple[str, str], Verdict],
    previous: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything but the conditions."""
    web = observed.children.get(("Deployment", shop.name), {})
    state = web.get("status", {})
    wanted = web.get("spec", {}).get("replicas", 0)
    ready = state.get("readyReplicas", 0)
    facts: dict[str, Any] = {
        "replicas": state.get("replicas", 0),
        "readyReplicas": ready,
        "ready": f"{ready}/{wanted}",
        "selector": ",".join(f"{key}={value}" for key, value in selector(shop, WEB).items()),
        "url": url(shop),
        "children": [
            {
                "kind": kind,
                "name": name,
                "ready": verdict.ready,
                "message": verdict.message[:_LONGEST_MESSAGE],
            }
            for (kind, name), verdict in sorted(verdicts.items())
        ],
    }
    image = _image(shop, observed, verdicts) or previous.get("image")
    if image:
        facts["image"] = image
    rollout = _rollout(shop, observed, verdicts, previous)
    if rollout:
        facts["rollout"] = rollout
    if shop.spec.autoscaling:
        facts["autoscaling"] = f"{shop.spec.autoscaling.min_replicas}-{shop.spec.autoscaling.max_replicas}"
    return facts


def _image(shop: ShopService, observed: Observed, verdicts: Mapping[tuple[str, str], Verdict]) -> str | None:
    """The image that every part has rolled out, None while they have not, or not the same.

    The Deployments tell it: what the spec names may not have got there.
    """
    images: set[str | None] = set()
    for part in parts(shop):
        key = ("Deployment", part.name)
        images.add(observed.children[key]["images"].get(part.container) if verdicts[key].ready else None)
    return images.pop() if len(images) == 1 else None


def _rollout(
    shop: ShopService,
    observed: Observed,
    verdicts: Mapping[tuple[str, str], Verdict],
    previous: Mapping[str, Any],
) -> dict[str, Any]:
    """What an automatic rollback goes by. The image of the spec is rejected until the spec names another."""
    if not (shop.spec.rollout and shop.spec.rollout.auto_rollback):
        return {}
    before = previous.get("rollout") or {}
    known = before.get("lastAvailableImage")
    if any(child["status"].get("availableReplicas") for _, child, _ in _deployments(observed.children)):
        # Without a pod it has not shown that it works.
        known = _image(shop, observed, verdicts) or known
    if not known:
        return {}
    kept = {"lastAvailableImage": known}
    if known == shop.spec.image:
        return kept
    if before.get("rejectedImage") == shop.spec.image:
        return {**kept, "rejectedImage": shop.spec.image, "message": before.get("message", "")}
    failure = _failure(shop, observed, verdicts, known)
    if failure is None or shop.spec.suspend:
        return kept
    return {**kept, "rejectedImage": shop.spec.image, "message": failure[:_LONGEST_MESSAGE]}


def _failure(
    shop: ShopService, observed: Observed, verdicts: Mapping[tuple[str, str], Verdict], known: str
) -> str | None:
    """How the image of the spec has failed, None if it has not, or was not tried yet."""
    for part in parts(shop):
        key = ("Deployment", part.name)
        if part.name not in observed.overdue or not verdicts[key].stuck:
            continue
        image = observed.children[key]["images"].get(part.container)
        # A webhook may write the image in its own way, but only where the spec has got there.
        if image != known and (image == shop.spec.image or observed.error is None):
            return f"Deployment {part.name}: {verdicts[key].message}"
    return None


def _available(web: Child | None) -> bool:
    conditions = (web or {}).get("status", {}).get("conditions", ())
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)


def _previous_available(previous: Mapping[str, Any]) -> bool:
    return _available({"status": previous})


def _conditions(
    available: bool,  # noqa: FBT001  the first of the facts that the conditions are made of
    verdicts: Mapping[tuple[str, str], Verdict],
    error: OperatorError | None,
) -> Iterator[dict[str, Any]]:
    """The five conditions, not dated yet."""
    waiting = {key: v for key, v in verdicts.items() if not v.ready and key[0] in _DECISIVE}
    stuck = {key: v for key, v in waiting.items() if v.stuck}
    rolling = {key: v for key, v in waiting.items() if key[0] == "Deployment" and not v.stuck}
    why = _why(error, stuck or waiting)

    yield _condition(READY, why is None, *(why or ("Ready", "Everything is as the spec says.")))
    yield _condition(
        "Available",
        available,
        "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
        "Enough pods of the web part are available."
        if available
        else "Too few pods of the web part are available.",
    )
    yield _condition(
        "Progressing", bool(rolling), *(_sentence(rolling) or ("RolledOut", "Nothing is being rolled out."))
    )
    permanent = isinstance(error, PermanentError)
    stalled = permanent or (error is None and bool(stuck))
    yield _condition(
        "Reconciling",
        why is not None and not stalled,
        *(why if why and not stalled else ("Settled", "Nothing is left to do.")),
    )
    yield _condition(
        "Stalled", stalled, *(why if why and stalled else ("NotStalled", "Nothing needs a person."))
    )


def _why(error: OperatorError | None, waiting: Mapping[tuple[str, str], Verdict]) -> tuple[str, str] | None:
    """Reason and message for not being ready, None when ready."""
    if error is not None:
        return error.reason, error.message
    return _sentence(waiting)


def _sentence(waiting: Mapping[tuple[str, str], Verdict]) -> tuple[str, str] | None:
    """The worst child speaks, the first by kind and name of equals; the others are counted.

    One that fails is worse than one that is only on its way.
    """
    if not waiting:
        return None
    (kind, name), verdict = min(waiting.items(), key=lambda item: (item[1].reason in _ON_ITS_WAY, item[0]))
    others = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
    return verdict.reason, f"{kind} {name}: {verdict.message}{others}."


def _condition(kind: str, holds: bool | None, reason: str, message: str) -> dict[str, Any]:  # noqa: FBT001  what a condition is
    return {
        "type": kind,
        "status": _STATUS[holds],
        "reason": reason,
        "message": message[:_LONGEST_MESSAGE],
    }


def _dated(
    condition: dict[str, Any], generation: int, previous: Mapping[str, Any], now: Callable[[], str]
) -> dict[str, Any]:
    """With the generation it is about, and the time of its last change."""
    before: Mapping[str, Any] = next(
        (each for each in previous.get("conditions", ()) if each["type"] == condition["type"]), {}
    )
    same = before.get("status") == condition["status"]
    time = before["lastTransitionTime"] if same else now()
    return {**condition, "observedGeneration": generation, "lastTransitionTime": time}
