"""A probe that fails is named, with the answer that it received."""

from typing import Any

import pytest

from shop_operator.status.diagnosis import (
    probe_answer,
)
from tests.operator.status.diagnosis.causes import EVENT, HTTP, UNREADY, said


@pytest.mark.parametrize(
    ("container", "status", "words"),
    [
        ({"readinessProbe": HTTP}, UNREADY, "its readiness probe fails (GET /readyz on port 8080)"),
        (
            {"readinessProbe": HTTP, "startupProbe": {"httpGet": {"path": "/up", "port": 9}}},
            {**UNREADY, "started": False},
            "its startup probe fails (GET /up on port 9)",
        ),
        (
            {"readinessProbe": {"tcpSocket": {"port": 8080}}},
            UNREADY,
            "its readiness probe fails (TCP connection on port 8080)",
        ),
        (
            {"readinessProbe": {"grpc": {"port": 8080}}},
            UNREADY,
            "its readiness probe fails (gRPC health check on port 8080)",
        ),
        (
            {"readinessProbe": {"exec": {"command": ["cat", "/ready"]}}},
            UNREADY,
            "its readiness probe fails (command cat /ready)",
        ),
        ({}, UNREADY, "is running but not ready"),
    ],
)
def test_given_a_failing_probe_then_the_diagnosis_names_the_probe_its_request_and_its_port(
    container: dict[str, Any], status: dict[str, Any], words: str
) -> None:
    found = said(status, **container)

    assert found.reason == "NotReady"
    assert words in found.message


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        (EVENT, "connection refused"),
        ("Readiness probe failed: HTTP probe failed with statuscode: 404", "HTTP status 404"),
        ('Startup probe failed: Get "http://x": context deadline exceeded', "timed out"),
        ("Readiness probe failed: cat: /ready: no such file", "cat: /ready: no such file"),
        ("Back-off restarting failed container", ""),
    ],
)
def test_given_an_event_of_a_failed_probe_then_the_answer_of_the_app_is_extracted(
    event: str, answer: str
) -> None:
    assert probe_answer(event) == answer
