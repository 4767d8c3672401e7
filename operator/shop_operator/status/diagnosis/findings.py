"""A diagnosis: the reason why a pod does not become ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Pod = Mapping[str, Any]

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
"""All reasons, the worst first."""


@dataclass(frozen=True)
class Diagnosis:
    """The reason why a pod does not become ready.

    Args:
        reason: one of RANKED.
        message: a clause without the name of the pod.
        pod: the name of the pod.
        container: the container whose log may show more; None if none has run.
        previous: whether the log of its previous run shows it.
        restarts: the number of its restarts.
        vague: whether Kubernetes reports no cause at present; an earlier diagnosis may have it.
    """

    reason: str
    message: str
    pod: str
    container: str | None = None
    previous: bool = False
    restarts: int = 0
    vague: bool = False
