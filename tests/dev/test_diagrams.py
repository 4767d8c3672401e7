"""The diagrams of the documentation: Mermaid that every viewer draws.

The boxes of a flowchart name existing files, and the states of a service are those of its domain. The diagrams of the page that is
generated from the code name other things.
"""

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from shopdev.codegen import diagrams as generated

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "services").rglob("*.md")]
    if page != generated.FILE
)
STATES: Final = "stateDiagram-v2"
EXTERNAL: Final = "external"
# Words of the language, of which none may be the name of a node.
KEYWORDS: Final = frozenset(
    {
        "call",
        "class",
        "classDef",
        "click",
        "default",
        "end",
        "flowchart",
        "graph",
        "href",
        "style",
        "subgraph",
    }
)
_DIAGRAM: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID: Final = r"[A-Za-z][A-Za-z0-9]*"
_TEXT: Final = r'"(?P<text>[^"]+)"'
_HEAD: Final = re.compile(r"flowchart (LR|TB)")
_FRAME: Final = re.compile(rf"subgraph (?P<id>{_ID})\[{_TEXT}\]")
_NODE: Final = re.compile(rf"(?P<id>{_ID})(\[{_TEXT}\]|\[\(\"(?P<store>[^\"]+)\"\)\])(:::(?P<style>{_ID}))?")
_EDGE: Final = re.compile(rf"(?P<source>{_ID}) -->(\|\"[^\"]+\"\|)? (?P<target>{_ID})")
_STYLE: Final = re.compile(rf"classDef (?P<style>{_ID}) [a-z-]+:[^;]+")
_END: Final = "[*]"
_STEP: Final = re.compile(r"(?P<source>\[\*\]|[A-Z]+) --> (?P<target>\[\*\]|[A-Z]+)( : [^:;#]+)?")
_PATH: Final = re.compile(r"[\w./-]+(\.(py|yaml|json)|/)")


class Wrong(Exception):
    """A diagram is invalid, or names a missing file; the message contains the location."""


@dataclass(frozen=True)
class Node:
    """A box.

    Args:
        name: title of the box.
        folder: title of the frame around it; empty for none.
        paths: files and folders in the box, relative to the folder.
        external: whether it is outside the repository.
    """

    name: str
    folder: str
    paths: tuple[str, ...]
    external: bool


def diagrams(page: str) -> list[str]:
    return _DIAGRAM.findall(page)


