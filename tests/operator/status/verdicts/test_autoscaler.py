"""The verdict on a HorizontalPodAutoscaler or a ScaledObject."""

from collections.abc import Sequence
from typing import Any

import pytest

from shop_operator.status.compute import status
from tests.operator.status.observing import NOW, SHOP, conditions, deployment, rolled_out, seen


def scaler(
    *conditions: dict[str, str],
    kind: str = "HorizontalPodAutoscaler",
    container: str | None = None,
    resources: Sequence[str] = ("cpu",),
    measured: Sequence[str] = (),
) -> dict[str, Any]:
    def metric(resource: str, **more: Any) -> dict[str, Any]:
        if container:
            named = {"name": resource, "container": container, **more}
            return {"type": "ContainerResource", "containerResource": named}
        return {"type": "Resource", "resource": {"name": resource, **more}}

    target = {"type": "Utilization", "averageUtilization": 80}
    current = {"averageUtilization": 7, "averageValue": "7m"}
    return {
        "kind": kind,
        "metadata": {"name": "web"},
        "spec": {"metrics": [metric(each, target=target) for each in resources]},
        "status": {
            "conditions": list(conditions),
            # As its controller writes it: one that has failed is there without anything.
            "currentMetrics": [
                metric(each, current=current) if each in measured else {"type": ""} for each in resources
            ],
        },
    }


def condition(kind: str, state: str, reason: str = "x") -> dict[str, str]:
    return {"type": kind, "status": state, "reason": reason, "message": "7"}


REQUESTED = {"requests": {"cpu": "1"}}


FAILED = condition("ScalingActive", "False", "FailedGetResourceMetric")


ACTIVE = condition("ScalingActive", "True", "ValidMetricFound")


@pytest.mark.parametrize(
    ("resources", "judged", "measured", "ready", "stalled"),
    [
        ({}, [], [], "False", "False"),
        ({}, [FAILED], [], "False", "True"),
        # A LimitRange of the namespace requests it.
        ({}, [ACTIVE], ["cpu"], "True", "False"),
        (REQUESTED, [], [], "True", "False"),
        ({"limits": {"cpu": "1"}}, [], [], "True", "False"),
        (REQUESTED, [FAILED], [], "True", "False"),
        ({"requests": {"memory": "1Mi"}}, [], [], "False", "False"),
    ],
)
def test_given_an_hpa_and_no_resource_request_then_ready_names_the_missing_request_at_once(
    resources: dict[str, Any],
    judged: list[dict[str, str]],
    measured: list[str],
    ready: str,
    stalled: str,
) -> None:
    found = conditions(seen(deployment(resources=resources), scaler(*judged, measured=measured)))

    assert (found["Ready"]["status"], found["Stalled"]["status"]) == (ready, stalled)
    if ready == "False":
        assert found["Ready"]["reason"] == "AutoscalerNotWorking"
        assert "container app requests none; set resources.requests.cpu" in found["Ready"]["message"]


BOTH = ("cpu", "memory")


@pytest.mark.parametrize(
    ("judged", "measured", "ready", "stalled"),
    [
        ([], [], "False", "False"),
        ([ACTIVE], ["cpu"], "False", "True"),
        ([ACTIVE], ["cpu", "memory"], "True", "False"),
    ],
)
@pytest.mark.parametrize("container", [None, "app"])
def test_given_an_hpa_with_two_metrics_when_one_has_no_request_then_ready_names_it_at_once(
    judged: list[dict[str, str]], measured: list[str], ready: str, stalled: str, container: str | None
) -> None:
    """The autoscaler reports that it works, because of the other metric."""
    child = scaler(*judged, resources=BOTH, measured=measured, container=container)

    found = conditions(seen(deployment(resources=REQUESTED), child))

    assert (found["Ready"]["status"], found["Stalled"]["status"]) == (ready, stalled)
    if ready == "False":
        assert found["Ready"]["reason"] == "AutoscalerNotWorking"
        assert "cannot measure memory: container app requests none" in found["Ready"]["message"]


