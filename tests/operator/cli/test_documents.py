"""ShopServices are read from files and rendered without a cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from shop_operator.cli import documents
from shop_operator.cli.commands import shop
from shop_operator.cli.errors import NotValid
from shop_operator.render import render

DOCUMENT: dict[str, Any] = {
    "apiVersion": "shopservice.dev/v1alpha1",
    "kind": "ShopService",
    "metadata": {"name": "web"},
    "spec": {"image": "web:1", "replicas": 2},
}


def written(folder: Path, *parts: Any) -> str:
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump_all(parts))
    return str(path)


def test_given_a_file_with_several_kinds_then_every_shopservice_is_read_and_other_kinds_are_skipped(
    tmp_path: Path,
) -> None:
    named = {**DOCUMENT, "metadata": {"name": "order", "namespace": "own"}}
    path = written(tmp_path, None, {"kind": "ConfigMap"}, {"kind": "List", "items": [DOCUMENT]}, named)

    found = documents.read([path], "default")

    assert [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found] == [
        ("default", "web"),
        ("own", "order"),
    ]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({**DOCUMENT, "apiVersion": "v1"}, "apiVersion is 'v1'; write shopservice.dev/v1alpha1"),
        ({**DOCUMENT, "metadata": {}}, r"metadata\.name of a ShopService is not set"),
        ({**DOCUMENT, "metadata": {"name": None}}, r"metadata\.name of a ShopService is not set"),
        (
            {**DOCUMENT, "metadata": {"name": 7}},
            r"metadata\.name of a ShopService is 7, which is not a valid name: use at most 63 characters of a-z, 0-9 and '-'$",
        ),
        (
            {**DOCUMENT, "metadata": {"name": "../pods/web"}},
            r"metadata\.name of a ShopService is '\.\./pods/web', which is not a valid name: use at most",
        ),
        (
            {**DOCUMENT, "metadata": {"name": "web", "namespace": None}},
            (
                r"ShopService web: metadata\.namespace is null, which is not a valid name: use at most 63"
                r" characters of a-z, 0-9 and '-', or omit it$"
            ),
        ),
        (
            {**DOCUMENT, "metadata": {"name": "web", "namespace": 5}},
            r"ShopService web: metadata\.namespace is 5, which is not a valid name",
        ),
        (
            {**DOCUMENT, "metadata": {"name": "web", "namespace": "../x"}},
            r"ShopService web: metadata\.namespace is '\.\./x', which is not a valid name",
        ),
        ({"kind": "List", "items": 5}, "no ShopService found in"),
        (
            {**DOCUMENT, "metadata": {"name": "web", "labels": {"version": 1}}},
            r"ShopService web: metadata\.labels must be a map of strings; quote its values",
        ),
        ({**DOCUMENT, "spec": None}, "ShopService web has no spec; spec.image is required"),
        ({"kind": "Service"}, "no ShopService found in"),
    ],
)
def test_given_an_invalid_document_then_it_is_refused_with_the_mistake(
    tmp_path: Path, document: Any, sentence: str
) -> None:
    with pytest.raises(NotValid, match=sentence):
        documents.read([written(tmp_path, document)], "default")


def test_given_a_file_that_is_too_large_or_no_text_then_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_text("#" * (3 * 1024 * 1024 + 1))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(NotValid, match="larger than 3 MiB"):
        documents.read([str(tmp_path / "large")], "default")
    with pytest.raises(NotValid, match="cannot be read"):
        documents.read([str(tmp_path / "bytes")], "default")


def test_given_a_shopservice_defined_twice_or_in_another_namespace_then_the_file_is_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(NotValid, match="ShopService web is defined twice; remove one of the definitions"):
        documents.read([written(tmp_path, DOCUMENT, DOCUMENT)], "default")
    elsewhere = {**DOCUMENT, "metadata": {"name": "web", "namespace": "own"}}
    with pytest.raises(NotValid, match="ShopService web is in namespace own; omit -n, or use -n own"):
        documents.read([written(tmp_path, elsewhere)], "default", only=True)


def test_given_a_file_nested_too_deeply_then_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("[" * 100_000)

    with pytest.raises(NotValid, match="nested too deeply"):
        documents.read([str(tmp_path / "deep")], "default")


def test_given_an_unquoted_date_in_a_file_then_it_is_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "dated").write_text(
        "{apiVersion: shopservice.dev/v1alpha1, kind: ShopService, metadata: {name: web,"
        " annotations: {since: 2026-01-01}}, spec: {image: web}}"
    )

    (found,) = documents.read([str(tmp_path / "dated")], "default")

    assert found["metadata"]["annotations"] == {"since": "2026-01-01"}


def test_given_an_invalid_spec_in_a_file_then_the_error_names_the_field() -> None:
    with pytest.raises(NotValid, match=r"ShopService web: spec\.color: unknown field$"):
        documents.shopservice(
            {
                **DOCUMENT,
                "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"image": "web:1", "color": "red"},
            }
        )


def test_given_no_cluster_when_render_runs_then_it_prints_the_objects_of_the_operator(tmp_path: Path) -> None:
    done = CliRunner().invoke(shop, ["-n", "shop", "render", "-f", written(tmp_path, DOCUMENT)])

    assert done.exit_code == 0
    wanted = documents.shopservice({**DOCUMENT, "metadata": {"name": "web", "namespace": "shop"}})
    assert list(yaml.safe_load_all(done.output)) == render(wanted, live=None)


def test_given_an_invalid_file_when_render_runs_then_it_prints_one_line_and_exits_with_6(
    tmp_path: Path,
) -> None:
    done = CliRunner().invoke(shop, ["render", "-f", written(tmp_path, {**DOCUMENT, "spec": {}})])

    assert done.exit_code == 6
    assert done.output == f"kubectl shop: {tmp_path / 'shop.yaml'}:5: spec.image: is required.\n"
