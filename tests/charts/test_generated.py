"""Generated files match their sources; `make generate` updates them."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shop_operator.api.v1alpha1.crd import crd
from shopdev.checkout import ROOT
from shopdev.codegen import alerts, diagrams, httpapi, messages, saga
from shopdev.codegen.chartdocs import values
from shopdev.codegen.chartdocs.outputs import CHARTS, crd_yaml, outputs
from shopdev.codegen.kubeschema import table
from shopdev.codegen.slo import outputs as slo
from shopdev.codegen.telemetry import outputs as telemetry
from shopdev.documentation.version import version

FILES = {
    **outputs(),
    table.TABLE: table.generated,
    **slo.outputs(),
    **telemetry.outputs(),
    saga.FILE: saga.generated,
    diagrams.FILE: diagrams.generated,
    messages.FILE: messages.generated,
    alerts.FILE: alerts.generated,
    **httpapi.outputs(),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_given_a_generated_file_when_it_is_regenerated_then_it_is_unchanged(path: Path) -> None:
    assert path.read_text() == FILES[path](), (
        f"run `make generate`: {path.relative_to(ROOT)} is not up to date"
    )


def test_given_the_crd_of_the_chart_then_it_equals_that_of_the_operator() -> None:
    assert yaml.safe_load(crd_yaml()) == crd()


def test_given_the_install_manifest_then_its_image_resolves_only_after_the_registry_is_set() -> None:
    text = (ROOT / "manifests/install.yaml").read_text()
    images = [line.strip() for line in text.splitlines() if line.strip().startswith("image: ")]
    head = [line for line in text.splitlines() if line.startswith("# ")]

    # A name without a registry would be looked up wherever the node's runtime searches; .invalid resolves nowhere.
    assert images == [f"image: registry.invalid/shop-operator:{version()}"]
    (replace,) = (line for line in head if "sed " in line)
    script = replace.split("'")[1].replace("REGISTRY", "registry.example/team")
    done = subprocess.run(["sed", script], input=text, capture_output=True, text=True, check=True).stdout
    assert f"image: registry.example/team/shop-operator:{version()}\n" in done
    (operator,) = (each for each in yaml.safe_load_all(done) if each["kind"] == "Deployment")
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/team/shop-operator:{version()}"
    for way in ("sed ", "images: [", "helm template "):
        assert any(way in line for line in head), way


def test_given_the_values_schema_of_a_service_then_only_global_and_the_pod_spec_allow_unknown_keys() -> None:
    schema = json.loads((ROOT / "charts/shop-service/values.schema.json").read_text())

    # What a parent shares may be for its other dependencies; the fields of a pod are for Kubernetes to know.
    assert list(_open(schema, "")) == [".global", ".podTemplate.spec"]


def _open(schema: dict[str, Any], path: str) -> Iterator[str]:
    """The objects that take any key."""
    more = schema.get("additionalProperties", True)
    if "object" in schema.get("type", ()) and more is True:
        yield path
    below = {**schema.get("properties", {}), "[]": schema.get("items"), "{}": more}
    for key, value in below.items():
        if isinstance(value, dict):
            yield from _open(value, f"{path}.{key}")


@pytest.mark.parametrize("chart", CHARTS)
def test_given_the_values_of_a_chart_then_every_value_has_a_description(chart: str) -> None:
    leaves = [
        leaf
        for section in values.read(ROOT / "charts" / chart / "values.yaml")
        for top in section.values
        for leaf in top.leaves()
    ]

    assert [
        ".".join(leaf.path) for leaf in leaves if not leaf.description and "enum" not in leaf.schema_hint()
    ] == []
