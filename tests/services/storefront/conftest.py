"""The pages of a shop in memory, created for each test."""

import pytest

from tests.services.storefront.visitor import Visitor, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def visitor(world: World) -> Visitor:
    return world.visitor()
