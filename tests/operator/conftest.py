"""How the golden files are written anew: `pytest tests/operator --update-golden`, then read the diff."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the rendered objects as expected ones"
    )
