from collections.abc import Iterator

import pytest

from tests.services.spans import Recorded, recording


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """The spans of the test."""
    with recording() as recorded:
        yield recorded
