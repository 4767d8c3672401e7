"""The payment service in memory, created for each test."""

import pytest

from tests.services.payment.world import World


@pytest.fixture
def world() -> World:
    return World()
