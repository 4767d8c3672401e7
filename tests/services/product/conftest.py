"""Fixtures of the product service."""

import pytest

from services.common.runtime import telemetry


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """Has the services log as they do in a pod: the console form draws every traceback with its variables."""
    telemetry.configure("test", "INFO")
