"""The fake keeps the contract that the real API server keeps."""

import pytest

from tests.operator.api_contract import ApiContract
from tests.operator.fake_api import FakeApi


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def namespace() -> str:
    return "ns"


class TestFakeApi(ApiContract):
    """Everything of the contract."""
