import pytest

from tests.charts.helm import Helm, fresh


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The charts as a fresh clone has them."""
    return fresh(tmp_path_factory.mktemp("fresh") / "charts")
