"""What is generated is what its sources say today; `make generate` brings it there."""

from pathlib import Path

import pytest
import yaml

from chartdocs import values
from chartdocs.outputs import CHARTS, ROOT, crd_yaml, outputs
from shop_operator.crd import crd

FILES = outputs()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text() == FILES[path](), (
        f"run `make generate`: {path.relative_to(ROOT)} is not up to date"
    )


def test_the_charts_crd_is_the_one_that_the_operator_prints() -> None:
    assert yaml.safe_load(crd_yaml()) == crd()


@pytest.mark.parametrize("chart", CHARTS)
def test_every_value_is_described(chart: str) -> None:
    leaves = [
        leaf
        for section in values.read(ROOT / "charts" / chart / "values.yaml")
        for top in section.values
        for leaf in top.leaves()
    ]

    assert [
        ".".join(leaf.path) for leaf in leaves if not leaf.description and "enum" not in leaf.schema_hint()
    ] == []
