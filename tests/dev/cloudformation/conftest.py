"""An AWS for `dev/aws`: one emulator process per run."""

from collections.abc import Iterator

import pytest

from shopdev.processes.emulator import Emulator
from tests.shops import running_emulator


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """A running emulator."""
    with running_emulator() as emulator:
        yield emulator
