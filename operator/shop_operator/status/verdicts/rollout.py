"""The verdict on a Rollout: the newest pod template of its Deployment has passed all steps of the canary release.

The message about a canary release states its weight and what it waits for.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from shop_operator.objects.rollouts import observed
from shop_operator.objects.summary import Summary
from shop_operator.render.slo.burn_rates import seconds
from shop_operator.status.diagnosis import Diagnosis
from shop_operator.status.verdicts.verdict import READY_VERDICT, Input, Summaries, Verdict, first_answer
from shop_operator.wording import clause, number

ABORTED: Final = "CanaryAborted"
NO_CONTROLLER: Final = "; check that its controller runs and watches this namespace"
"""The end of the message about a Rollout that Argo Rollouts has not observed, or not continued, for too long."""
_HEALTHY: Final = "Healthy"
_DEGRADED: Final = "Degraded"
_PROGRESSING: Final = "Progressing"
_PAUSED: Final = "Paused"
# As Argo Rollouts words its messages.
_PAUSE_STEP: Final = "CanaryPauseStep"
_BY_USER: Final = "manually paused"
_INCONCLUSIVE: Final = "InconclusiveAnalysisRun"
_WHOLE: Final = 100
_DURATION: Final = re.compile(r"[0-9]{1,9}[smh]")
_WITHDRAWN: Final = "RolloutAborted: "


class Release(NamedTuple):
    """A release in progress: if none of this changes, the release does not continue.

    Attributes:
        name: of the Rollout.
        step: number of the step.
        counts: of all pods, of those of the new version, and of the available ones.
        phase: as Argo Rollouts reports it.
    """

    name: str
    step: int
    counts: tuple[int, ...]
    phase: str


class _Rollout(NamedTuple):
    """The fields that the checks read.

    Attributes:
        name: of the Rollout.
        wanted: the wanted count of pods.
        available: the count of available pods.
        replaced: whether all pods have the newest template.
        phase: Healthy, Progressing, Paused or Degraded; empty before Argo Rollouts has reported one.
        message: of Argo Rollouts about the phase.
        aborted: whether the release was withdrawn.
        first: whether no release has been completed yet.
        handing_back: whether its Deployment takes its pods over.
        seen: whether its status is about its spec and about the newest pod template.
        ignored: whether it has not been for as long as the deadline.
        idle: whether its release has not continued for the pause of its step and the deadline.
        deadline: the progress deadline, in seconds.
        canary: the step, the number of steps, the weight, and the pause.
        diagnosis: of pods that do not become ready; None without one.
    """

    name: str
    wanted: int
    available: int
    replaced: bool
    phase: str
    message: str
    aborted: bool
    first: bool
    handing_back: bool
    seen: bool
    ignored: bool
    idle: bool
    deadline: int
    canary: Mapping[str, Any]
    diagnosis: Diagnosis | None


def judge(child: Input) -> Verdict:
    """Judge a Rollout."""
    spec, state = child.summary["spec"], child.summary["status"]
    return first_answer(
        _CHAIN,
        _Rollout(
            child.name,
            spec["replicas"],
            state.get("availableReplicas", 0),
            state.get("replicas", 0) == state.get("updatedReplicas", 0) >= spec["replicas"],
            state.get("phase", ""),
            state.get("message", ""),
            bool(state.get("abort")),
            not state.get("stableRS"),
            # A release that a user has paused has steps.
            bool(child.summary.get("paused")) and not child.summary["canary"]["steps"],
            _is_seen(child.summary, _deployment(child.name, child.children)),
            child.name in child.known.unobserved,
            child.name in child.known.idle,
            child.deadline,
            child.summary["canary"],
            child.known.diagnoses.get(child.name),
        ),
    )


def _handing_back(rollout: _Rollout) -> Verdict | None:
    return READY_VERDICT if rollout.handing_back else None


def _unobserved(rollout: _Rollout) -> Verdict | None:
    if rollout.seen:
        return None
    if not rollout.ignored:
        return Verdict(ready=False, reason="RollingOut", message="has not been observed by Argo Rollouts yet")
    return Verdict(
        ready=False,
        reason="RolloutDegraded",
        message=f"has not been observed by Argo Rollouts for {rollout.deadline} s{NO_CONTROLLER}",
        stuck=True,
    )


def _aborting(rollout: _Rollout) -> Verdict | None:
    """Until Argo Rollouts has processed a user's abort, its phase and message are those of the release."""
    if not rollout.aborted or rollout.phase == _DEGRADED:
        return None
    return Verdict(ready=False, reason="Canary", message="the new version is being withdrawn")


def _aborted(rollout: _Rollout) -> Verdict | None:
    if rollout.phase != _DEGRADED:
        return None
    cause = clause(rollout.message.removeprefix(_WITHDRAWN)) or "no details reported"
    verdict = Verdict(ready=False, reason="RolloutDegraded", message=cause, stuck=True)
    if rollout.aborted:
        cause = f"the new version was withdrawn, and the previous one gets all requests: {cause}"
        verdict = replace(verdict, reason=ABORTED, message=cause, overdue=True)
    found = rollout.diagnosis
    if found is None:
        return verdict
    lead = "the new version was withdrawn: " if rollout.aborted else ""
    return replace(verdict, reason=found.reason, message=f"{lead}{clause(found.message)}")


