"""The shipping service in memory, for each test anew."""

import pytest

from tests.services.shipping.world import World


@pytest.fixture
def world() -> World:
    return World()
