"""The order service in memory, for each test anew."""

import pytest
from flask.testing import FlaskClient

from services.order import api
from tests.services.order.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> FlaskClient:
    """A customer's way in."""
    return api.create(world.orders, world.products, world.idempotency, "guest").test_client()
