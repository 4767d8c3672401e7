"""Fixtures of the metrics and logs of the services."""

import pytest

from services.common.telemetry import logs


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """Has the services log as they do in a pod: the console form draws every traceback with its variables."""
    logs.configure("test", "INFO")
