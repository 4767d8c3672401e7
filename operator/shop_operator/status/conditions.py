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

from shop_operator.api.v1alpha1.reasons import row
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InternalError, InvalidSpec, OperatorError, PermanentError
from shop_operator.objects.lenient import text
from shop_operator.objects.summary import Summary
from shop_operator.render import url
from shop_operator.render.labels import WEB, selector
from shop_operator.render.workloads import workloads
from shop_operator.status.dependencies import Dependencies
from shop_operator.status.diagnosis import DEFINITE_PULL_FAILURES, Diagnosis
from shop_operator.status.rollback import GOOD, Release, rolls_back
from shop_operator.status.verdicts import verdicts, worst
from shop_operator.status.verdicts.verdict import ON_ITS_WAY, Known, Summaries, Verdict
from shop_operator.wording import clause, listed, number, printable, sentence, steady

READY: Final = "Ready"
MISSING: Final = "DependencyMissing"
CYCLE: Final = "DependencyCycle"
SUSPENDED: Final = "Suspended"
_SEE: Final = "See the Ready condition."
_LEFT_ALONE: Final = "Reconciliation is suspended by spec.suspend."
_STATUS: Final[Mapping[bool | None, str]] = {True: "True", False: "False", None: "Unknown"}
# Errors after which nothing of the spec can be relied on.
_UNRENDERED: Final = (InvalidSpec, InternalError)
_LONGEST_MESSAGE: Final = 1024
ZERO: Final = "ScaledToZero"
_MINIMUM: Final = "MinimumReplicasAvailable"
_REJECTED: Final = ("rejectedImage", "rejectedRelease", "retry", "message")
_NO_MINIMUM: Final = "MinimumReplicasUnavailable"
_MOST_FIELDS: Final = 20
_RETAINED: Final = " Kept for pods and clients of an earlier release: "
_OVERRULED: Final = (
    "These fields do not match the spec, because the API server or an admission webhook changes them: "
)
_MOST_RETAINED: Final = 5


