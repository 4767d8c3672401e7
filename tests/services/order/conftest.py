"""The order service in memory, created for each test."""

import time
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from services.common.telemetry import logs
from tests.services.callers import ALICE
from tests.services.order.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> FlaskClient:
    """A client with Alice's token."""
    return world.client(ALICE)


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """Has the services log as they do in a pod: the console form draws every traceback with its variables."""
    logs.configure("test", "INFO")


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits until something is true; fails after ten seconds."""

    def wait(true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not true():
            assert time.monotonic() < deadline, "it did not come true within ten seconds"
            time.sleep(0.02)

    return wait
