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
def test_the_reason_is_the_one_that_kubernetes_reports(
    found: dict[str, Any], reason: str, message: str, log: tuple[str, bool] | None
) -> None:
    said = diagnosis([found])

    assert said is not None
    assert (said.reason, said.message, said.pod) == (reason, message, "web-1")
    assert (said.container, said.previous) == (log or (None, False)), "the container whose log says more"


def test_pods_that_are_ready_starting_or_being_deleted_have_no_diagnosis() -> None:
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


def test_the_diagnosis_is_that_of_the_worst_pod() -> None:
    said = diagnosis([UNSCHEDULABLE, failing_pod("web-2", waiting_container("ImagePullBackOff"))])

    assert said is not None
    assert said.reason == "ImagePullBackOff"


def test_an_oom_killed_container_is_reported_with_its_limit_and_the_cure() -> None:
    killed = {"waiting": {"reason": "CrashLoopBackOff"}}
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    found = said(
        {"restartCount": 2, "state": killed, "lastState": ended}, resources={"limits": {"memory": "64Mi"}}
    )

    assert (found.reason, found.restarts) == ("OOMKilled", 2)
    assert found.message == (
        "container app was OOM-killed: it exceeded its memory limit (64Mi); raise resources.limits.memory"
    )


def test_a_command_that_is_not_in_the_image_is_not_a_crash() -> None:
    ended = {
        "reason": "StartError",
        "exitCode": 128,
        "message": 'exec: "x": executable file not found in $PATH',
    }
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    found = said({"restartCount": 2, "state": waiting, "lastState": {"terminated": ended}})

    assert found.reason == "RunContainerError"
    assert "executable file not found" in found.message


def test_the_termination_message_of_an_app_is_not_quoted() -> None:
    """With terminationMessagePolicy FallbackToLogsOnError, it is a part of the log."""
    ended = {"reason": "Error", "exitCode": 1, "message": "password is hunter2"}

    assert "hunter2" not in said({"state": {"terminated": ended}}).message
