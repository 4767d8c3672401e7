"""The command line of `kubectl shop`."""

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import click
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shop_operator.cli import views
from shop_operator.cli.browser import open_
from shop_operator.cli.completion import SHELLS, VARIABLE, script, words
from shop_operator.cli.errors import EXIT_CODES, CliError, NotValid
from shop_operator.cli.evidence import facts
from shop_operator.cli.explain import explain
from shop_operator.cli.files import diff, render_
from shop_operator.cli.graph import graph
from shop_operator.cli.new import new
from shop_operator.cli.pods import dlq, exec_, forward, logs, restart
from shop_operator.cli.recommend.command import recommend
from shop_operator.cli.releases import resume, retry, rollback, suspend
from shop_operator.cli.settings import Command, Settings, ShopName, names, shared
from shop_operator.cli.top.command import top
from shop_operator.cli.ui.command import ui
from shop_operator.wording import printable

EPILOG: Final = (
    "Exit codes: " + "; ".join(f"{code} {text}" for code, text in sorted(EXIT_CODES.items())) + "."
)


_KUBECTL: Final = {
    "describe": "kubectl describe shopservice {}",
    "get": "kubectl get shopservice {}",
    "edit": "kubectl edit shopservice {}",
    "delete": "kubectl delete shopservice {}",
    "scale": "kubectl scale shopservice {} --replicas N",
    "wait": "kubectl wait shopservice {} --for=condition=Ready",
    "apply": "kubectl apply {}",
    "events": "kubectl events --for shopservice/{}",
    "port-forward": "kubectl shop forward {}",
    "create": "kubectl shop new {} --image IMAGE",
}
"""The commands to suggest for words that are commands of kubectl or have another name here."""
_TOO_DEEP: Final = (
    "a ShopService or one of its objects is nested too deeply to be compared or printed; find those that the operator"
    " rejects with `kubectl get shopservices -A` (REASON InvalidSpec), and correct or delete them with `kubectl edit` or"
    " `kubectl delete`."
)


