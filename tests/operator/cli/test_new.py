"""`kubectl shop new`: a ShopService from options."""

import json
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.operator.cli.conftest import Program

FULL: Final = [
    *("new", "web", "--image", "web:1", "--port", "8081", "--replicas", "2"),
    *("--env", "A=1", "--env", "B=x: y=z", "--depends-on", "order", "--depends-on", "stock"),
    *("--route", "shop.example.com/web", "--route", "/x", "--gateway", "edge/shop"),
    *("--worker", "relay=python -m 'my relay'"),
]


def test_given_options_of_new_when_it_runs_then_it_prints_exactly_their_fields(tmp_path: Path) -> None:
    done = Program(tmp_path / "nowhere")(*FULL)

    assert yaml.safe_load(done.stdout) == {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": "web"},
        "spec": {
            "image": "web:1",
            "port": 8081,
            "replicas": 2,
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "x: y=z"}],
            "dependsOn": ["order", "stock"],
            "gateway": {"name": "shop", "namespace": "edge"},
            "routes": [{"path": "/web", "hostnames": ["shop.example.com"]}, {"path": "/x"}],
            "workers": [{"name": "relay", "command": ["python", "-m", "my relay"]}],
        },
    }


def test_given_the_output_of_new_when_render_reads_it_then_it_is_rendered(tmp_path: Path) -> None:
    program = Program(tmp_path / "nowhere")

    done = program("render", "-f", "-", given=program(*FULL, "-n", "shop").stdout)

    assert done.exit_code == 0, done.stderr
    assert {each["metadata"]["namespace"] for each in yaml.safe_load_all(done.stdout)} == {"shop"}


def test_given_only_an_image_when_new_runs_then_the_spec_has_only_the_image(tmp_path: Path) -> None:
    program = Program(tmp_path / "nowhere")

    assert yaml.safe_load(program("new", "web", "--image", "web:1").stdout)["spec"] == {"image": "web:1"}
    assert json.loads(program("new", "web", "--image", "web:1", "--replicas", "0", "-o", "json").stdout)[
        "spec"
    ] == {"image": "web:1", "replicas": 0}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["web"], 2, "Missing option '--image'"),
        (["Web", "--image", "a:1"], 2, "'Web' is not a valid name"),
        (["web", "--image", "a:1", "--port", "70000"], 6, "ShopService web: spec.port:"),
        (["web", "--image", "a b"], 6, "spec.image:"),
        (["web", "--image", "a:1", "--env", "A"], 6, "--env 'A' has no =; write --env NAME=VALUE"),
        (
            ["web", "--image", "a:1", "--worker", "relay"],
            6,
            "--worker 'relay' has no =; write --worker NAME=COMMAND",
        ),
        (["web", "--image", "a:1", "--env", "=1"], 6, "--env '=1' has no name"),
        (["web", "--image", "a:1", "--route", "/x"], 6, "routes require a gateway"),
        (["web", "--image", "a:1", "--route", "host"], 6, "--route 'host' has no path"),
        (["web", "--image", "a:1", "--worker", "w='x"], 6, "has an unmatched quotation mark"),
        (["web", "--image", "a:1", "--worker", "w="], 6, "spec.workers[0].command"),
        (["web", "--image", "a:1", "--depends-on", "web"], 6, "spec.dependsOn"),
    ],
    ids=str,
)
def test_given_an_invalid_option_when_new_runs_then_it_names_the_option_and_prints_nothing(
    tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    done = Program(tmp_path / "nowhere")("new", *arguments)

    assert sentence in done.stderr
    assert (done.exit_code, done.stdout) == (code, "")
