"""The verdict on a Deployment."""

from typing import Any

import pytest

from tests.operator.status.observing import CRASH, LATE, conditions, deployment, seen, states


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
def test_given_a_deployment_that_scales_or_lost_a_pod_then_the_reason_is_not_rolling_out(
    child: dict[str, Any], scaling: set[str], reason: str, progressing: str
) -> None:
    found = conditions(seen(child, scaling=frozenset(scaling)))

    assert found["Ready"]["reason"] == reason
    assert states(found) | {"Ready": "False", "Progressing": progressing, "Reconciling": "True"} == states(
        found
    )


def test_given_a_paused_rollout_then_ready_names_the_command_that_resumes_it() -> None:
    paused = [{"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused"}]
    found = conditions(seen(deployment(updated=0, conditions=paused, paused=True)))

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "RolloutPaused")
    assert "kubectl rollout resume deployment/web" in found["Ready"]["message"]
    assert found["Stalled"]["status"] == "True"


def test_given_a_paused_deployment_with_nothing_to_roll_out_then_ready_is_true() -> None:
    paused = [{"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused"}]

    assert conditions(seen(deployment(conditions=paused, paused=True)))["Ready"]["status"] == "True"


def test_given_a_paused_deployment_that_lost_a_pod_then_the_reason_is_pods_unavailable() -> None:
    found = conditions(seen(deployment(available=1, conditions=[], paused=True)))

    assert found["Ready"]["reason"] == "PodsUnavailable"


FORBIDDEN = 'pods "web-5d4-x8k2p" is forbidden: violates PodSecurity "restricted:latest": runAsUser=0'


def test_given_pods_that_cannot_be_created_when_the_deadline_passes_then_ready_keeps_their_cause() -> None:
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
        # The ReplicaSet was deleted, and the counts are no longer updated.
        deployment(conditions=[UNCREATED]),
    ],
)
def test_given_a_replicaset_that_cannot_be_created_then_ready_reports_its_cause(
    child: dict[str, Any],
) -> None:
    before = conditions(seen(child))
    after = conditions(seen(child, uncreated=frozenset({"web"})))

    for found in (before, after):
        assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "ReplicaSetCreateError")
        assert "Deployment web: ReplicaSets are forbidden: exceeded quota: none" in found["Ready"]["message"]
        assert "web-5d4" not in found["Ready"]["message"]
    assert (before["Progressing"]["status"], before["Reconciling"]["status"]) == ("True", "True")
    assert "exceeded its progress deadline (300 s)" in after["Ready"]["message"]
    assert (before["Stalled"]["status"], after["Stalled"]["status"]) == ("False", "True")


def test_given_a_template_reverted_to_one_with_a_replicaset_then_the_reason_is_rolling_out() -> None:
    """The controller keeps the condition until the ReplicaSet makes progress."""
    found = conditions(seen(deployment(available=1, conditions=[UNCREATED])))

    assert found["Ready"]["reason"] == "RollingOut"


def test_given_a_crashing_pod_when_the_deadline_passes_then_ready_keeps_its_cause() -> None:
    found = conditions(
        seen(deployment(available=0, conditions=[LATE]), diagnoses={"web": CRASH}, overdue=frozenset({"web"}))
    )

    assert found["Ready"]["reason"] == "CrashLoopBackOff"
    assert found["Ready"]["message"] == (
        "Deployment web: container app exited with code 1 and was restarted;"
        " the rollout exceeded its progress deadline (300 s)."
    )
    assert found["Stalled"]["status"] == "True"


def test_given_no_deployment_yet_then_ready_is_false_with_reason_creating() -> None:
    found = conditions(seen())

    assert (found["Ready"]["reason"], found["Available"]["status"]) == ("Creating", "False")
    assert "Deployment web: is being created" in found["Ready"]["message"]
