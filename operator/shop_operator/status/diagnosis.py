"""Why pods do not get ready, in the words that the scheduler and the kubelet have for it. Pure.

What is said here goes into a status, so it names no pod and counts nothing: both change while nothing happens.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.objects.lenient import digits
from shop_operator.wording import clause, shortened

Pod = Mapping[str, Any]

TEMPLATE_HASH: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"

# What a container waits for by itself, and is no failure.
_ON_ITS_WAY: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
# The kubelet goes back and forth between the two.
_PULLING: Final = frozenset({"ImagePullBackOff", "ErrImagePull", "RegistryUnavailable"})
# In these the kubelet quotes the container runtime; otherwise a container's own file or log.
_RUNTIME: Final = frozenset({"StartError", "ContainerCannotRun"})

RANKED: Final = (
    "InvalidImageName",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "ImageInspectError",
    "SignatureValidationFailed",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PostStartHookError",
    "ContainerNotStarted",
    "OOMKilled",
    "CrashLoopBackOff",
    "Error",
    "Unschedulable",
    "SchedulingGated",
    "SchedulerError",
    "NotReady",
    "PodFailed",
)
"""Every reason of a diagnosis, the worst first."""
_RANK: Final = {reason: rank for rank, reason in enumerate(RANKED)}


@dataclass(frozen=True)
class Diagnosis:
    """What keeps a pod from being ready.

    Args:
        reason: one word, one of RANKED.
        message: a clause about it, without the pod's name.
        pod: the pod's name.
        container: the container whose log says more, None when none has run.
        previous: it is the log of the run before that says it.
        restarts: how often the container was started again.
        vague: Kubernetes names no cause; what it said before may have.
    """

    reason: str
    message: str
    pod: str
    container: str | None = None
    previous: bool = False
    restarts: int = 0
    vague: bool = False


def hashes(pods: Iterable[Pod]) -> set[str]:
    """The pod-template-hash of every pod that is not being deleted."""
    return {template_hash(pod) for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def latest(replicasets: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The ReplicaSet of the highest revision, None without one."""
    return max(replicasets, key=_revision, default=None)


def of_template(pods: Iterable[dict[str, Any]], template: str | None) -> list[dict[str, Any]]:
    """The pods of one pod template; all for None."""
    return [pod for pod in pods if template is None or template_hash(pod) == template]


