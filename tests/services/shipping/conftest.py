"""The shipping service in memory, created for each test."""

import pytest

from tests.services.shipping.world import World


@pytest.fixture
def world() -> World:
    return World()
