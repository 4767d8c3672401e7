"""The ShopService of the tests of automatic rollback."""

import pytest

from tests.operator.status.rollback.releases import release
from tests.operator.world import World, rolling


@pytest.fixture
async def world() -> World:
    """The first release of a ShopService is available."""
    world = World()
    await release(world, image="shop:1", env=[{"name": "VERSION", "value": "one"}])
    rolling(world, available=1)
    await world.pass_()
    return world
