"""The layered layout of the graph, and its picture."""

import time
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from shop_operator.cli.drawing import picture_lines, svg_lines
from shop_operator.cli.layering import layout
from shop_operator.cli.topology import graph
from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("edges", "columns"),
    [
        ([], {"a": 0, "b": 0, "c": 0}),
        ([("a", "b"), ("b", "c"), ("a", "c")], {"a": 0, "b": 1, "c": 2}),
        ([("c", "a")], {"a": 1, "b": 0, "c": 0}),
        # An edge that closes a cycle does not count.
        ([("a", "b"), ("b", "a"), ("a", "a")], {"a": 0, "b": 1, "c": 0}),
    ],
)
def test_given_edges_then_each_node_is_right_of_those_that_point_to_it(
    edges: list[tuple[str, str]], columns: dict[str, int]
) -> None:
    slots = layout("abc", edges).slots

    assert {key: column for key, (column, _) in slots.items()} == columns


def test_given_an_edge_across_a_column_then_it_has_a_row_of_its_own_there() -> None:
    placed = layout("abc", [("a", "b"), ("b", "c"), ("a", "c")])

    ((column, row),) = placed.crossings["a", "c"]
    assert column == 1
    assert {row, placed.slots["b"][1]} == {0, 1}


def test_given_crossed_pairs_then_the_order_of_a_column_removes_the_crossing() -> None:
    slots = layout(["a", "b", "x", "y"], [("a", "y"), ("b", "x")]).slots

    assert (slots["a"][1] < slots["b"][1]) == (slots["y"][1] < slots["x"][1])


def test_given_a_long_chain_then_its_layout_takes_neither_recursion_nor_long() -> None:
    nodes = [f"n{number}" for number in range(3000)]
    began = time.monotonic()

    placed = layout(nodes, pairwise(nodes))

    assert placed.slots["n2999"] == (2999, 0)
    assert time.monotonic() - began < 5


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own output


def shops() -> list[dict[str, Any]]:
    routes = [{"path": "/<a>&\u202e"}, {"path": "/b"}]
    return [
        shopservice(dependsOn=["order", "gone"], gateway={"name": "edge"}, routes=routes),
        shopservice("order", reason="RollingOut", dependsOn=["web"]),
    ]


def test_given_a_graph_when_it_is_a_picture_then_readers_of_text_and_of_both_color_schemes_can_use_it() -> (
    None
):
    picture = parsed("\n".join(picture_lines(graph(shops()))))

    described = [f"#{each}" for each in picture.attrib["aria-labelledby"].split()]
    title, description, style = picture[0], picture[1], picture[2]
    assert described == [f"#{title.attrib['id']}", f"#{description.attrib['id']}"]
    assert "web; " in (description.text or "")
    assert "depends on order (not ready)" in (description.text or "")
    assert "prefers-color-scheme:dark" in (style.text or "")
    assert [each.attrib["class"] for each in picture.iter(f"{SVG}g")] == [
        "node not-ready",
        "node ready",
        "node missing",
        "node plain",
    ]


def test_given_several_routes_to_one_service_when_they_are_drawn_then_one_line_names_all_of_them() -> None:
    drawing = parsed("\n".join(svg_lines(graph(shops()))))

    lines = [each for each in drawing.iter(f"{SVG}path") if each.attrib.get("class") == "edge"]
    titles = [each[0].text or "" for each in lines]
    assert len(lines) == 4
    assert any(title.startswith("/<a>&") and title.endswith("; /b") for title in titles)
    assert "\u202e" not in "".join(titles)
    labels = [each.text or "" for each in drawing.iter(f"{SVG}text") if each.attrib.get("class") == "label"]
    assert [each for each in labels if each.endswith(" +1")]
    # A page may forbid styles.
    assert not list(drawing.iter(f"{SVG}style"))


def test_given_edges_to_one_node_when_they_are_drawn_then_their_labels_do_not_overlap() -> None:
    gateways = [{"name": f"edge-{each}"} for each in "abc"]
    web = shopservice(gateways=gateways, routes=[{"path": "/"}])

    drawing = parsed("\n".join(svg_lines(graph([web]))))

    labels = [each for each in drawing.iter(f"{SVG}text") if each.attrib.get("class") == "label"]
    assert len({each.attrib["x"] for each in labels}) == 1
    heights = sorted(int(each.attrib["y"]) for each in labels)
    assert all(below - above >= int(labels[0].attrib["font-size"]) for above, below in pairwise(heights))
    assert len(heights) == 3


def test_given_equal_labels_that_would_overlap_when_they_are_drawn_then_one_stands_for_all() -> None:
    gateways = [{"name": f"edge-{each}"} for each in range(8)]

    drawing = parsed("\n".join(svg_lines(graph([shopservice(gateways=gateways, routes=[{"path": "/"}])]))))

    labels = [each for each in drawing.iter(f"{SVG}text") if each.attrib.get("class") == "label"]
    heights = sorted(int(each.attrib["y"]) for each in labels)
    assert 1 < len(heights) < 8
    assert all(below - above >= int(labels[0].attrib["font-size"]) for above, below in pairwise(heights))


def test_given_the_svg_output_when_graph_runs_then_it_prints_the_picture(
    server: Server, program: Program
) -> None:
    server.objects += shops()

    picture = parsed(program("graph", "-o", "svg").stdout)

    _, _, width, height = map(int, picture.attrib["viewBox"].split())
    for rect in picture.iter(f"{SVG}rect"):
        x, y, wide, high = (int(rect.attrib[each]) for each in ("x", "y", "width", "height"))
        assert x + wide <= width
        assert y + high <= height