@dataclass(frozen=True)
class Repair:
    """A modification that was reverted.

    Args:
        object: such as Deployment web.
        fields: the paths that had another value.
        manager: the field managers that own these fields; empty when managedFields does not tell.
    """

    object: str
    fields: tuple[str, ...]
    manager: str

    def __str__(self) -> str:
        by = f" by {self.manager}" if self.manager else ""
        return f"{self.object}: {', '.join(self.fields)} modified{by}; reverted."


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
        repairs: what was reverted in this pass.
        scaling: the Deployments whose wanted count has changed and is not reached yet.
        unscaled: the autoscalers (kind, name) that have not worked for a while.
        uncreated: the Deployments that have had no ReplicaSet for their newest template for as long as their deadline.
        unmet: dependencies have been impossible to wait for longer than anything waits for them.
        release: what the spec asks for, with automatic rollback; None when that is not known in this pass.
        rolled_back: that is rejected: the last good release is in its place, or cannot be put there.
        notes: clauses about what the spec asks for and the cluster leaves out, and that keeps nothing from being ready.
        overruled: the children with fields that the API server or a webhook has given other values than the spec.
        retained: what stays for pods and clients of an earlier release.
    """

    children: Summaries
    error: OperatorError | None = None
    dependencies: Dependencies | None = None
    held: bool = False
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    overdue: AbstractSet[str] = frozenset()
    repairs: Sequence[Repair] = ()
    scaling: AbstractSet[str] = frozenset()
    unscaled: AbstractSet[tuple[str, str]] = frozenset()
    uncreated: AbstractSet[str] = frozenset()
    unmet: bool = False
    release: Release | None = None
    rolled_back: bool = False
    notes: Sequence[str] = ()
    overruled: Sequence[str] = ()
    retained: Sequence[str] = ()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(
    shop: ShopService,
    observed: Observed,
    previous: Mapping[str, Any],
    *,
    made: ShopService | None = None,
    now: Callable[[], str] = _now,
) -> dict[str, Any]:
    """The whole status.

    Args:
        shop: the ShopService.
        observed: its children and what went wrong.
        made: the ShopService by whose spec the pods are made, None for the same.
        previous: the status so far; a condition that stays keeps its lastTransitionTime.
        now: the time as RFC 3339.
    """
    if isinstance(observed.error, _UNRENDERED):
        # Nothing of the spec can be relied on: what runs goes on running, and is still shown.
        found = {key: value for key, value in previous.items() if key != "conditions"}
        judged: dict[tuple[str, str], Verdict] = {}
        available = _previous_available(previous)
    else:
        judged = dict(verdicts(made or shop, observed.children, _known(observed)))
        if previous.get("observedGeneration") == shop.generation:
            judged = _steady(judged, previous)
        found = _facts(shop, made or shop, observed, judged, previous)
        available = _availability(shop.name, observed.children.get(("Deployment", shop.name)))
    found |= _drift(observed.repairs, previous, now)
    if _is_suspended(shop, observed):
        found["suspended"] = True
    wanted = _conditions(shop, observed, judged, available, previous)
    conditions = [_dated(each, shop.generation, previous, now) for each in wanted]
    return {**found, "observedGeneration": shop.generation, "conditions": conditions}


def _known(observed: Observed) -> Known:
    return Known(
        dependencies=observed.dependencies,
        held=observed.held,
        diagnoses=observed.diagnoses,
        scaling=observed.scaling,
        unscaled=observed.unscaled,
        uncreated=observed.uncreated,
    )


def _steady(
    judged: Mapping[tuple[str, str], Verdict], previous: Mapping[str, Any]
) -> dict[tuple[str, str], Verdict]:
    """With the earlier message wherever the later one brings no news."""
    said = {(each["kind"], each["name"]): each.get("message") for each in previous.get("children", ())}
    return {
        key: v if said.get(key) == v.message else replace(v, message=steady(said.get(key), v.message))
        for key, v in judged.items()
    }


def _is_suspended(shop: ShopService, observed: Observed) -> bool:
    return not isinstance(observed.error, _UNRENDERED) and shop.spec.suspend is True


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


def _facts(
    shop: ShopService,
    made: ShopService,
    observed: Observed,
    judged: Mapping[tuple[str, str], Verdict],
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
                "message": printable(verdict.message)[:_LONGEST_MESSAGE],
            }
            for (kind, name), verdict in sorted(judged.items())
        ],
    }
    image = _image(made, observed, judged) or previous.get("image")
    if image:
        facts["image"] = image
    rollout = _rollout(shop, observed, judged, previous)
    if rollout:
        facts["rollout"] = rollout
    if shop.spec.autoscaling and shop.spec.replicas == 0:
        facts["autoscaling"] = "off"
    elif shop.spec.autoscaling:
        facts["autoscaling"] = f"{shop.spec.autoscaling.min_replicas}-{shop.spec.autoscaling.max_replicas}"
    return facts


def _image(shop: ShopService, observed: Observed, judged: Mapping[tuple[str, str], Verdict]) -> str | None:
    """The image that every workload has rolled out, None while they have not, or not the same.

    The Deployments tell it: what the spec names may not have got there.
    """
    images: set[str | None] = set()
    for workload in workloads(shop):
        key = ("Deployment", workload.name)
        there = key in observed.children and judged[key].ready
        images.add(observed.children[key]["images"].get(workload.container) if there else None)
    return images.pop() if len(images) == 1 else None


def _rollout(
    shop: ShopService,
    observed: Observed,
    judged: Mapping[tuple[str, str], Verdict],
    previous: Mapping[str, Any],
) -> dict[str, Any]:
    """What an automatic rollback goes by. A release is rejected until the spec asks for another one, or for another attempt."""
    if not rolls_back(shop):
        return {}
    before = previous.get("rollout") or {}
    kept = _good(shop, observed, judged, before)
    if not kept:
        return {}
    release = observed.release
    # Only a release that is known, or an image that works after all, is another one than that which was rejected.
    undecided = (
        release is None
        and "rejectedImage" in before
        and kept["lastAvailableImage"] == before.get("lastAvailableImage")
    )
    if observed.rolled_back or undecided:
        said = {key: before[key] for key in _REJECTED if key in before}
        if release is not None and "rejectedRelease" in said:
            said["rejectedRelease"] = release.remembered(text(said["rejectedRelease"]))
        return kept | said
    known = kept["lastAvailableImage"]
    is_good = known == shop.spec.image and (
        "lastAvailableRelease" not in kept
        or (release is not None and release.is_that(text(kept["lastAvailableRelease"])))
    )
    failed = None if shop.spec.suspend or is_good else _failure(shop, observed, judged, known)
    if failed is None:
        return kept
    name, failure = failed[0], printable(failed[1])
    if _pull_may_work(observed.diagnoses.get(name)):
        waits = f"{failure}; not rolled back, since the registry may recover"
        return {**kept, "message": waits[:_LONGEST_MESSAGE]}
    said = {"rejectedImage": shop.spec.image, "message": failure[:_LONGEST_MESSAGE]}
    return kept | said | (release.rejected if release else {})


def _good(
    shop: ShopService,
    observed: Observed,
    judged: Mapping[tuple[str, str], Verdict],
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """What is kept of the last release that was available; empty when there was none."""
    kept = {key: before[key] for key in GOOD if key in before}
    image = _image(shop, observed, judged)
    available = any(
        summary["status"].get("availableReplicas")
        for (kind, _), summary in observed.children.items()
        if kind == "Deployment"
    )
    if observed.rolled_back or not available or not image:
        # Without a pod it has not shown that it works.
        return kept if "lastAvailableImage" in kept else {}
    if observed.release is not None and observed.release.applied:
        return {"lastAvailableImage": image, **observed.release.kept}
    return kept if kept.get("lastAvailableImage") == image else {"lastAvailableImage": image}


def _failure(
    shop: ShopService, observed: Observed, judged: Mapping[tuple[str, str], Verdict], known: str
) -> tuple[str, str] | None:
    """The Deployment that shows that the release has failed, and how; None if it has not, or was not tried yet."""
    for workload in workloads(shop):
        key = ("Deployment", workload.name)
        if workload.name not in observed.overdue or not judged[key].overdue:
            continue
        image = observed.children[key]["images"].get(workload.container)
        # A webhook may write the image in its own way, but only where the spec has got there.
        tried = image != known and (image == shop.spec.image or observed.error is None)
        if tried or (observed.release is not None and observed.release.applied):
            return workload.name, f"Deployment {workload.name}: {judged[key].message}"
    return None


def _pull_may_work(found: Diagnosis | None) -> bool:
    """Whether pods wait for an image of which no registry says that it is not there or not for them."""
    return (
        found is not None
        and found.reason == "ImagePullBackOff"
        and not any(each in found.message for each in DEFINITE_PULL_FAILURES)
    )


def _availability(name: str, web: Summary | None) -> tuple[bool, str, str]:
    """Whether it serves: status, reason and message. No pod at all is no availability, whatever a budget of missing ones allows."""
    if web is None:
        return False, _NO_MINIMUM, f"Deployment {name} does not exist."
    wanted = web["spec"].get("replicas", 1)
    state = web.get("status", {})
    there = state.get("availableReplicas", 0)
    if not wanted:
        return True, ZERO, f"Deployment {name} is scaled to zero."
    holds = there > 0 and any(
        each["type"] == "Available" and each["status"] == "True" for each in state.get("conditions", ())
    )
    verb = "has" if holds else "does not have"
    return (
        holds,
        _MINIMUM if holds else _NO_MINIMUM,
        f"Deployment {name} {verb} minimum availability: {there} of {number(wanted, 'pod')}.",
    )


def _previous_available(previous: Mapping[str, Any]) -> tuple[bool, str, str]:
    for each in previous.get("conditions", ()):
        if each["type"] == "Available":
            return each["status"] == "True", each["reason"], each["message"]
    return False, _NO_MINIMUM, "Availability is unknown."


def _conditions(
    shop: ShopService,
    observed: Observed,
    judged: Mapping[tuple[str, str], Verdict],
    available: tuple[bool, str, str],
    previous: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Every condition, not dated yet. Ready tells the cause, whole; the others only refer to it."""
    waiting = {key: v for key, v in judged.items() if not v.ready and v.decisive}
    stuck = {key: v for key, v in waiting.items() if v.stuck}
    rolling = {key: v for key, v in waiting.items() if _rolls(key, v)}
    why = _why(shop, observed, stuck, waiting)
    if why is not None:
        why = (why[0], _steady_message(why, shop, previous))
    unmet = observed.error is None and observed.unmet and why is not None and why[0] in {MISSING, CYCLE}
    stalled = isinstance(observed.error, PermanentError) or unmet or (observed.error is None and bool(stuck))
    said = why or _well(shop, observed)
    if why is not None and _is_suspended(shop, observed):
        said = (SUSPENDED, f"{_LEFT_ALONE} {why[1]}")
    yield _condition(READY, why is None, said[0], said[1] + _retained(observed))
    yield _condition("Available", *available)
    key = worst(rolling)
    progressing = ("RolledOut", "No rollout is in progress.")
    if key is not None:
        progressing = (rolling[key].reason, _referring(rolling[key].reason, why))
    yield _condition("Progressing", key is not None, *progressing)
    reconciling = why is not None and not stalled
    reason = why[0] if why is not None else ""
    settled = ("Settled", "Reconciliation complete." if why is None else _SEE)
    yield _condition("Reconciling", reconciling, *((reason, _SEE) if reconciling else settled))
    yield _condition(
        "Stalled",
        stalled,
        *((reason, _cure(reason, said[1])) if stalled else ("NotStalled", _not_stalled(why))),
    )
    known = observed.dependencies
    if known is not None:
        yield _condition("DependenciesReady", known.satisfied, known.reason, known.message)


