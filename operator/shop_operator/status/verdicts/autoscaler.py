"""The verdict on a HorizontalPodAutoscaler or a ScaledObject: it is able to scale its Deployment.

An autoscaler has no measurement of pods that have just started, so a failure counts only after three minutes. It counts at
once if the Deployment shows that it can never be measured.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from shop_operator.objects.summary import Summary
from shop_operator.status.verdicts.verdict import READY_VERDICT, Input, Summaries, Verdict, first_answer
from shop_operator.wording import listed

AUTOSCALERS: Final = ("HorizontalPodAutoscaler", "ScaledObject")
CANNOT_SCALE: Final = "cannot scale"
"""The start of the message about an autoscaler that has failed for three minutes."""
_NOT_SCALING: Final = "AutoscalerNotWorking"
# The reason of an HPA of a Deployment that is scaled to zero.
_ON_PURPOSE: Final = "ScalingDisabled"
_NEEDED: Final = {
    "HorizontalPodAutoscaler": ("AbleToScale", "ScalingActive"),
    "ScaledObject": ("Ready", "HPAActive"),
}
_HANDLED: Final = {**_NEEDED, "ScaledObject": ("Ready",)}
# KEDA reports Ready although it cannot read a metric, as long as a fallback replaces the metric.
_FALLBACK: Final = "Fallback"
_UNHANDLED: Final = {
    "HorizontalPodAutoscaler": "not processed by the HorizontalPodAutoscaler controller",
    "ScaledObject": "not accepted by KEDA",
}
_HINTS: Final = {
    "FailedGetResourceMetric": "check that metrics-server is running and that every container of the pods requests the measured resource",
    "FailedGetContainerResourceMetric": "check that metrics-server is running and that the container requests the measured resource",
    **dict.fromkeys(
        ("FailedGetPodsMetric", "FailedGetObjectMetric", "FailedGetExternalMetric"),
        "check that an adapter serves the metric under its name, such as KEDA or prometheus-adapter",
    ),
    "FallbackExists": "KEDA cannot read the queue, so the number of pods is that of autoscaling.queue.fallback; check the"
    " URL, region and endpoint of the queue, and the permission sqs:GetQueueAttributes of KEDA",
    "FailedGetScale": "check that the Deployment exists",
    "FailedUpdateScale": "check that no policy forbids scaling the Deployment",
    _UNHANDLED["HorizontalPodAutoscaler"]: "check that kube-controller-manager is running",
    _UNHANDLED["ScaledObject"]: "check that the KEDA operator is running and watches this namespace",
}


class _Autoscaler(NamedTuple):
    """The fields that the checks read.

    Attributes:
        kind: of the autoscaler.
        name: of the autoscaler.
        summary: of the autoscaler.
        deployment: the summary of the Deployment that it scales; empty without one.
        failure: the reason that it reports for not working; empty for none.
        lasting: whether it has reported one for three minutes.
    """

    kind: str
    name: str
    summary: Summary
    deployment: Summary
    failure: str
    lasting: bool


def judge(scaler: Input) -> Verdict:
    """Judge an autoscaler."""
    return first_answer(
        _CHAIN,
        _Autoscaler(
            scaler.kind,
            scaler.name,
            scaler.summary,
            scaler.children.get(("Deployment", scaler.name), {}),
            _failure(scaler.kind, scaler.summary),
            (scaler.kind, scaler.name) in scaler.known.failed_autoscalers,
        ),
    )


def failing(children: Summaries) -> frozenset[tuple[str, str]]:
    """The autoscalers that report that they do not work."""
    return frozenset(
        key for key, summary in children.items() if key[0] in AUTOSCALERS and _failure(key[0], summary)
    )


def _unmeasurable(scaler: _Autoscaler) -> Verdict | None:
    unrequested = _unrequested(scaler.summary, scaler.deployment)
    if not unrequested:
        return None
    # Its controller must have tried once.
    stuck = scaler.failure not in {"", _UNHANDLED[scaler.kind]} or _measures(scaler.summary)
    return Verdict(ready=False, reason=_NOT_SCALING, message=unrequested, stuck=stuck)


def _working(scaler: _Autoscaler) -> Verdict | None:
    return None if scaler.failure else READY_VERDICT


def _starting(scaler: _Autoscaler) -> Verdict | None:
    if scaler.lasting:
        return None
    message = f"is not scaling yet: {scaler.failure}"
    return Verdict(ready=False, reason=scaler.failure, message=message, decisive=False)


def _broken(scaler: _Autoscaler) -> Verdict:
    hint = _HINTS.get(scaler.failure, f"see `kubectl describe {scaler.kind.lower()} {scaler.name}`")
    return Verdict(ready=False, reason=_NOT_SCALING, message=f"{CANNOT_SCALE}: {scaler.failure}; {hint}")


_CHAIN: Final = (_unmeasurable, _working, _starting, _broken)


def _failure(kind: str, scaler: Summary) -> str:
    """The reason that an autoscaler reports for not working; empty for none.

    The message changes with every measurement, so it is not used: a status must not change that often.
    """
    needed = _NEEDED[kind]
    conditions = scaler.get("status", {}).get("conditions", ())
    for condition in conditions:
        fails = condition["type"] in needed and condition["status"] == "False"
        if fails or (condition["type"] == _FALLBACK and condition["status"] == "True"):
            reason: str = condition.get("reason") or "Unknown"
            return "" if reason == _ON_PURPOSE else reason
    if scaler.get("paused"):
        return ""
    # KEDA also reports Ready for a ScaledObject whose trigger is inactive.
    handled = any(each["type"] in _HANDLED[kind] and each["status"] == "True" for each in conditions)
    return "" if handled else _UNHANDLED[kind]


def _measures(scaler: Summary) -> bool:
    return any(
        each["type"] == "ScalingActive" and each["status"] == "True"
        for each in scaler.get("status", {}).get("conditions", ())
    )


def _unrequested(scaler: Summary, deployment: Summary) -> str:
    """A clause about a resource that is measured as a share of its request and that a container does not request.

    A resource that was measured all the same is requested by the pods, because a LimitRange adds the request.
    """
    lacking: Mapping[str, list[str]] = deployment.get("unrequested", {})
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
