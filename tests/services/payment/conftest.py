"""The payment service in memory, for each test anew."""

import pytest

from tests.services.payment.world import World


@pytest.fixture
def world() -> World:
    return World()