def _retained(observed: Observed) -> str:
    """What stays although the spec no longer asks for it: a roll-out that is stuck keeps it for as long."""
    if not observed.retained:
        return ""
    told = list(observed.retained[:_MOST_RETAINED])
    more = len(observed.retained) - len(told)
    return f"{_RETAINED}{listed([*told, *([f'{more} more'] if more else [])])}."


def _rolls(key: tuple[str, str], verdict: Verdict) -> bool:
    return key[0] == "Deployment" and not verdict.stuck and verdict.reason != "PodsUnavailable"


def _referring(reason: str, why: tuple[str, str] | None) -> str:
    return _SEE if why is not None and why[0] == reason else "A rollout is in progress."


def _cure(reason: str, message: str) -> str:
    """What to do, since the cause is told already."""
    known = row(reason, message)
    return f"{known.cure} {_SEE}" if known is not None and known.cure else _SEE


def _not_stalled(why: tuple[str, str] | None) -> str:
    if why is None or why[0] in ON_ITS_WAY:
        return "No intervention required."
    return f"May require intervention. {_SEE}"


def _well(shop: ShopService, observed: Observed) -> tuple[str, str]:
    """Reason and message for being ready."""
    if _is_suspended(shop, observed):
        return SUSPENDED, _LEFT_ALONE
    web = observed.children.get(("Deployment", shop.name), {})
    notes = [clause(each) for each in observed.notes]
    if observed.dependencies is not None and observed.dependencies.unavailable:
        notes.append("a dependency is not available (see the DependenciesReady condition)")
    more = "".join(f"; {each}" for each in notes)
    zero = web.get("spec", {}).get("replicas", 1) == 0
    if observed.overruled:
        # Not among the notes: the first words would be wrong.
        kept = f" {_OVERRULED}{listed(observed.overruled)}."
        lead = "The web Deployment is scaled to zero" if zero else "All resources are ready"
        return ZERO if zero else READY, f"{lead}{more}.{kept}"
    if zero:
        return ZERO, f"All resources match the spec. The web Deployment is scaled to zero{more}."
    return READY, f"All resources match the spec and are ready{more}."