@dataclass
class Drawing:
    """The statements of a diagram, line by line."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: set[str] = field(default_factory=set)
    frames: list[str] = field(default_factory=list)
    styles: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def read(self, line: str) -> None:
        """Parse one line.

        Raises:
            Wrong: when the line is unknown.
        """
        if line == "end" and self.frames:
            _ = self.frames.pop()
        elif frame := _FRAME.fullmatch(line):
            self.frames.append(frame["text"])
        elif edge := _EDGE.fullmatch(line):
            self.edges |= {edge["source"], edge["target"]}
        elif style := _STYLE.fullmatch(line):
            self.styles.add(style["style"])
        elif (node := _NODE.fullmatch(line)) and node["id"] not in {*self.nodes, *KEYWORDS}:
            self.nodes[node["id"]] = _node(node, self.frames)
            self.used |= {node["style"]} - {None}
        else:
            raise Wrong(f"cannot be read, or is there twice: {line}")

    def check(self) -> None:
        """Check the consistency of the lines.

        Raises:
            Wrong: when a frame does not end, an edge has no box, a box has no edge, or a style is unknown.
        """
        wrong = {
            "does not end": {*self.frames},
            "is no box": self.edges - {*self.nodes},
            "has no edge": {*self.nodes} - self.edges,
            "is no style": self.used - self.styles,
        }
        for what, names in wrong.items():
            if names:
                raise Wrong(f"{', '.join(sorted(names))} {what}")


def nodes(diagram: str) -> list[Node]:
    """Every box of a diagram.

    Raises:
        Wrong: as `Drawing`.
    """
    head, *lines = (line.strip() for line in diagram.strip().splitlines())
    if not _HEAD.fullmatch(head):
        raise Wrong(f"the first line is {head!r}")
    drawing = Drawing()
    for line in lines:
        drawing.read(line)
    drawing.check()
    return list(drawing.nodes.values())


def _node(node: re.Match[str], frames: list[str]) -> Node:
    name, *rest = (node["text"] or node["store"]).split("<br/>")
    paths = tuple(path for line in rest for path in line.split(", "))
    return Node(name, frames[-1] if frames else "", paths, external=node["style"] == EXTERNAL)


def check_paths(diagram: str, root: Path) -> None:
    """Check that the files in every box exist.

    Raises:
        Wrong: when a box names no file or a missing one.
    """
    for node in nodes(diagram):
        if node.external is bool(node.paths):
            raise Wrong(f"{node.name}: a box names its files, unless it is external")
        for path in node.paths:
            if not _PATH.fullmatch(path) or not (root / node.folder / path).exists():
                raise Wrong(f"{node.name}: there is no {path} in {node.folder}")


def states(diagram: str) -> set[str]:
    """The states of a state diagram, all of which must be reachable from the start.

    Raises:
        Wrong: when a line is unknown or duplicated, or a state is unreachable.
    """
    head, *lines = (line.strip() for line in diagram.strip().splitlines())
    if head != STATES:
        raise Wrong(f"the first line is {head!r}")
    steps: set[tuple[str, str]] = set()
    for line in lines:
        step = _STEP.fullmatch(line)
        if not step or (step["source"], step["target"]) in steps or step["source"] == step["target"]:
            raise Wrong(f"cannot be read, or is there twice: {line}")
        steps.add((step["source"], step["target"]))
    reached: set[str] = set()
    following = {target for source, target in steps if source == _END}
    while not following <= reached:
        reached |= following
        following = {target for source, target in steps if source in reached}
    named = {name for step in steps for name in step} - {_END}
    if named - reached:
        raise Wrong(f"{', '.join(sorted(named - reached))} cannot be reached")
    return named


def all_diagrams() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, diagram in enumerate(diagrams(page.read_text()), 1):
            yield f"{page.relative_to(ROOT)}#{number}", diagram


DIAGRAMS: Final = dict(all_diagrams())
OF_STATES: Final = [where for where, diagram in DIAGRAMS.items() if diagram.startswith(STATES)]


@pytest.mark.parametrize("where", OF_STATES)
def test_given_a_state_diagram_then_it_shows_the_states_of_the_domain(where: str) -> None:
    service = Path(where).parent.name
    domain = importlib.import_module(f"services.{service}.domain")

    assert states(DIAGRAMS[where]) == {state.value for state in domain.State}


def test_given_every_service_then_its_readme_has_a_state_diagram() -> None:
    assert [
        f"services/{service}/README.md#1" for service in ("order", "payment", "product", "shipping")
    ] == OF_STATES


@pytest.mark.parametrize("where", [where for where in DIAGRAMS if where not in OF_STATES])
def test_given_a_diagram_then_it_is_valid_and_its_boxes_name_existing_files(where: str) -> None:
    check_paths(DIAGRAMS[where], ROOT)


def test_given_the_architecture_page_then_it_has_two_diagrams() -> None:
    assert [each for each in DIAGRAMS if "architecture" in each] == [
        "docs/explanation/architecture.md#1",
        "docs/explanation/architecture.md#2",
    ]


GOOD: Final = """flowchart TB
  api["API server"]:::external
  subgraph parts["src"]
    store[("Cache<br/>store.py, render/")]
  end
  api -->|"watch"| store
  store --> api
  classDef external stroke-dasharray: 4 4
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src/render").mkdir(parents=True)
    (tmp_path / "src/store.py").touch()
    return tmp_path


