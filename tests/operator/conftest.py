"""The option that rewrites the golden files (`pytest tests/operator --update-golden`, then read the diff), and shared fixtures."""

import pytest

from tests.operator.world import World


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the rendered objects as expected ones"
    )


@pytest.fixture
def world() -> World:
    return World()