def test_given_a_metric_of_one_container_then_only_that_container_needs_the_request() -> None:
    child = deployment(resources=REQUESTED)
    child["spec"]["template"]["spec"]["containers"].append({"name": "mesh"})

    assert conditions(seen(child, scaler(container="app")))["Ready"]["status"] == "True"
    of_all = conditions(seen(child, scaler()))["Ready"]
    assert (of_all["status"], "container mesh requests none" in of_all["message"]) == ("False", True)


@pytest.mark.parametrize(
    ("kind", "judged"),
    [
        ("HorizontalPodAutoscaler", FAILED),
        ("HorizontalPodAutoscaler", condition("AbleToScale", "False", "FailedUpdateScale")),
        ("HorizontalPodAutoscaler", condition("ScalingActive", "False", "FailedGetPodsMetric")),
        ("ScaledObject", condition("Ready", "False", "ScaledObjectCheckFailed")),
        ("ScaledObject", condition("HPAActive", "False", "FailedGetExternalMetric")),
    ],
)
def test_given_an_autoscaler_that_fails_longer_than_its_grace_period_then_ready_is_false(
    kind: str, judged: dict[str, str]
) -> None:
    children = (deployment(resources=REQUESTED), scaler(judged, kind=kind))

    soon = conditions(seen(*children))
    later = conditions(seen(*children, failed_autoscalers=frozenset({(kind, "web")})))

    assert soon["Ready"]["status"] == "True"
    assert (later["Ready"]["status"], later["Ready"]["reason"]) == ("False", "AutoscalerNotWorking")
    assert judged["reason"] in later["Ready"]["message"]


def test_given_zero_replicas_when_the_hpa_reports_scaling_disabled_then_ready_is_true() -> None:
    off = scaler(condition("ScalingActive", "False", "ScalingDisabled"))
    child = deployment(wanted=0, there=0, updated=0, available=0, resources=REQUESTED)

    found = conditions(seen(child, off, failed_autoscalers=frozenset({("HorizontalPodAutoscaler", "web")})))

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("True", "ScaledToZero")


@pytest.mark.parametrize(
    ("kind", "condition", "reason"),
    [
        ("HorizontalPodAutoscaler", "ScalingActive", "FailedGetResourceMetric"),
        ("HorizontalPodAutoscaler", "AbleToScale", "FailedGetScale"),
        ("ScaledObject", "Ready", "ScaledObjectCheckFailed"),
    ],
)
def test_given_an_autoscaler_that_has_just_failed_then_its_child_is_not_ready_and_ready_stays_true(
    kind: str, condition: str, reason: str
) -> None:
    scaler = {
        "kind": kind,
        "metadata": {"name": "web"},
        "status": {"conditions": [{"type": condition, "status": "False", "reason": reason, "message": "7"}]},
    }

    found = status(SHOP, seen(rolled_out(), scaler), {}, now=lambda: NOW)

    child = next(each for each in found["children"] if each["kind"] == kind)
    assert (child["ready"], child["message"]) == (False, f"is not scaling yet: {reason}")
    assert next(c for c in found["conditions"] if c["type"] == "Ready")["status"] == "True"


def scaled_object(*judged: tuple[str, str], **annotations: str) -> dict[str, Any]:
    names = {each: f"autoscaling.keda.sh/{each.replace('_', '-')}" for each in annotations}
    return {
        "kind": "ScaledObject",
        "metadata": {
            "name": "web",
            "annotations": {names[each]: value for each, value in annotations.items()},
        },
        "status": {"conditions": [{"type": kind, "status": state, "reason": "x"} for kind, state in judged]},
    }


@pytest.mark.parametrize(
    "scaler",
    [
        scaled_object(("Ready", "True"), ("Active", "False")),
        scaled_object(paused_replicas="0"),
        scaled_object(("Ready", "Unknown"), paused="true"),
    ],
)
def test_given_an_idle_or_paused_scaledobject_then_it_is_ready(scaler: dict[str, Any]) -> None:
    found = status(SHOP, seen(rolled_out(), scaler), {}, now=lambda: NOW)

    assert next(each for each in found["children"] if each["kind"] == "ScaledObject")["ready"] is True


