"""The diagnosis of a pod."""

from typing import Any

import pytest

from shop_operator.status.diagnosis import (
    diagnosis,
)
from tests.operator.status.diagnosis.causes import said


def failing_pod(name: str = "web-1", *containers: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"containerStatuses": list(containers), **status}}


def waiting_container(reason: str, **more: Any) -> dict[str, Any]:
    return {"name": "app", "state": {"waiting": {"reason": reason, **more}}}


UNSCHEDULABLE = failing_pod(
    conditions=[
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient cpu.",
        }
    ]
)


@pytest.mark.parametrize(
    ("found", "reason", "message", "log"),
    [
        (
            UNSCHEDULABLE,
            "Unschedulable",
            "0/3 nodes are available: 3 Insufficient cpu",
            None,
        ),
        (
            failing_pod(
                "web-1", waiting_container("ImagePullBackOff", message='Back-off pulling image "web:2"')
            ),
            "ImagePullBackOff",
            "container app: its image cannot be pulled: no details reported",
            None,
        ),
        (
            failing_pod(
                "web-1", waiting_container("CreateContainerConfigError", message='secret "db" not found')
            ),
            "CreateContainerConfigError",
            'container app: secret "db" not found',
            None,
        ),
        (
            failing_pod(
                "web-1",
                {
                    **waiting_container("CrashLoopBackOff"),
                    "restartCount": 4,
                    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
                },
            ),
            "CrashLoopBackOff",
            "container app exited with code 3 and was restarted",
            ("app", True),
        ),
        (
            failing_pod(
                "web-1",
                {
                    **waiting_container("CrashLoopBackOff"),
                    "restartCount": 1,
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                },
            ),
            "OOMKilled",
            "container app was OOM-killed: it exceeded its memory limit; raise resources.limits.memory",
            ("app", True),
        ),
        (
            failing_pod(
                "web-1", {"name": "app", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}
            ),
            "Error",
            "container app exited with code 2",
            ("app", False),
        ),
        (
            failing_pod(
                "web-1",
                {
                    "name": "app",
                    "restartCount": 1,
                    "state": {"terminated": {"exitCode": 2, "reason": "Error"}},
                    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
                },
            ),
            "CrashLoopBackOff",
            "container app exited with code 2 and was restarted",
            ("app", False),
        ),
        (
            failing_pod(
                "web-1",
                {**waiting_container("ContainerCreating"), "lastState": {"terminated": {"exitCode": 3}}},
            ),
            "Error",
            "container app exited with code 3",
            ("app", True),
        ),
        (
            failing_pod("web-1", {"name": "app", "ready": False, "state": {"running": {}}}),
            "NotReady",
            "container app is running but not ready",
            ("app", False),
        ),
        (
            failing_pod("web-1", initContainerStatuses=[waiting_container("ErrImagePull")]),
            "ImagePullBackOff",
            "container app: its image cannot be pulled: no details reported",
            None,
        ),
    ],
)
def test_given_a_failing_pod_then_the_diagnosis_has_the_reason_and_message_of_kubernetes(
    found: dict[str, Any], reason: str, message: str, log: tuple[str, bool] | None
) -> None:
    said = diagnosis([found])

    assert said is not None
    assert (said.reason, said.message, said.pod) == (reason, message, "web-1")
    assert (said.container, said.previous) == (log or (None, False)), "the container whose log says more"


def test_given_ready_starting_or_terminating_pods_then_there_is_no_diagnosis() -> None:
    ending = failing_pod("web-0", waiting_container("CrashLoopBackOff"))
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    assert (
        diagnosis(
            [
                ending,
                failing_pod("web-1", waiting_container("ContainerCreating")),
                failing_pod("web-2", {"name": "app", "ready": True, "state": {"running": {}}}),
                {"metadata": {"name": "web-3"}},
            ]
        )
        is None
    )


def test_given_several_failing_pods_then_the_diagnosis_reports_the_most_severe_reason() -> None:
    said = diagnosis([UNSCHEDULABLE, failing_pod("web-2", waiting_container("ImagePullBackOff"))])

    assert said is not None
    assert said.reason == "ImagePullBackOff"


def test_given_an_oom_killed_container_then_the_diagnosis_names_its_memory_limit_and_the_field_to_raise() -> (
    None
):
    killed = {"waiting": {"reason": "CrashLoopBackOff"}}
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    found = said(
        {"restartCount": 2, "state": killed, "lastState": ended}, resources={"limits": {"memory": "64Mi"}}
    )

    assert (found.reason, found.restarts) == ("OOMKilled", 2)
    assert found.message == (
        "container app was OOM-killed: it exceeded its memory limit (64Mi); raise resources.limits.memory"
    )


def test_given_a_command_missing_in_the_image_then_the_reason_is_run_container_error() -> None:
    ended = {
        "reason": "StartError",
        "exitCode": 128,
        "message": 'exec: "x": executable file not found in $PATH',
    }
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    found = said({"restartCount": 2, "state": waiting, "lastState": {"terminated": ended}})

    assert found.reason == "RunContainerError"
    assert "executable file not found" in found.message


def test_given_a_termination_message_then_the_diagnosis_does_not_quote_it() -> None:
    """With terminationMessagePolicy FallbackToLogsOnError, it is a part of the log."""
    ended = {"reason": "Error", "exitCode": 1, "message": "password is hunter2"}

    assert "hunter2" not in said({"state": {"terminated": ended}}).message
