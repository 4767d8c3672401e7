"""The diagnosis of pods that do not become ready, in the words of the scheduler and the kubelet. Pure.

A diagnosis becomes a part of a status, so it contains neither the name of a pod nor a count: both change while the state
stays the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from shop_operator.status.diagnosis.findings import RANKED, Diagnosis, Pod
from shop_operator.status.diagnosis.probes import failing_probe
from shop_operator.status.diagnosis.pull import PULL, PULLING, pull_failure
from shop_operator.wording import clause, shortened

# Reasons of a waiting container that are not failures.
_ON_ITS_WAY: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
# Reasons of a terminated container whose message is from the container runtime. Other messages are from the container.
_RUNTIME: Final = frozenset({"StartError", "ContainerCannotRun"})
_RANK: Final = {reason: rank for rank, reason in enumerate(RANKED)}


def diagnosis(pods: Iterable[Pod]) -> Diagnosis | None:
    """The worst diagnosis of these pods; None if all are ready or still starting."""
    found = [each for pod in pods for each in _of_pod(pod)]
    return min(found, key=lambda each: (_RANK[each.reason], each.pod), default=None)


def _of_pod(pod: Pod) -> Iterator[Diagnosis]:
    name, state = pod["metadata"]["name"], pod.get("status") or {}
    if "deletionTimestamp" in pod["metadata"]:
        return
    if state.get("phase") == "Failed":
        said = f"{state.get('reason') or 'Failed'}: {state.get('message') or 'no details reported'}"
        yield Diagnosis("PodFailed", f"a pod has failed: {clause(shortened(said))}", name)
        return
    for condition in state.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            reason = condition.get("reason") or "Unschedulable"
            said = condition.get("message") or "no node is eligible"
            yield Diagnosis(reason if reason in _RANK else "Unschedulable", clause(shortened(said)), name)
    specs = {
        each["name"]: each
        for key in ("initContainers", "containers")
        for each in (pod.get("spec") or {}).get(key) or ()
    }
    for container in [*(state.get("initContainerStatuses") or ()), *(state.get("containerStatuses") or ())]:
        found = _of_container(name, container, specs.get(container["name"], {}))
        if found is not None:
            yield found


def _of_container(pod: str, container: Mapping[str, Any], spec: Mapping[str, Any]) -> Diagnosis | None:
    where, current = container["name"], container.get("state") or {}
    restarts = container.get("restartCount", 0)
    waiting = current.get("waiting") or {}
    why = waiting.get("reason") or ""
    ended = current.get("terminated") or (container.get("lastState") or {}).get("terminated")
    # Without a restart, the log of the terminated run is the current log.
    previous = ended is not None and not current.get("terminated")
    if why and why not in _ON_ITS_WAY and why != "CrashLoopBackOff":
        return _not_started(pod, container, why, waiting.get("message") or "")
    if "running" in current and container.get("ready", True):
        return None
    # A container that crashes repeatedly alternates between running, waiting and terminated.
    again = why == "CrashLoopBackOff" or (restarts > 0 and ended is not None)
    if again or ("running" not in current and ended and ended.get("exitCode")):
        reason, how = _ending(ended, spec)
        more = " and was restarted" if again and reason != "OOMKilled" else ""
        if reason == "Error" and again:
            reason = "CrashLoopBackOff"
        return Diagnosis(reason, f"container {where} {how}{more}", pod, where, previous, restarts)
    if "running" in current:
        said = f"container {where} is running but {failing_probe(container, spec)}"
        return Diagnosis("NotReady", said, pod, where)
    return None


def _not_started(pod: str, container: Mapping[str, Any], why: str, said: str) -> Diagnosis:
    where, image = container["name"], container.get("image", "")
    if why in PULLING:
        found = pull_failure(said)
        what = f"image {image}".strip() if image else "its image"
        return Diagnosis(
            "ImagePullBackOff",
            f"container {where}: {what}{PULL}: {found or 'no details reported'}",
            pod,
            vague=not found,
        )
    reason = why if why in _RANK else "ContainerNotStarted"
    named = "" if reason == why else f"{why}: "
    return Diagnosis(
        reason, f"container {where}: {named}{clause(shortened(said)) or 'no details reported'}", pod
    )


def _ending(ended: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> tuple[str, str]:
    """The reason, and how the container ended."""
    if ended is None:
        return "Error", "exited"
    if ended.get("reason") == "OOMKilled":
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
        of = f" ({limit})" if limit else ""
        return "OOMKilled", f"was OOM-killed: it exceeded its memory limit{of}; raise resources.limits.memory"
    if ended.get("reason") in _RUNTIME:
        return (
            "RunContainerError",
            f"could not be started: {clause(shortened(ended.get('message') or 'no details reported'))}",
        )
    return "Error", f"exited with code {ended.get('exitCode', 0)}"