@pytest.mark.parametrize(
    "scaler",
    [
        scaled_object(),
        scaled_object(("Ready", "Unknown")),
        scaled_object(("Active", "False")),
        scaled_object(paused="false"),
    ],
)
def test_given_a_scaledobject_that_keda_does_not_accept_when_its_grace_period_ends_then_ready_is_false(
    scaler: dict[str, Any],
) -> None:
    soon = status(SHOP, seen(rolled_out(), scaler), {}, now=lambda: NOW)
    later = conditions(seen(rolled_out(), scaler, failed_autoscalers=frozenset({("ScaledObject", "web")})))[
        "Ready"
    ]

    child = next(each for each in soon["children"] if each["kind"] == "ScaledObject")
    assert (child["ready"], child["message"]) == (False, "is not scaling yet: not accepted by KEDA")
    assert next(c for c in soon["conditions"] if c["type"] == "Ready")["status"] == "True"
    assert (later["status"], later["reason"]) == ("False", "AutoscalerNotWorking")
    assert "check that the KEDA operator is running and watches this namespace" in later["message"]


def test_given_a_queue_that_keda_cannot_read_when_its_grace_period_ends_then_ready_names_the_fallback() -> (
    None
):
    """KEDA reports Ready all the same, because the fallback replaces the metric."""
    replaced = [("Ready", "True"), ("Fallback", "True"), ("HPAActive", "True")]
    scaler = scaled_object(*replaced)
    scaler["status"]["conditions"][1]["reason"] = "FallbackExists"
    recovered = scaled_object(*dict(replaced, Fallback="False").items())

    ready = conditions(seen(rolled_out(), scaler, failed_autoscalers=frozenset({("ScaledObject", "web")})))[
        "Ready"
    ]

    assert (ready["status"], ready["reason"]) == ("False", "AutoscalerNotWorking")
    assert "autoscaling.queue.fallback; check the URL" in ready["message"]
    assert conditions(seen(rolled_out(), recovered))["Ready"]["status"] == "True"


@pytest.mark.parametrize("conditions_", [[], [{"type": "ScalingLimited", "status": "True", "reason": "x"}]])
def test_given_an_hpa_that_no_controller_processes_when_its_grace_period_ends_then_ready_is_false(
    conditions_: list[dict[str, str]],
) -> None:
    key = ("HorizontalPodAutoscaler", "web")
    scaler = {"kind": key[0], "metadata": {"name": "web"}, "status": {"conditions": conditions_}}

    soon = status(SHOP, seen(rolled_out(), scaler), {}, now=lambda: NOW)
    later = conditions(seen(rolled_out(), scaler, failed_autoscalers=frozenset({key})))["Ready"]

    child = next(each for each in soon["children"] if each["kind"] == key[0])
    unread = "not processed by the HorizontalPodAutoscaler controller"
    assert (child["ready"], child["message"]) == (False, f"is not scaling yet: {unread}")
    assert next(c for c in soon["conditions"] if c["type"] == "Ready")["status"] == "True"
    assert (later["status"], later["reason"]) == ("False", "AutoscalerNotWorking")
    assert later["message"].endswith(
        f"cannot scale: {unread}; check that kube-controller-manager is running."
    )


@pytest.mark.parametrize("kind", ["AbleToScale", "ScalingActive"])
def test_given_an_hpa_that_its_controller_has_processed_then_it_is_ready(kind: str) -> None:
    said = [{"type": kind, "status": "True", "reason": "x"}]
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "status": {"conditions": said}}

    found = status(SHOP, seen(rolled_out(), scaler), {}, now=lambda: NOW)

    assert next(each for each in found["children"] if each["kind"] == scaler["kind"])["ready"] is True
