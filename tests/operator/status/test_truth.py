"""Ready means that everything that the spec asks for works; a cause is told once, whole, and with its cure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import Conflict
from shop_operator.objects.summary import summary
from shop_operator.status.compute import status
from shop_operator.status.dependencies import Dependencies
from shop_operator.status.diagnosis import Diagnosis
from shop_operator.status.observed import Observed

NOW = "2030-01-01T00:00:00Z"
SHOP = ShopService(
    name="web", namespace="shop", uid="u", generation=3, document={"image": "web:2", "replicas": 2}
)
DONE = [
    {"type": "Available", "status": "True"},
    {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
]


def deployment(
    *,
    wanted: int = 2,
    there: int = 2,
    updated: int = 2,
    available: int = 2,
    conditions: Sequence[Mapping[str, Any]] = tuple(DONE),
    resources: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    container = {"name": "app", "image": "web:2", "resources": resources or {}}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": 1},
        "spec": {"replicas": wanted, "template": {"spec": {"containers": [container]}}, **spec},
        "status": {
            "observedGeneration": 1,
            "replicas": there,
            "updatedReplicas": updated,
            "readyReplicas": available,
            "availableReplicas": available,
            "conditions": list(conditions),
        },
    }


def seen(*children: dict[str, Any], **more: Any) -> Observed:
    return Observed(
        {(child["kind"], child["metadata"]["name"]): summary(child) for child in children}, **more
    )


def conditions(
    observed: Observed, shop: ShopService = SHOP, previous: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    found = status(shop, observed, previous or {}, now=lambda: NOW)
    return {each["type"]: each for each in found["conditions"]}


def states(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {kind: each["status"] for kind, each in found.items()}


# Deployments


@pytest.mark.parametrize(
    ("child", "scaling", "reason", "progressing"),
    [
        (deployment(wanted=3, available=2), {"web"}, "Scaling", "True"),
        (deployment(wanted=1), {"web"}, "Scaling", "True"),
        (deployment(there=2, available=1), set(), "PodsUnavailable", "False"),
        (deployment(there=1, updated=1, available=1), set(), "PodsUnavailable", "False"),
        (deployment(updated=1, there=3), set(), "RollingOut", "True"),
        (deployment(updated=1, there=3), {"web"}, "RollingOut", "True"),
        (deployment(conditions=[], available=1), set(), "RollingOut", "True"),
    ],
)
def test_a_deployment_that_scales_or_lost_a_pod_is_not_rolling_out(
    child: dict[str, Any], scaling: set[str], reason: str, progressing: str
) -> None:
    found = conditions(seen(child, scaling=frozenset(scaling)))

    assert found["Ready"]["reason"] == reason
    assert states(found) | {"Ready": "False", "Progressing": progressing, "Reconciling": "True"} == states(
        found
    )


def test_a_paused_rollout_says_so_and_names_the_command_that_resumes_it() -> None:
    paused = [{"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused"}]
    found = conditions(seen(deployment(updated=0, conditions=paused, paused=True)))

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "RolloutPaused")
    assert "kubectl rollout resume deployment/web" in found["Ready"]["message"]
    assert found["Stalled"]["status"] == "True"


def test_a_deployment_that_is_paused_with_nothing_to_roll_out_is_ready() -> None:
    paused = [{"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused"}]

    assert conditions(seen(deployment(conditions=paused, paused=True)))["Ready"]["status"] == "True"


def test_a_paused_deployment_that_lost_a_pod_is_not_said_to_be_held_back() -> None:
    found = conditions(seen(deployment(available=1, conditions=[], paused=True)))

    assert found["Ready"]["reason"] == "PodsUnavailable"


@pytest.mark.parametrize(("wanted", "available", "holds"), [(1, 0, "False"), (2, 1, "True"), (0, 0, "True")])
def test_it_is_available_only_with_at_least_one_pod_when_any_are_wanted(
    wanted: int, available: int, holds: str
) -> None:
    """The Deployment controller says True of one pod of which one may be missing."""
    found = conditions(seen(deployment(wanted=wanted, there=wanted, updated=wanted, available=available)))

    assert found["Available"]["status"] == holds


def test_scaled_to_zero_on_purpose_it_is_ready_and_says_why_nothing_runs() -> None:
    found = conditions(
        seen(deployment(wanted=0, there=0, updated=0, available=0)),
        replace(SHOP, document={"image": "web:2", "replicas": 0}),
    )

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("True", "ScaledToZero")
    assert found["Available"]["reason"] == "ScaledToZero"


FORBIDDEN = 'pods "web-5d4-x8k2p" is forbidden: violates PodSecurity "restricted:latest": runAsUser=0'
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


def test_the_cause_that_the_cluster_gave_stays_after_the_deadline() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": FORBIDDEN}

    before = conditions(seen(deployment(there=0, updated=0, available=0, conditions=[failure])))
    after = conditions(seen(deployment(there=0, updated=0, available=0, conditions=[LATE, failure])))

    for found in (before, after):
        assert found["Ready"]["reason"] == "FailedCreate"
        assert (
            'pods are forbidden: violates PodSecurity "restricted:latest": runAsUser=0'
            in found["Ready"]["message"]
        )
        assert "x8k2p" not in found["Ready"]["message"], "a name that is another one at the next attempt"
    assert (before["Stalled"]["status"], after["Stalled"]["status"]) == ("False", "True")
    assert before["Stalled"]["message"] == "May require intervention. See the Ready condition."


QUOTA = (
    'Failed to create new replica set "web-5d4": replicasets.apps "web-5d4" is forbidden: exceeded quota: none,'
    " requested: count/replicasets.apps=1, used: count/replicasets.apps=0, limited: count/replicasets.apps=0"
)
UNCREATED = {
    "type": "Progressing",
    "status": "False",
    "reason": "ReplicaSetCreateError",
    "message": QUOTA,
}


def unobserved(child: dict[str, Any]) -> dict[str, Any]:
    child["metadata"]["generation"] = 2
    return child


@pytest.mark.parametrize(
    "child",
    [
        unobserved(deployment(conditions=[UNCREATED])),
        unobserved(deployment(there=0, updated=0, available=0, conditions=[UNCREATED])),
        # A count that changes is observed all the same.
        deployment(updated=0, conditions=[UNCREATED]),
        # Someone has deleted the ReplicaSet, and no count is updated any more.
        deployment(conditions=[UNCREATED]),
    ],
)
def test_a_replicaset_that_the_cluster_does_not_allow_is_told_with_its_cause(child: dict[str, Any]) -> None:
    before = conditions(seen(child))
    after = conditions(seen(child, uncreated=frozenset({"web"})))

    for found in (before, after):
        assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "ReplicaSetCreateError")
        assert "Deployment web: ReplicaSets are forbidden: exceeded quota: none" in found["Ready"]["message"]
        assert "web-5d4" not in found["Ready"]["message"]
    assert (before["Progressing"]["status"], before["Reconciling"]["status"]) == ("True", "True")
    assert "exceeded its progress deadline (300 s)" in after["Ready"]["message"]
    assert (before["Stalled"]["status"], after["Stalled"]["status"]) == ("False", "True")


def test_a_template_that_went_back_to_one_with_a_replicaset_is_rolling_out() -> None:
    """The controller leaves the condition as it is until that has progressed."""
    found = conditions(seen(deployment(available=1, conditions=[UNCREATED])))

    assert found["Ready"]["reason"] == "RollingOut"


CRASH = Diagnosis("CrashLoopBackOff", "container app exited with code 1 and was restarted", "web-1", "app")


def test_the_cause_that_a_pod_gave_stays_after_the_deadline() -> None:
    found = conditions(
        seen(deployment(available=0, conditions=[LATE]), diagnoses={"web": CRASH}, overdue=frozenset({"web"}))
    )

    assert found["Ready"]["reason"] == "CrashLoopBackOff"
    assert found["Ready"]["message"] == (
        "Deployment web: container app exited with code 1 and was restarted;"
        " the rollout exceeded its progress deadline (300 s)."
    )
    assert found["Stalled"]["status"] == "True"


@pytest.mark.parametrize(
    "observed",
    [
        seen(deployment(available=0, conditions=[]), diagnoses={"web": CRASH}),
        seen(deployment(available=0, conditions=[LATE]), diagnoses={"web": CRASH}),
        seen(deployment(), error=Conflict("Service web already exists.")),
        seen(deployment(updated=0, paused=True)),
    ],
)
def test_a_cause_is_told_by_ready_and_the_others_refer_to_it(observed: Observed) -> None:
    found = conditions(observed)

    for kind in ("Progressing", "Reconciling", "Stalled"):
        assert found["Ready"]["message"] not in found[kind]["message"]
    if found["Stalled"]["status"] == "True":
        assert "See the Ready condition." in found["Stalled"]["message"]
        assert found["Stalled"]["reason"] == found["Ready"]["reason"]


# Autoscalers


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


def said(kind: str, state: str, reason: str = "x") -> dict[str, str]:
    return {"type": kind, "status": state, "reason": reason, "message": "7"}


REQUESTED = {"requests": {"cpu": "1"}}
FAILED = said("ScalingActive", "False", "FailedGetResourceMetric")
ACTIVE = said("ScalingActive", "True", "ValidMetricFound")


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
def test_an_autoscaler_of_what_no_container_requests_is_told_at_once(
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
def test_of_two_metrics_the_one_of_what_no_container_requests_is_told_at_once(
    judged: list[dict[str, str]], measured: list[str], ready: str, stalled: str, container: str | None
) -> None:
    """The autoscaler works by the other one, and says so."""
    child = scaler(*judged, resources=BOTH, measured=measured, container=container)

    found = conditions(seen(deployment(resources=REQUESTED), child))

    assert (found["Ready"]["status"], found["Stalled"]["status"]) == (ready, stalled)
    if ready == "False":
        assert found["Ready"]["reason"] == "AutoscalerNotWorking"
        assert "cannot measure memory: container app requests none" in found["Ready"]["message"]


def test_of_a_metric_of_one_container_only_that_one_must_request_it() -> None:
    child = deployment(resources=REQUESTED)
    child["spec"]["template"]["spec"]["containers"].append({"name": "mesh"})

    assert conditions(seen(child, scaler(container="app")))["Ready"]["status"] == "True"
    of_all = conditions(seen(child, scaler()))["Ready"]
    assert (of_all["status"], "container mesh requests none" in of_all["message"]) == ("False", True)


@pytest.mark.parametrize(
    ("kind", "judged"),
    [
        ("HorizontalPodAutoscaler", FAILED),
        ("HorizontalPodAutoscaler", said("AbleToScale", "False", "FailedUpdateScale")),
        ("ScaledObject", said("Ready", "False", "ScaledObjectCheckFailed")),
    ],
)
def test_an_autoscaler_that_has_failed_for_a_while_keeps_it_from_being_ready(
    kind: str, judged: dict[str, str]
) -> None:
    children = (deployment(resources=REQUESTED), scaler(judged, kind=kind))

    soon = conditions(seen(*children))
    later = conditions(seen(*children, unscaled=frozenset({(kind, "web")})))

    assert soon["Ready"]["status"] == "True"
    assert (later["Ready"]["status"], later["Ready"]["reason"]) == ("False", "AutoscalerNotWorking")
    assert judged["reason"] in later["Ready"]["message"]


def test_an_autoscaler_that_is_switched_off_by_no_pods_is_no_failure() -> None:
    off = scaler(said("ScalingActive", "False", "ScalingDisabled"))
    child = deployment(wanted=0, there=0, updated=0, available=0, resources=REQUESTED)

    found = conditions(seen(child, off, unscaled=frozenset({("HorizontalPodAutoscaler", "web")})))

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("True", "ScaledToZero")


# Dependencies

TYPO = Dependencies({}, missing=("databse",), similar={"databse": "database"})
CIRCLE = Dependencies({}, cycle=("web", "a", "web"))


@pytest.mark.parametrize(
    ("dependencies", "reason", "words"),
    [
        (
            TYPO,
            "DependencyMissing",
            "ShopService databse does not exist in this namespace; did you mean database?",
        ),
        (CIRCLE, "DependencyCycle", "web → a → web: circular dependency"),
    ],
)
def test_a_dependency_that_there_cannot_be_keeps_it_from_being_ready(
    dependencies: Dependencies, reason: str, words: str
) -> None:
    soon = conditions(seen(deployment(), dependencies=dependencies))
    later = conditions(seen(deployment(), dependencies=dependencies, unmet=True))

    for found in (soon, later):
        assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", reason)
        assert words in found["Ready"]["message"]
        assert found["Available"]["status"] == "True"
    assert (soon["Reconciling"]["status"], soon["Stalled"]["status"]) == ("True", "False")
    assert (later["Reconciling"]["status"], later["Stalled"]["status"]) == ("False", "True")


def test_a_dependency_that_is_down_does_not_take_its_dependants_with_it() -> None:
    found = conditions(seen(deployment(), dependencies=Dependencies({"a": 1}, unavailable=("a",))))

    assert (found["Ready"]["status"], found["DependenciesReady"]["status"]) == ("True", "False")
    assert "see the DependenciesReady condition" in found["Ready"]["message"]


def test_a_crash_speaks_before_a_missing_dependency_and_that_before_a_rollout() -> None:
    rolling = deployment(updated=1, there=3)

    assert conditions(seen(rolling, dependencies=TYPO))["Ready"]["reason"] == "DependencyMissing"
    crashing = seen(rolling, dependencies=TYPO, diagnoses={"web": CRASH})
    assert conditions(crashing)["Ready"]["reason"] == "CrashLoopBackOff"


# Suspended

SUSPENDED = replace(SHOP, document={**SHOP.document, "suspend": True})


def test_suspended_from_its_beginning_it_creates_nothing_and_waits_for_nothing() -> None:
    found = conditions(seen(), SUSPENDED)

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("True", "Suspended")
    assert states(found) | {"Reconciling": "False", "Stalled": "False", "Progressing": "False"} == states(
        found
    )
    assert status(SUSPENDED, seen(), {}, now=lambda: NOW)["children"] == []
    assert found["Available"]["status"] == "False", "nothing serves"


def test_suspended_over_what_is_broken_it_is_not_ready() -> None:
    broken = seen(deployment(available=0, conditions=[LATE]), diagnoses={"web": CRASH})

    found = conditions(broken, SUSPENDED)

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "Suspended")
    assert "exited with code 1" in found["Ready"]["message"]


# What is no news is not written.


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        ("0/3 nodes are available: 3 Insufficient cpu", "0/4 nodes are available: 4 Insufficient cpu", False),
        (
            "0/3 nodes are available: 3 Insufficient cpu",
            "0/3 nodes are available: 3 Insufficient memory",
            True,
        ),
        ("lookup r.test on 10.0.0.1:53: no such host", "lookup r.test on 10.0.0.2:53: no such host", False),
        ("exited; last log line: GET / 12:00:01", "exited; last log line: GET / 12:00:16", False),
        ("GET /readyz on port 8080", "GET /readyz on port 9090", True),
        ("exited with code 1", "exited with code 2", True),
        ("image web:1.2.3.4: not found", "image web:1.2.3.5: not found", True),
        ("image a@sha256:0123456789abcdef0", "image a@sha256:fedcba98765432100", True),
    ],
)
def test_a_measurement_in_a_message_is_no_news(before: str, after: str, news: bool) -> None:
    def of(message: str, previous: Mapping[str, Any]) -> dict[str, Any]:
        found = Diagnosis("NotReady", message, "web-1", "app")
        rolling = deployment(available=0, conditions=[])
        return status(SHOP, seen(rolling, diagnoses={"web": found}), previous, now=lambda: NOW)

    once = of(before, {})

    assert (of(after, once) != once) is news


def test_what_changes_with_the_spec_is_news() -> None:
    def of(generation: int, message: str, previous: Mapping[str, Any]) -> dict[str, Any]:
        found = Diagnosis("Unschedulable", message, "web-1")
        rolling = seen(deployment(available=0, conditions=[]), diagnoses={"web": found})
        return status(replace(SHOP, generation=generation), rolling, previous, now=lambda: NOW)

    once = of(3, "0/3 nodes are available", {})

    assert "0/4 nodes" in str(of(4, "0/4 nodes are available", once)["conditions"][0]["message"])
