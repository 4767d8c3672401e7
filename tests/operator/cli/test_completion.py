"""The words that a shell offers, asked as kubectl asks; never more than words, whatever is wrong."""

from pathlib import Path

import pytest

from shop_operator.cli.commands import shop
from shop_operator.cli.completion import words
from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server


def offered(program: Program, *given: str) -> list[str]:
    return list(words(shop, ["--kubeconfig", str(program.kubeconfig), *given]))


def test_given_a_prefix_when_the_shell_completes_then_the_matching_names_are_offered(
    server: Server, program: Program
) -> None:
    server.objects += [shopservice("web"), shopservice("order"), shopservice("warehouse")]

    assert offered(program, "tree", "w") == ["warehouse", "web", ":4"]
    assert offered(program, "-n", "elsewhere", "tree", "w") == [":4"]


@pytest.mark.parametrize(
    "given",
    [
        ("tree", "-A", ""),
        ("-A", "explain", ""),
        ("status", "-A", "w"),
        ("--context", "elsewhere", "tree", ""),
    ],
    ids=" ".join,
)
def test_given_no_single_namespace_when_the_shell_completes_then_no_names_are_offered(
    server: Server, program: Program, given: tuple[str, ...]
) -> None:
    server.objects.append(shopservice("web"))

    assert offered(program, *given) == [":4"]


def test_given_no_cluster_or_no_permission_when_the_shell_completes_then_no_names_are_offered(
    server: Server, program: Program, tmp_path: Path
) -> None:
    server.refusal = (403, '{"message": "no"}')

    assert offered(program, "tree", "") == [":4"]
    assert offered(Program(tmp_path / "nowhere"), "tree", "") == [":4"]


def test_given_a_file_argument_when_the_shell_completes_then_the_shell_offers_the_files(
    program: Program,
) -> None:
    assert offered(program, "diff", "-f", "") == [":0"]