class Commands(click.Group):
    """Turns the errors of a command into one line and an exit code."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += shared()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command, and suggest the command of kubectl if the word is one.

        Raises:
            UsageError: the command does not exist.
        """
        word, rest = args[0], " ".join(args[1:]) or "NAME"
        if word not in self.commands and (meant := _KUBECTL.get(word)):
            raise click.UsageError(f"No such command {word!r}. Use: {meant.format(rest)}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CliError as error:
            said = printable(str(error))
            click.echo(f"kubectl shop: {said}{'' if said.endswith(('.', '?', '!')) else '.'}", err=True)
            ctx.exit(error.exit_code)
        except RecursionError:
            click.echo(f"kubectl shop: {_TOO_DEEP}", err=True)
            ctx.exit(NotValid.exit_code)
        except BrokenPipeError:
            # The reader of the pipe has closed it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="shop-operator")
def shop() -> None:
    """Inspect, explain and control ShopServices."""


any_names = click.argument("names", metavar="[NAME]...", type=ShopName(), nargs=-1, shell_complete=names)


def chosen(obj: Settings, given: Sequence[str]) -> list[dict[str, Any]]:
    """The ShopServices of these names, in their order; all if no name is given."""
    if given:
        return [obj.cluster.shop(obj.namespace, each) for each in dict.fromkeys(given)]
    found = _all(obj)
    if not found:
        obj.say_none()
    return found


@shop.command("explain")
@any_names
@click.pass_context
def explain_(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Explain in one sentence why a ShopService is not ready, and suggest a command.

    Without a name: every ShopService of the namespace. Exits with 1 if one is not ready.
    """
    obj: Settings = ctx.obj
    answers = [explain(facts(obj.cluster, each)) for each in chosen(obj, names)]

    def text() -> None:
        for answer in answers:
            obj.say(answer.sentence, "green" if answer.ready else "yellow")
            if answer.cure:
                obj.say(answer.cure)
            if answer.next:
                obj.say(f"Next: {answer.next}")

    documents = [each.to_dict() for each in answers]
    obj.show(documents[0] if len(names) == 1 else documents, text)
    ctx.exit(0 if all(each.ready for each in answers) else 1)


@shop.command()
@any_names
@click.pass_obj
def tree(obj: Settings, names: tuple[str, ...]) -> None:
    """Show all objects of a ShopService and which of them are ready.

    Without a name: every ShopService of the namespace. The last line names kinds that you are not allowed to list.
    """
    roots = []
    for found in chosen(obj, names):
        owned, hidden = obj.cluster.owned(found["metadata"]["namespace"], found["metadata"]["name"])
        roots.append(views.tree(found, owned, hidden))

    def text() -> None:
        for root in roots:
            for line in views.tree_lines(root):
                obj.say(line, "red" if "✗" in line else None)

    documents = [each.to_dict() for each in roots]
    obj.show(documents[0] if len(names) == 1 else documents, text)


@shop.command()
@any_names
@click.option("-w", "--watch", is_flag=True, help="Watch for changes until Ctrl-C.")
@click.pass_obj
def status(obj: Settings, names: tuple[str, ...], watch: bool) -> None:  # noqa: FBT001  click hands flags over by name
    """Show ShopServices as a table, followed by the canary releases: their weight, and what they wait for."""
    if watch:
        namespace = None if obj.everywhere and not names else obj.namespace
        with contextlib.suppress(KeyboardInterrupt):
            _watch(obj, namespace, names)
        return
    shops = chosen(obj, names) if names else _all(obj)
    rows = [views.row(each) for each in shops]
    releases = [line for each in shops if (line := views.canary(each))]

    def text() -> None:
        _print(obj, rows)
        for line in releases:
            obj.say(line)

    documents = [
        views.as_document(row) | ({"canary": line} if (line := views.canary(each)) else {})
        for row, each in zip(rows, shops, strict=True)
    ]
    obj.show(documents, text)


def _all(obj: Settings) -> list[dict[str, Any]]:
    return obj.cluster.shops(None if obj.everywhere else obj.namespace)


def _print(obj: Settings, rows: list[views.Row]) -> None:
    if rows:
        width = obj.console.width if obj.is_terminal else None
        for index, line in enumerate(views.aligned([views.HEAD, *rows], width, _first(obj))):
            obj.say(line, "bold" if index == 0 else None)
    else:
        obj.say_none()


def _watch(obj: Settings, namespace: str | None, names: Sequence[str]) -> None:
    """Print a table that is redrawn on a terminal; otherwise, a line for each change."""
    only = names[0] if len(names) == 1 else None
    states = (
        {key: views.row(each) for key, each in known.items() if not names or key.name in names}
        for known in obj.cluster.watch(namespace, only)
    )
    if obj.is_table and sys.stdout.isatty():
        shown: dict[Any, views.Row] = {}
        with Live(
            get_renderable=lambda: _table(obj, [shown[key] for key in sorted(shown)]), console=obj.console
        ):
            for shown in states:  # noqa: B007  the table is redrawn from it several times a second
                pass
        return
    before: dict[Any, views.Row] = {}
    for after in states:
        for row in views.news(before, after):
            if obj.is_table:
                click.echo(printable(views.GAP.join(row)))
            else:
                obj.show_next(views.as_document(row))
        sys.stdout.flush()
        before = after


def _first(obj: Settings) -> int:
    """The index of the first column: the namespace is omitted if there is only one."""
    return 0 if obj.everywhere else 1


def _table(obj: Settings, rows: Iterable[views.Row]) -> Table:
    """The rows as a table for a terminal."""
    shown = [tuple(printable(cell) for cell in row) for row in rows]
    head, *cells = views.fitted([views.HEAD, *shown], obj.console.width, _first(obj))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for each in head:
        table.add_column(each, overflow="ellipsis", no_wrap=True)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    return table


for each in (
    render_,
    diff,
    retry,
    rollback,
    suspend,
    resume,
    logs,
    exec_,
    forward,
    restart,
    dlq,
    open_,
    new,
    graph,
    top,
    recommend,
    ui,
):
    shop.add_command(each)


@shop.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a shell completion script for `kubectl-shop`; `kubectl shop` needs only kubectl_complete-shop on PATH."""
    click.echo(script(shop, shell))


def main() -> None:
    """Run the console script `kubectl-shop`."""
    named = Path(sys.argv[0]).name == "kubectl-shop"
    shop(prog_name="kubectl shop" if named else None, complete_var=VARIABLE)


def complete() -> None:
    """Run the console script `kubectl_complete-shop`, from which kubectl gets the completions."""
    for line in words(shop, sys.argv[1:]):
        click.echo(line)