def of_newest(
    pods: Iterable[dict[str, Any]], replicasets: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The pods of the newest template of each Deployment; a pod of no known ReplicaSet is of the newest."""
    by_owner: dict[str, list[Mapping[str, Any]]] = {}
    for each in replicasets:
        owners = each["metadata"].get("ownerReferences") or ()
        by_owner.setdefault(next((o["uid"] for o in owners if o.get("controller")), ""), []).append(each)
    every = {template_hash(each) for group in by_owner.values() for each in group}
    old = every - {template_hash(found) for group in by_owner.values() if (found := latest(group))}
    return [pod for pod in pods if template_hash(pod) not in old]


def template_hash(obj: Mapping[str, Any]) -> str:
    """The pod-template-hash of a pod or a ReplicaSet; empty without one."""
    return str((obj["metadata"].get("labels") or {}).get(TEMPLATE_HASH, ""))


def _revision(replicaset: Mapping[str, Any]) -> int:
    return digits((replicaset["metadata"].get("annotations") or {}).get(REVISION))


def diagnosis(pods: Iterable[Pod]) -> Diagnosis | None:
    """The worst that is known of any of these pods, None when all are well or still on their way."""
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
    # One that was not started again has no run before: the log of the last one is its own.
    previous = ended is not None and not current.get("terminated")
    if why and why not in _ON_ITS_WAY and why != "CrashLoopBackOff":
        return _not_started(pod, container, why, waiting.get("message") or "")
    if "running" in current and container.get("ready", True):
        return None
    # A container that crashes is running in between, and is waiting, and has ended: three looks at the same thing.
    again = why == "CrashLoopBackOff" or (restarts > 0 and ended is not None)
    if again or ("running" not in current and ended and ended.get("exitCode")):
        reason, how = _ending(ended, spec)
        more = " and was restarted" if again and reason != "OOMKilled" else ""
        if reason == "Error" and again:
            reason = "CrashLoopBackOff"
        return Diagnosis(reason, f"container {where} {how}{more}", pod, where, previous, restarts)
    if "running" in current:
        said = f"container {where} is running but {_unanswered(container, spec)}"
        return Diagnosis("NotReady", said, pod, where)
    return None


def _not_started(pod: str, container: Mapping[str, Any], why: str, said: str) -> Diagnosis:
    where, image = container["name"], container.get("image", "")
    if why in _PULLING:
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


PULL: Final = " cannot be pulled"
"""Between the image that a diagnosis is about and the cause."""
_NO_VARIANT: Final = "the image has no variant for the node's platform"
_DENIED: Final = "access denied"
_NOT_FOUND: Final = "not found in the registry"
DEFINITE_PULL_FAILURES: Final = (_NO_VARIANT, _DENIED, _NOT_FOUND)
"""Words in the message of a diagnosis by which a registry has answered that there is no such image for these pods."""
_CAUSES: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"lookup (\S+?)(?: on \S+)?: no such host", r"no such host: \1"),
        (r"lookup (\S+?)(?: on \S+)?: .*", r"the name \1 cannot be resolved"),
        (r"dial tcp (\S+): (?:connect: )?connection refused", r"connection refused by \1"),
        (r"dial tcp (\S+): (?:connect: )?i/o timeout", r"timeout connecting to \1"),
        (r"x509: (.+)", r"the certificate of the registry is not trusted: \1"),
        (r"no match for platform in manifest", _NO_VARIANT),
        (r"toomanyrequests|429 Too Many Requests", "the registry limits the rate of pulls"),
        (
            r"pull access denied|insufficient_scope|401 Unauthorized|403 Forbidden|authorization failed|denied:",
            f"{_DENIED}: the repository does not exist, or spec.imagePullSecrets lacks its credentials",
        ),
        (r"(?:manifest unknown|: not found$|\bnot found\b)", _NOT_FOUND),
    )
)


def pull_failure(said: str) -> str:
    """The cause of a failed pull first, then the runtime's own words once; empty when none is named."""
    flat = " ".join(said.split())
    # In front of the cause the kubelet says what it does about it.
    flat = re.sub(r'^Back-off pulling image "[^"]*"(?:: )?', "", flat)
    flat = re.sub(r"^(?:ErrImagePull|ImagePullBackOff|RegistryUnavailable): ", "", flat)
    if not flat:
        return ""
    for pattern, words in _CAUSES:
        found = pattern.search(flat)
        if found is not None:
            cause = clause(found.expand(words))
            break
    else:
        cause = clause(flat.rpartition(": ")[2])
    rest = clause(flat)
    return (
        cause
        if rest.endswith(cause) and len(rest) - len(cause) < len("x: ")
        else f"{shortened(cause)} ({shortened(rest)})"
    )


def _unanswered(container: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """Which probe keeps a running container from being ready, and what may be wrong."""
    kind = "startup" if spec.get("startupProbe") and container.get("started") is False else "readiness"
    probe = spec.get(f"{kind}Probe") or {}
    http: Mapping[str, Any] = probe.get("httpGet") or probe.get("grpc") or probe.get("tcpSocket") or {}
    if "httpGet" in probe:
        what = f"its {kind} probe fails (GET {http.get('path', '/')} on port {_port(http, spec)})"
        return (
            f"{what}; does the app listen on that port (spec.port) and serve that path (spec.probes.{kind})?"
        )
    if http:
        what = "gRPC health check" if "grpc" in probe else "TCP connection"
        return f"its {kind} probe fails ({what} on port {_port(http, spec)}); does the app listen on that port (spec.port)?"
    if "exec" in probe:
        command = shortened(" ".join((probe["exec"] or {}).get("command") or ()), 80)
        return f"its {kind} probe fails (command {command})"
    return "not ready"


def _port(handler: Mapping[str, Any], spec: Mapping[str, Any]) -> Any:
    named = handler.get("port")
    return next((p["containerPort"] for p in spec.get("ports") or () if p.get("name") == named), named)


def _ending(ended: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> tuple[str, str]:
    """The reason and how it ended."""
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


_NO_LOG: Final = re.compile(
    r"^(?:unable to retrieve container logs for|failed to (?:try resolving symlinks|open log file|get) )"
)


def last_line(log: str) -> str:
    """The last line that says anything, short enough for a condition; empty for what the kubelet says in place of a log."""
    lines = [line.strip() for line in log.splitlines()]
    found = next((line for line in reversed(lines) if line), "")
    return "" if _NO_LOG.match(found) else shortened(found)


_PROBES: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"connect: connection refused", "connection refused"),
        (r"HTTP probe failed with statuscode: (\d+)", r"HTTP status \1"),
        (r"context deadline exceeded|Client\.Timeout|i/o timeout", "timed out"),
        (r"probe failed: (.+)", r"\1"),
    )
)


def probe_answer(event: str) -> str:
    """What a probe was answered, from the note of a pod's Event; empty when the Event is about something else."""
    if "probe failed" not in event and "probe errored" not in event:
        return ""
    found = next((each for each in ((p.search(event), words) for p, words in _PROBES) if each[0]), None)
    return clause(shortened(found[0].expand(found[1]))) if found and found[0] else ""
