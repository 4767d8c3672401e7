"""What the tests of the common mechanisms share: waiting for something without sleeping for it."""

import time
from collections.abc import Callable

import pytest

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def eventually() -> Eventually:
    """Waits until something is true; fails after ten seconds."""

    def wait(true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not true():
            assert time.monotonic() < deadline, "it did not come true within ten seconds"
            time.sleep(0.005)

    return wait