def _diagnosed(rollout: _Rollout) -> Verdict | None:
    """Pods of the new version that do not become ready are the reason why the weight does not rise."""
    if rollout.phase == _HEALTHY or rollout.diagnosis is None:
        return None
    lead = "" if rollout.first else f"{_share(rollout)}; "
    return Verdict(
        ready=False, reason=rollout.diagnosis.reason, message=f"{lead}{clause(rollout.diagnosis.message)}"
    )


def _first(rollout: _Rollout) -> Verdict | None:
    """The first release gets all requests at once, because there is no previous version."""
    if not rollout.first:
        return None
    message = f"{rollout.available} of {number(rollout.wanted, 'pod')} available"
    return Verdict(ready=False, reason="RollingOut", message=message)


def _complete(rollout: _Rollout) -> Verdict | None:
    # A user may pause a Rollout that has nothing to release.
    if rollout.phase != _HEALTHY and not (rollout.message == _BY_USER and rollout.replaced):
        return None
    if rollout.available < rollout.wanted:
        message = f"{rollout.available} of {number(rollout.wanted, 'pod')} available"
        return Verdict(ready=False, reason="PodsUnavailable", message=message)
    return READY_VERDICT


def _idle(rollout: _Rollout) -> Verdict | None:
    """Nothing in the status of a Rollout tells that its controller has ended."""
    if not rollout.idle:
        return None
    lasted = rollout.deadline + _pause(rollout.canary)
    message = f"{_share(rollout)}; {_wait(rollout)}, but nothing has changed for {lasted} s{NO_CONTROLLER}"
    return Verdict(ready=False, reason="RolloutDegraded", message=message, stuck=True)


def _releasing(rollout: _Rollout) -> Verdict | None:
    return Verdict(ready=False, reason="Canary", message=f"{_share(rollout)}; {_wait(rollout)}")


_CHAIN: Final = (
    _handing_back,
    _unobserved,
    _aborting,
    _aborted,
    _diagnosed,
    _first,
    _complete,
    _idle,
    _releasing,
)


def unobserved(children: Summaries) -> set[tuple[str, int, int]]:
    """The Rollouts that have not been observed since the last change to their spec or pod template, with both generations."""
    return {
        (name, _generation(summary), _generation(_deployment(name, children)))
        for (kind, name), summary in children.items()
        if kind == "Rollout" and not _is_seen(summary, _deployment(name, children))
    }


def releases(children: Summaries) -> dict[Release, int]:
    """The releases that Argo Rollouts has to continue, as they are, each with the pause of its step in seconds."""
    return {
        _release(name, summary): _pause(summary["canary"])
        for (kind, name), summary in children.items()
        if kind == "Rollout"
        and (state := summary["status"]).get("stableRS")
        and _is_seen(summary, _deployment(name, children))
        and not state.get("abort")
        and _continues(state, summary["canary"])
    }


def _release(name: str, rollout: Summary) -> Release:
    state = rollout["status"]
    counts = (state.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas"))
    return Release(name, rollout["canary"]["step"], tuple(counts), state["phase"])


def is_idle(message: str, release: Release) -> bool:
    """Whether a message of a status says that this release has not continued at this step."""
    return f" (step {release.step} of " in message and NO_CONTROLLER in message


def _continues(state: Mapping[str, Any], canary: Mapping[str, Any]) -> bool:
    """Whether the next step does not depend on a user."""
    if state["phase"] == _PAUSED:
        return state.get("message") == _PAUSE_STEP and "pause" in canary
    return bool(state["phase"] == _PROGRESSING)


def _pause(canary: Mapping[str, Any]) -> int:
    """The pause of the step in seconds. A user may have written one in another format, which is not known then."""
    return seconds(canary["pause"]) if _DURATION.fullmatch(canary.get("pause", "")) else 0


def _is_seen(rollout: Summary, deployment: Summary) -> bool:
    return bool(rollout["status"].get("phase")) and observed(rollout, deployment)


def _deployment(name: str, children: Summaries) -> Summary:
    return children.get(("Deployment", name), {"metadata": {}})


def _generation(summary: Summary) -> int:
    found: int = summary["metadata"].get("generation", 0)
    return found


def _share(rollout: _Rollout) -> str:
    canary = rollout.canary
    step = f" (step {canary['step']} of {canary['steps']})" if canary["step"] else ""
    return f"the new version gets {canary['weight']} % of the requests{step}"


def _wait(rollout: _Rollout) -> str:
    """Why the release is at this step."""
    if rollout.phase == _PAUSED:
        if rollout.message == _INCONCLUSIVE:
            return "its analysis is inconclusive"
        if rollout.message == _PAUSE_STEP and "pause" in rollout.canary:
            return f"this step lasts {rollout.canary['pause']}"
        return f"paused: {clause(rollout.message)}" if rollout.message else "paused"
    if rollout.canary["weight"] == _WHOLE:
        return "the pods of the previous version are being replaced"
    return "waiting for the pods of this step"
