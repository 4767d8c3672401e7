"""The cluster of the tests of a status."""

import pytest

from tests.operator.world import World


@pytest.fixture
def world() -> World:
    """A cluster whose operator does not read logs."""
    made = World()
    made.diagnose_logs = False
    made.restart()
    return made