def _why(
    shop: ShopService,
    observed: Observed,
    stuck: Mapping[tuple[str, str], Verdict],
    waiting: Mapping[tuple[str, str], Verdict],
) -> tuple[str, str] | None:
    """Reason and message for not being ready, None when ready.

    What fails speaks before a dependency that there cannot be, and that before what is on its way.
    """
    if observed.error is not None:
        return observed.error.reason, sentence(observed.error.message)
    told = _told(stuck or waiting)
    impossible = (
        observed.dependencies is not None and observed.dependencies.impossible and not shop.spec.suspend
    )
    if impossible and (told is None or (told[0] in ON_ITS_WAY and told[0] != "WaitingForDependencies")):
        assert observed.dependencies is not None  # noqa: S101  it is impossible
        return CYCLE if observed.dependencies.cycle else MISSING, observed.dependencies.message
    return told


def _told(waiting: Mapping[tuple[str, str], Verdict]) -> tuple[str, str] | None:
    """The worst child speaks; the others are counted."""
    key = worst(waiting)
    if key is None:
        return None
    kind, name = key
    others = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
    return waiting[key].reason, sentence(f"{kind} {name}: {waiting[key].message}{others}")


def _steady_message(why: tuple[str, str], shop: ShopService, previous: Mapping[str, Any]) -> str:
    before = next((each for each in previous.get("conditions", ()) if each["type"] == READY), None)
    same = (
        before is not None
        and before["reason"] in {why[0], SUSPENDED}
        and before.get("observedGeneration") == shop.generation
    )
    return (
        steady(before["message"].removeprefix(f"{_LEFT_ALONE} ").partition(_RETAINED)[0], why[1])
        if before is not None and same
        else why[1]
    )


def _condition(kind: str, holds: bool | None, reason: str, message: str) -> dict[str, Any]:  # noqa: FBT001  what a condition is
    return {
        "type": kind,
        "status": _STATUS[holds],
        "reason": reason,
        "message": printable(message)[:_LONGEST_MESSAGE],
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
