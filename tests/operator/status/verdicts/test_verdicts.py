"""The verdicts on all children."""

from tests.operator.status.observing import NOW, conditions, rolled_out, seen


def test_given_a_failing_and_a_rolling_child_then_ready_reports_the_failing_one_first() -> None:
    quota = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "exceeded quota",
    }
    rolling, failing = rolled_out(updatedReplicas=1), rolled_out(availableReplicas=0, conditions=[quota])
    failing["metadata"] = {"name": "web-relay", "generation": 1}

    found = conditions(seen(rolling, failing))

    assert (found["Ready"]["reason"], found["Ready"]["message"]) == (
        "FailedCreate",
        "Deployment web-relay: exceeded quota (and 1 more).",
    )
    assert found["Reconciling"]["status"] == "True"


def test_given_a_child_that_is_being_deleted_then_ready_is_false_with_reason_terminating() -> None:
    service = {"kind": "Service", "metadata": {"name": "web", "deletionTimestamp": NOW}}

    found = conditions(seen(rolled_out(), service))

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "Terminating")
