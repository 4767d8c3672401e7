"""Why pods do not get ready, in the words that the scheduler and the kubelet have for it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Pod = Mapping[str, Any]

_LONGEST: Final = 300
# What a container waits for by itself, and is no failure.
_ON_ITS_WAY: Final = frozenset({"ContainerCreating", "PodInitializing", ""})


@dataclass(frozen=True)
class Diagnosis:
    """What keeps a pod from being ready.

    Args:
        reason: one word, the scheduler's or the kubelet's own.
        message: a sentence about it.
        pod: the pod's name.
        container: the container whose log says more, None when none has run.
        previous: it is the log of the run before that says it.
    """

    reason: str
    message: str
    pod: str
    container: str | None = None
    previous: bool = False


def diagnosis(pods: Iterable[Pod]) -> Diagnosis | None:
    """The worst that is known of any of these pods, None when all are well or still on their way."""
    found = [each for pod in pods for each in _of_pod(pod)]
    return min(found, key=lambda each: (_RANK.get(each.reason, len(_RANK)), each.pod), default=None)


_RANK: Final = {
    reason: rank
    for rank, reason in enumerate(
        (
            "InvalidImageName",
            "ImagePullBackOff",
            "ErrImagePull",
            "ErrImageNeverPull",
            "CreateContainerConfigError",
            "CreateContainerError",
            "OOMKilled",
            "CrashLoopBackOff",
            "Error",
            "Unschedulable",
        )
    )
}


def _of_pod(pod: Pod) -> Iterator[Diagnosis]:
    name, state = pod["metadata"]["name"], pod.get("status") or {}
    if "deletionTimestamp" in pod["metadata"]:
        return
    for condition in state.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            said = condition.get("message") or "no node takes it"
            yield Diagnosis(condition.get("reason") or "Unschedulable", f"pod {name}: {_short(said)}", name)
    for container in [*(state.get("initContainerStatuses") or ()), *(state.get("containerStatuses") or ())]:
        found = _of_container(name, container)
        if found is not None:
            yield found


def _of_container(pod: str, container: Mapping[str, Any]) -> Diagnosis | None:
    where, current = container["name"], container.get("state") or {}
    waiting = current.get("waiting")
    ended = current.get("terminated") or (container.get("lastState") or {}).get("terminated")
    # One that was not started again has no run before: the log of the last one is its own.
    previous = ended is not None and not current.get("terminated")
    if waiting and waiting.get("reason") == "CrashLoopBackOff":
        how = _ending(ended)
        reason = "OOMKilled" if ended and ended.get("reason") == "OOMKilled" else "CrashLoopBackOff"
        times = container.get("restartCount", 0)
        said = f"pod {pod}: container {where} {how} and was started {times + 1} times"
        return Diagnosis(reason, said, pod, where, previous)
    if waiting and waiting.get("reason", "") not in _ON_ITS_WAY:
        said = waiting.get("message") or "no more is said"
        return Diagnosis(waiting["reason"], f"pod {pod}: container {where}: {_short(said)}", pod)
    if "running" not in current and ended and ended.get("exitCode"):
        said = f"pod {pod}: container {where} {_ending(ended)}"
        return Diagnosis(ended.get("reason") or "Error", said, pod, where, previous)
    if "running" in current and not container.get("ready", True):
        return Diagnosis(
            "NotReady", f"pod {pod}: container {where} runs and does not answer that it is ready", pod, where
        )
    return None


def _ending(ended: Mapping[str, Any] | None) -> str:
    if ended is None:
        return "ends"
    if ended.get("reason") == "OOMKilled":
        return "needs more memory than its limit"
    return f"ends with exit code {ended.get('exitCode', 0)}"


def last_words(log: str) -> str:
    """The last line that says anything, short enough for a condition."""
    lines = [line.strip() for line in log.splitlines()]
    return _short(next((line for line in reversed(lines) if line), ""))


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"