def test_given_a_valid_diagram_then_its_boxes_are_parsed(tree: Path) -> None:
    check_paths(GOOD, tree)

    assert nodes(GOOD)[1] == Node("Cache", "src", ("store.py", "render/"), external=False)


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("flowchart TB", "flow TB"),
        ("  end\n", ""),
        ("  end\n", "  end\n  end\n"),
        ("store.py", "gone.py"),
        ("render/", "gone/"),
        ("<br/>store.py, render/", ""),
        ('"API server"', '"API server<br/>store.py"'),
        ('["API server"]', "[API server (1.34)]"),
        ("store -->", "end -->"),
        ("store -->", "other -->"),
        ("store -->", "store --"),
        ('|"watch"|', "|watch (all)|"),
        ('api["', 'end["'),
        ("  store --> api\n", '  store["Again<br/>store.py"]\n'),
        ("  store --> api\n", '  more["More<br/>src/store.py"]\n'),
        ("  classDef external stroke-dasharray: 4 4\n", ""),
    ],
)
def test_given_a_mistake_in_a_diagram_then_it_is_reported(tree: Path, there: str, instead: str) -> None:
    assert there in GOOD

    with pytest.raises(Wrong):
        check_paths(GOOD.replace(there, instead), tree)


GOOD_STATES: Final = """stateDiagram-v2
  [*] --> PENDING : the order is placed
  PENDING --> DONE
  DONE --> [*]
"""


def test_given_a_valid_state_diagram_then_its_states_are_parsed() -> None:
    assert states(GOOD_STATES) == {"PENDING", "DONE"}


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("stateDiagram-v2", "stateDiagram"),
        ("  DONE --> [*]\n", "  DONE --> [*]\n  DONE --> [*] : again\n"),
        ("PENDING --> DONE", "PENDING -> DONE"),
        ("PENDING --> DONE", "PENDING --> PENDING"),
        ("PENDING --> DONE\n", "LOST --> DONE\n"),
        ("the order is placed", "the order: placed"),
    ],
)
def test_given_a_mistake_in_a_state_diagram_then_it_is_reported(there: str, instead: str) -> None:
    assert there in GOOD_STATES

    with pytest.raises(Wrong):
        _ = states(GOOD_STATES.replace(there, instead))


def test_given_a_state_machine_when_it_is_drawn_then_every_transition_is_an_arrow() -> None:
    machine = {
        "StartAt": "Pay",
        "States": {
            "Pay": {"Type": "Task", "Next": "Check", "Catch": [{"Next": "Undo"}, {"Next": "Check"}]},
            "Check": {"Type": "Choice", "Default": "Undo", "Choices": [{"Next": "Done"}, {"Next": "Done"}]},
            "Undo": {"Type": "Pass", "Next": "Done"},
            "Done": {"Type": "Succeed"},
        },
    }

    assert list(generated.workflow(machine)) == [
        "flowchart TB",
        '  Pay["Pay"]',
        '  Check{"Check"}',
        '  Undo("Undo")',
        '  Done(["Done"])',
        "  start((start)) --> Pay",
        "  Pay --> Check",
        "  Pay -.-> Undo",
        "  Check --> Undo",
        "  Check --> Done",
        "  Undo --> Done",
    ]


def test_given_the_values_of_a_chart_when_its_services_are_drawn_then_each_dependency_is_an_arrow() -> None:
    values = {
        "product": {"workers": {"consumer": {}}},
        "order": {"dependsOn": ["payment"]},
        "payment": {},
        "shipping": {},
        "storefront": {},
    }

    lines = list(generated.dependencies(values))

    assert lines[1] == '  product["product<br/>product-consumer"]'
    assert lines[-1] == "  order --> payment"
    assert len(lines) == 7


def test_given_a_contract_of_layers_when_it_is_drawn_then_each_layer_points_to_the_next() -> None:
    lines = list(generated.layers({"layers": ["shop_operator.main", "shop_operator.a | shop_operator.b"]}))

    assert lines == ["flowchart TB", '  layer0["main"]', '  layer1["a, b"]', "  layer0 --> layer1"]
