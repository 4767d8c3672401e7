"""`kubectl shop` beside a ShopService that nests deeper than Python reads or writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server, serving

HERE = "the deep part"
DEPTHS = (300, 600, 990, 1_100, 9_000)


@dataclass
class Deep(Server):
    """Answers with so many levels where an object says HERE."""

    levels: int = 0

    def answer(self, method: str, url: str, body: str) -> tuple[int, str]:
        status, text = super().answer(method, url, body)
        return status, text.replace(f'"{HERE}"', '{"a":' * self.levels + "1" + "}" * self.levels)


@pytest.fixture(params=DEPTHS)
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    found = Deep(levels=request.param)
    found.objects += [
        shopservice("web"),
        shopservice(
            "deep",
            reason="InvalidSpec",
            message="It nests deeper than the operator reads; remove what is nested that deeply.",
            podTemplate={"spec": HERE},
        ),
    ]
    with serving(found, tmp_path / "kubeconfig"):
        yield found


def test_given_a_deep_shopservice_when_status_runs_then_it_shows_every_shopservice(program: Program) -> None:
    answer = program("status", "-A")

    assert answer.exit_code == 0, answer.output
    assert "InvalidSpec" in answer.stdout
    assert {"web", "deep"} <= set(answer.stdout.split())


def test_given_a_deep_shopservice_when_tree_runs_for_another_one_then_it_is_shown(program: Program) -> None:
    answer = program("tree", "web")

    assert answer.exit_code == 0, answer.output
    assert "web" in answer.stdout


def test_given_a_deep_shopservice_when_explain_runs_then_it_gives_the_message_of_the_operator(
    program: Program,
) -> None:
    answer = program("explain", "deep")

    assert answer.exit_code == 1, answer.output
    assert "remove what is nested that deeply" in answer.stdout


@pytest.mark.parametrize("output", ["json", "yaml"])
@pytest.mark.parametrize("command", [("status", "-A"), ("explain", "deep"), ("tree", "deep")])
def test_given_a_deep_shopservice_when_a_command_prints_json_or_yaml_then_there_is_no_traceback(
    program: Program, command: tuple[str, ...], output: str
) -> None:
    answer = program(*command, "-o", output)

    assert isinstance(answer.exception, SystemExit | None), answer.exception
    assert answer.stdout or answer.stderr.startswith("kubectl shop: ")


def test_given_a_deep_shopservice_when_diff_runs_then_there_is_no_traceback(
    program: Program, tmp_path: Path
) -> None:
    file = tmp_path / "deep.yaml"
    file.write_text(
        "apiVersion: shopservice.dev/v1alpha1\nkind: ShopService\nmetadata: {name: deep}\nspec: {image: a:1}\n"
    )

    answer = program("diff", "-f", str(file))

    assert isinstance(answer.exception, SystemExit | None), answer.exception
    assert answer.output


def test_given_a_deep_shopservice_when_a_watch_shows_it_then_the_command_lists_again(
    server: Server, program: Program
) -> None:
    server.happens.append({"type": "MODIFIED", "object": server.objects[1]})

    answer = program("status", "-w")

    # The server of the tests refuses the second watch.
    assert answer.exit_code == 5, answer.output
    assert isinstance(answer.exception, SystemExit), answer.exception
