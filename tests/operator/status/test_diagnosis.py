"""Why a pod is not ready, in one sentence."""

from typing import Any

import pytest

from shop_operator.status.diagnosis import diagnosis, last_line


def pod(name: str = "web-1", *containers: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"containerStatuses": list(containers), **status}}


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return {"name": "app", "state": {"waiting": {"reason": reason, **more}}}


UNSCHEDULABLE = pod(
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
            pod("web-1", waiting("ImagePullBackOff", message='Back-off pulling image "web:2"')),
            "ImagePullBackOff",
            "container app: its image cannot be pulled: no details reported",
            None,
        ),
        (
            pod("web-1", waiting("CreateContainerConfigError", message='secret "db" not found')),
            "CreateContainerConfigError",
            'container app: secret "db" not found',
            None,
        ),
        (
            pod(
                "web-1",
                {
                    **waiting("CrashLoopBackOff"),
                    "restartCount": 4,
                    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
                },
            ),
            "CrashLoopBackOff",
            "container app exited with code 3 and was restarted",
            ("app", True),
        ),
        (
            pod(
                "web-1",
                {
                    **waiting("CrashLoopBackOff"),
                    "restartCount": 1,
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                },
            ),
            "OOMKilled",
            "container app was OOM-killed: it exceeded its memory limit; raise resources.limits.memory",
            ("app", True),
        ),
        (
            pod("web-1", {"name": "app", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}),
            "Error",
            "container app exited with code 2",
            ("app", False),
        ),
        (
            pod(
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
            pod(
                "web-1",
                {**waiting("ContainerCreating"), "lastState": {"terminated": {"exitCode": 3}}},
            ),
            "Error",
            "container app exited with code 3",
            ("app", True),
        ),
        (
            pod("web-1", {"name": "app", "ready": False, "state": {"running": {}}}),
            "NotReady",
            "container app is running but not ready",
            ("app", False),
        ),
        (
            pod("web-1", initContainerStatuses=[waiting("ErrImagePull")]),
            "ImagePullBackOff",
            "container app: its image cannot be pulled: no details reported",
            None,
        ),
    ],
)
def test_the_reason_is_the_one_that_kubernetes_gives(
    found: dict[str, Any], reason: str, message: str, log: tuple[str, bool] | None
) -> None:
    said = diagnosis([found])

    assert said is not None
    assert (said.reason, said.message, said.pod) == (reason, message, "web-1")
    assert (said.container, said.previous) == (log or (None, False)), "the container whose log says more"


def test_what_is_well_or_on_its_way_or_ending_is_no_reason() -> None:
    ending = pod("web-0", waiting("CrashLoopBackOff"))
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    assert (
        diagnosis(
            [
                ending,
                pod("web-1", waiting("ContainerCreating")),
                pod("web-2", {"name": "app", "ready": True, "state": {"running": {}}}),
                {"metadata": {"name": "web-3"}},
            ]
        )
        is None
    )


def test_the_worst_of_all_pods_speaks() -> None:
    said = diagnosis([UNSCHEDULABLE, pod("web-2", waiting("ImagePullBackOff"))])

    assert said is not None
    assert said.reason == "ImagePullBackOff"


@pytest.mark.parametrize(
    ("log", "words"),
    [("", ""), ("\n\n", ""), ("a\n  b  \n\n", "b"), ("x" * 400, "x" * 299 + "…"), ("a\tb  c", "a b c")],
)
def test_the_last_line_are_one_short_line(log: str, words: str) -> None:
    assert last_line(log) == words
