"""`kubectl shop graph`: the dependencies, routes and workers of the ShopServices of a namespace."""

import json
from typing import Any

import pytest
import yaml

from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server


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


def test_given_queues_and_network_policies_when_graph_runs_then_it_shows_them(
    server: Server, program: Program
) -> None:
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/shop-tasks"
    peers: list[dict[str, Any]] = [
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
        {
            "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]},
            "namespaceSelector": {},
        },
    ]
    server.objects.append(
        shopservice(
            autoscaling={"queue": {"urlFrom": "QUEUE_URL", "region": "eu-central-1"}},
            workers=[{"name": "consumer", "autoscaling": {"queue": {"url": url}}}],
            networkPolicy={
                "gatewayNamespaces": ["edge"],
                "ingress": [{"from": peers, "ports": [{"port": 8080}]}],
                "egress": [{"ports": [{"port": 443, "endPort": 444}, {"protocol": "UDP"}]}],
            },
        )
    )

    assert program("graph").stdout.splitlines() == [
        "web",
        "├─ scaled by Queue QUEUE_URL",
        "├─ namespace edge may connect",
        "├─ 10.0.0.0/8 except 10.1.0.0/16 may connect (8080)",
        "├─ pods app In a,b in namespaces (all) may connect (8080)",
        "├─ worker web-consumer",
        "├─ may connect (443-444, UDP) any address",
        "└─ worker web-consumer scaled by Queue shop-tasks",
    ]
    assert (
        '"Queue/shop/shop-tasks" -> "Worker/shop/web-consumer" [label="scales"];'
        in program("graph", "-o", "dot").stdout
    )


PEER = {"podSelector": {"matchLabels": {"shopservice.dev/name": "web"}}}
ROLE = {"shopservice.dev/name": "web", "role": "x"}


@pytest.mark.parametrize(
    ("peer", "line"),
    [
        (PEER, "may connect web"),
        ({"podSelector": {"matchExpressions": [{"key": "shopservice.dev/name", "operator": "In", "values": ["web"]}]}}, "may connect web"),
        ({"podSelector": {"matchLabels": {"shopservice.dev/name": "gone"}}}, "may connect pods shopservice.dev/name=gone"),
        ({"podSelector": {"matchLabels": ROLE}}, "may connect pods role=x, shopservice.dev/name=web"),
        (PEER | {"namespaceSelector": {}}, "may connect pods shopservice.dev/name=web in namespaces (all)"),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "aws"}}}, "may connect namespace aws"),
        ({"namespaceSelector": {"matchLabels": {"team": "a"}}}, "may connect namespaces team=a"),
    ],
)  # fmt: skip
def test_given_a_peer_that_names_one_object_when_graph_runs_then_the_edge_ends_at_it(
    server: Server, program: Program, peer: dict[str, Any], line: str
) -> None:
    server.objects += [
        shopservice("other", networkPolicy={"egress": [{"to": [peer]}]}),
        shopservice(networkPolicy={"enabled": False}),
    ]

    assert program("graph").stdout.splitlines()[:2] == ["other", f"└─ {line}"]


def test_given_a_disabled_network_policy_when_graph_runs_then_its_rules_are_not_drawn(
    server: Server, program: Program
) -> None:
    server.objects.append(shopservice(networkPolicy={"enabled": False, "egress": [{}]}))

    assert program("graph").stdout.splitlines() == ["web"]


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
