"""The generator itself, on small charts of its own."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shopdev.codegen.chartdocs import readme, schema, values
from shopdev.codegen.chartdocs.values import BadComment

CRD: dict[str, Any] = {
    "spec": {
        "versions": [
            {
                "schema": {
                    "openAPIV3Schema": {
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "port": {"type": "integer", "maximum": 65535, "default": 8080},
                                    "size": {"x-kubernetes-int-or-string": True},
                                    "env": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "properties": {
                                                "name": {"type": "string"},
                                                "value": {"type": "string"},
                                                "valueFrom": {
                                                    "type": "object",
                                                    "properties": {"key": {"type": "string"}},
                                                },
                                            },
                                        },
                                    },
                                    "workers": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "required": ["name", "command"],
                                            "properties": {
                                                "name": {
                                                    "type": "string",
                                                    "maxLength": 5,
                                                    "description": "Its name",
                                                },
                                                "command": {"type": "array", "items": {"type": "string"}},
                                                "env": {"type": "array"},
                                                "port": {"type": "integer"},
                                            },
                                        },
                                    },
                                },
                            }
                        }
                    }
                }
            }
        ]
    }
}


def _read(tmp_path: Path, text: str) -> tuple[values.Section, ...]:
    path = tmp_path / "values.yaml"
    path.write_text(text)
    return values.read(path)


def _complaints(tmp_path: Path, text: str, given: Any) -> list[str]:
    made = schema.schema("a", _read(tmp_path, text), CRD)
    return [error.message for error in jsonschema.Draft7Validator(made).iter_errors(given)]


def test_given_values_with_comments_when_parsed_then_each_value_has_the_comment_directly_above_it(
    tmp_path: Path,
) -> None:
    sections = _read(
        tmp_path,
        "# The file's own words.\n\n## One\n\n# About a,\n# in two lines.\na: 1\nb:\n  # About c.\n  c: x\n## Two\nd: true\n",
    )

    assert [section.title for section in sections] == ["One", "Two"]
    a, b = sections[0].values
    assert a.description == "About a, in two lines."
    assert (b.description, b.children[0].path, b.children[0].description) == ("", ("b", "c"), "About c.")
    assert sections[1].values[0].description == ""


def test_given_default_values_when_the_schema_is_generated_then_it_has_their_types_and_allows_no_other_key(
    tmp_path: Path,
) -> None:
    text = "## One\na: 1\nb:\n  c: x\nd: true\n"

    assert (
        _complaints(tmp_path, text, {"a": 2, "b": {"c": "y"}, "d": False, "global": {"of": "others"}}) == []
    )
    assert _complaints(tmp_path, text, {"a": "2"}) == ["'2' is not of type 'integer'"]
    assert len(_complaints(tmp_path, text, {"e": 1, "b": {"cc": "y"}})) == 2


def test_given_a_crd_hint_when_the_schema_is_generated_then_it_is_that_of_the_crd_or_null(
    tmp_path: Path,
) -> None:
    text = "## One\n# +crd spec.port\nport: null\n# +crd spec.size\nsize: null\n"

    assert _complaints(tmp_path, text, {"port": 1, "size": "1Gi"}) == []
    assert _complaints(tmp_path, text, {"port": None, "size": 3}) == []
    assert _complaints(tmp_path, text, {"port": 65536}) == ["65536 is greater than the maximum of 65535"]


def test_given_an_env_hint_when_the_schema_is_generated_then_names_map_to_strings_or_sources(
    tmp_path: Path,
) -> None:
    text = "## One\n# +env\nenv: {}\n"

    assert _complaints(tmp_path, text, {"env": {"A": "1", "B": {"valueFrom": {"key": "k"}}, "C": None}}) == []
    assert _complaints(tmp_path, text, {"env": {"A": 1, "B": True}}) == []
    assert _complaints(tmp_path, text, {"env": {"A": []}}) == [
        "[] is not of type 'string', 'boolean', 'number', 'object', 'null'"
    ]
    assert len(_complaints(tmp_path, text, {"env": {"A": {"value": "1"}}})) == 2
    assert len(_complaints(tmp_path, text, {"env": {"1 A": "x"}})) == 1


def test_given_a_workers_hint_when_the_schema_is_generated_then_the_key_is_the_name_of_the_worker(
    tmp_path: Path,
) -> None:
    text = "## One\n# +workers\nworkers: {}\n"

    assert (
        _complaints(tmp_path, text, {"workers": {"a": {"command": ["x"], "env": {"A": "1"}, "port": None}}})
        == []
    )
    assert _complaints(tmp_path, text, {"workers": {"a": {}}}) == ["'command' is a required property"]
    assert len(_complaints(tmp_path, text, {"workers": {"a": {"command": [], "name": "b"}}})) == 1
    assert _complaints(tmp_path, text, {"workers": {"toolong": None}}) == ["'toolong' is too long"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: {}\n", "values.yaml:1: an empty value does not tell its type; add `# +schema {…}`"),
        (
            "# +shema {}\na: 1\n",
            "values.yaml:2: +shema is unknown; there are chart, crd, env, schema, workers",
        ),
        ("# +crd spec.prot\na: 1\n", "values.yaml:2: the CRD has no spec.prot"),
        ("# +schema [1]\na: 1\n", "values.yaml:2: +schema wants a JSON object, not [1]"),
        ("# +schema {\na: 1\n", "values.yaml:2: +schema wants one line of JSON: "),
    ],
)
def test_given_an_invalid_or_missing_hint_when_the_schema_is_generated_then_the_error_names_the_line(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(BadComment) as caught:
        schema.schema("a", _read(tmp_path, text), CRD)

    assert complaint in str(caught.value)


def test_given_a_readme_when_regenerated_then_only_the_section_between_the_markers_changes(
    tmp_path: Path,
) -> None:
    sections = _read(
        tmp_path,
        '## One\n# All of b.\nb:\n  # A | B.\n  c: x\n  # +schema {"enum": ["y"]}\n  d: y\ne: null\n',
    )

    text = readme.readme(f"Mine.\n{readme.START}\nold\n{readme.END}\nMine too.\n", sections)

    assert (
        text
        == f"""Mine.
{readme.START}

### One

| Value | Default | Description |
| --- | --- | --- |
| `b` |  | All of b. |
| `b.c` | `"x"` | A \\| B. |
| `b.d` | `"y"` | One of `y`. |
| `e` |  |  |

{readme.END}
Mine too.
"""
    )


def test_given_a_readme_without_markers_when_regenerated_then_the_error_asks_for_the_markers() -> None:
    with pytest.raises(BadComment, match="add the lines"):
        readme.readme("Mine.", ())
