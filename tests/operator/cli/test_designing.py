"""`kubectl shop new` and `graph`: a ShopService from options, and how those of a namespace hang together."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server

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


@pytest.fixture
def drawn(server: Server) -> Server:
    """A ShopService with everything, one that it depends on, and one that is missing."""
    routes: list[dict[str, Any]] = [
        {"path": "/web", "methods": ["GET", "PUT"], "hostnames": ["shop.example.com"]},
        {"path": '/a"b', "backendRefs": [{"name": "order"}, {"name": "foreign"}]},
    ]
    server.objects += [
        shopservice(
            dependsOn=["order", "stock"],
            gateway={"name": "edge"},
            routes=routes,
            workers=[{"name": "relay", "command": ["relay"]}],
        ),
        shopservice("order", reason="RollingOut", message="0 of 2."),
    ]
    return server


def test_when_graph_runs_then_it_prints_a_text_tree(drawn: Server, program: Program) -> None:
    assert program("graph").stdout.splitlines() == [
        "order (not ready)",
        '└─ /a"b from Gateway shop/edge',
        "web",
        "├─ GET,PUT shop.example.com/web from Gateway shop/edge",
        "├─ depends on order (not ready)",
        "├─ depends on stock (missing)",
        "└─ worker web-relay",
    ]


def test_given_the_dot_output_when_graph_runs_then_every_word_is_quoted(
    drawn: Server, program: Program
) -> None:
    lines = program("graph", "-o", "dot").stdout.splitlines()

    assert lines[0] == "digraph shopservices {"
    assert lines[-1] == "}"
    assert (
        '  "ShopService/shop/stock" [label="ShopService stock (missing)", shape=box, style=dashed];' in lines
    )
    assert '  "ShopService/shop/web" -> "ShopService/shop/order" [label="dependsOn"];' in lines
    assert '  "Gateway/shop/edge" -> "Service/shop/foreign" [label="/a\\"b"];' in lines


def test_given_the_mermaid_output_when_graph_runs_then_every_word_is_quoted(
    drawn: Server, program: Program
) -> None:
    lines = program("graph", "-o", "mermaid").stdout.splitlines()

    assert lines[0] == "flowchart LR"
    assert '  n0["ShopService order (not ready)"]' in lines
    assert '  n1 -->|"dependsOn"| n0' in lines
    assert any('-->|"/a#quot;b"| n0' in each for each in lines)


def test_given_a_json_or_yaml_output_when_graph_runs_then_it_prints_a_document_of_nodes_and_edges(
    drawn: Server, program: Program
) -> None:
    found = json.loads(program("graph", "-o", "json").stdout)

    assert {"from": "ShopService/shop/web", "to": "Worker/shop/web-relay", "label": "worker"} in found[
        "edges"
    ]
    missing = {"kind": "ShopService", "namespace": "shop", "name": "stock", "state": "missing"}
    assert missing in found["nodes"]
    assert yaml.safe_load(program("graph", "-o", "yaml").stdout) == found


def test_given_all_namespaces_when_graph_runs_then_each_node_has_its_namespace(
    drawn: Server, program: Program
) -> None:
    other = shopservice("mail")
    other["metadata"]["namespace"] = "post"
    drawn.objects.append(other)

    lines = program("graph", "-A").stdout.splitlines()

    assert {"post/mail", "shop/web", "├─ depends on shop/stock (missing)"} <= set(lines)


def test_given_no_shopservices_when_graph_runs_then_it_says_so_and_prints_nothing(
    server: Server, program: Program
) -> None:
    done = program("graph")

    assert (done.stdout, done.stderr) == ("", "No ShopServices found in namespace shop.\n")


def test_given_an_output_format_of_another_command_then_the_command_exits_with_2(
    drawn: Server, program: Program
) -> None:
    assert program("status", "-o", "dot").exit_code == 2
    assert program("graph", "-o", "table").exit_code == 2
    assert "Use: kubectl shop new web --image IMAGE" in program("create", "web").stderr
