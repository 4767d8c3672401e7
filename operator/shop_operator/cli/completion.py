"""Shell completion: through click for `kubectl-shop`, and by kubectl's protocol for plugins for `kubectl shop`."""

from collections.abc import Iterator, Sequence
from typing import Final

import click
from click.shell_completion import ShellComplete, get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")
_PROGRAM: Final = "kubectl-shop"
VARIABLE: Final = "_KUBECTL_SHOP_COMPLETE"
# Directives of Cobra, which kubectl expects in the last line.
_WITH_FILES, _NO_FILES = ":0", ":4"


def script(command: click.Command, shell: str) -> str:
    """The completion script that a shell sources."""
    maker = get_completion_class(shell)
    if maker is None:
        raise LookupError(shell)
    return maker(command, {}, _PROGRAM, VARIABLE).source()


def words(command: click.Command, given: Sequence[str]) -> Iterator[str]:
    """Yield one completion per line with its help, and then the directive.

    Args:
        command: the root command.
        given: the arguments after `kubectl shop`; the last one is incomplete.
    """
    *before, begun = given or [""]
    found = ShellComplete(command, {}, _PROGRAM, VARIABLE).get_completions(before, begun)
    for item in found:
        if item.type == "plain":
            yield f"{item.value}\t{item.help}" if item.help else item.value
    yield _WITH_FILES if any(item.type == "file" for item in found) else _NO_FILES
