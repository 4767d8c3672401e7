"""Fixtures of the common mechanisms: waiting for a condition without a fixed sleep."""

import time
from collections.abc import Callable

import pytest

from services.common.telemetry import logs

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def eventually() -> Eventually:
    """Waits until something is true; fails after ten seconds."""

    def wait(true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not true():
            assert time.monotonic() < deadline, "it did not come true within ten seconds"
            time.sleep(0.005)

    return wait


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """Has the services log as they do in a pod: the console form draws every traceback with its variables."""
    logs.configure("test", "INFO")
