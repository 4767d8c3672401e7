"""The command line of `kubectl shop`."""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import yaml
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shop_operator.cli import completing, documents, views
from shop_operator.cli.cluster import Cluster
from shop_operator.cli.diff import Change
from shop_operator.cli.errors import EXIT_CODES, CliError, NotAllowed, NotThere
from shop_operator.cli.explain import Facts, explain, unavailable
from shop_operator.cli.planning import Namespace, plan, rendered
from shop_operator.cli.settings import FOLD, WIDTH, Command, DnsLabel, Settings, names, shared
from shop_operator.pods import diagnosis, last_words

EPILOG: Final = (
    "Exit codes: " + "; ".join(f"{code} {text}" for code, text in sorted(EXIT_CODES.items())) + "."
)


class Commands(click.Group):
    """Turns what a command raises into one line and an exit code."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += shared()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CliError as error:
            click.echo(f"kubectl shop: {error}.", err=True)
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            # The reader of a pipe has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="shop-operator")
def shop() -> None:
    """See, explain and steer ShopServices."""


filenames = click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="A YAML or JSON file; - for standard input.",
)
a_name = click.argument("name", type=DnsLabel(), shell_complete=names)


@shop.command("render")
@filenames
@click.pass_obj
def render_(obj: Settings, files: tuple[str, ...]) -> None:
    """Print every object that the operator would make, without a cluster.

    The ShopServices of the files know each other, and each optional kind is taken to be installed.
    """
    children = rendered(documents.read(files, obj.chosen or "default", only=obj.chosen is not None))
    if obj.output == "json":
        click.echo(json.dumps(children, indent=2, ensure_ascii=False))
    else:
        click.echo(yaml.safe_dump_all(children, sort_keys=False, allow_unicode=True, width=FOLD), nl=False)


@shop.command()
@filenames
@click.pass_context
def diff(ctx: click.Context, files: tuple[str, ...]) -> None:
    """Show what applying a file would change, down to the last child. Exits with 1 when there is something."""
    obj: Settings = ctx.obj
    found = list(_changes(obj.cluster, documents.read(files, obj.namespace, only=obj.chosen is not None)))

    def text() -> None:
        for change in found:
            for line in change.lines():
                style = {"+": "green", "-": "red", "@": "cyan", "!": "yellow"}.get(line[:1])
                obj.say(line, style)

    obj.show([each.to_dict() for each in found], text)
    ctx.exit(1 if found else 0)


def _changes(cluster: Cluster, given: list[dict[str, Any]]) -> Iterator[Change]:
    served = cluster.served()
    for here in sorted({each["metadata"]["namespace"] for each in given}):
        there = Namespace(
            {each["metadata"]["name"]: each for each in cluster.shops(here)},
            served,
            lambda name, here=here: cluster.children(here, name),  # type: ignore[misc]
            lambda kind, name, here=here: cluster.child(here, kind, name),  # type: ignore[misc]
        )
        yield from plan([each for each in given if each["metadata"]["namespace"] == here], there)


@shop.command("explain")
@a_name
@click.pass_context
def explain_(ctx: click.Context, name: str) -> None:
    """Say in one sentence why a ShopService is not ready, and which command helps. Exits with 1 when it is not."""
    obj: Settings = ctx.obj
    answer = explain(_facts(obj.cluster, obj.namespace, name))

    def text() -> None:
        obj.say(answer.sentence, "green" if answer.ready else "yellow")
        if answer.next:
            obj.say(f"Next: {answer.next}")

    obj.show(answer.to_dict(), text)
    ctx.exit(0 if answer.ready else 1)


def _facts(cluster: Cluster, namespace: str, name: str) -> Facts:
    """What is known, as far as this person may see it."""
    found = cluster.shop(namespace, name)
    known, words, late, warnings = None, "", "", list[str]()
    with contextlib.suppress(NotAllowed):
        pods = cluster.pods(namespace, name)
        known = diagnosis(pods)
        if known is not None and known.container is not None:
            words = last_words(cluster.log(namespace, known.pod, known.container, previous=known.previous))
        late = unavailable(cluster.deployments(namespace, name))
        uids = {each["metadata"]["uid"] for each in (found, *pods, *cluster.replicasets(namespace, name))}
        warnings = cluster.warnings(namespace, uids)
    return Facts(found, known, words, warnings, late)


@shop.command()
@a_name
@click.pass_obj
def tree(obj: Settings, name: str) -> None:
    """Show everything that belongs to a ShopService, and what of it is ready."""
    cluster, namespace = obj.cluster, obj.namespace
    found = cluster.shop(namespace, name)
    owned = [
        *cluster.children(namespace, name).values(),
        *cluster.replicasets(namespace, name),
        *cluster.pods(namespace, name),
    ]
    root = views.tree(found, owned)

    def text() -> None:
        for line in views.tree_lines(root):
            obj.say(line, "red" if "✗" in line else None)

    obj.show(root.to_dict(), text)


@shop.command()
@click.argument("name", type=DnsLabel(), required=False, shell_complete=names)
@click.option("-w", "--watch", is_flag=True, help="Go on showing what changes, until Ctrl-C.")
@click.pass_obj
def status(obj: Settings, name: str | None, watch: bool) -> None:  # noqa: FBT001  click hands flags over by name
    """Show ShopServices as a table."""
    namespace = None if obj.everywhere and name is None else obj.namespace
    if name is not None:
        found = [obj.cluster.shop(obj.namespace, name)]
    elif not watch:
        found = obj.cluster.shops(namespace)
    if watch:
        with contextlib.suppress(KeyboardInterrupt):
            _watch(obj, namespace, name)
        return
    rows = [views.row(each) for each in found]
    obj.show([views.as_document(each) for each in rows], lambda: _print(obj, rows))


def _print(obj: Settings, rows: list[views.Row]) -> None:
    if rows:
        obj.console.print(_table(obj, rows))
    else:
        where = "" if obj.everywhere else f" in namespace {obj.namespace}"
        click.echo(f"There is no ShopService{where}.", err=True)


def _watch(obj: Settings, namespace: str | None, name: str | None) -> None:
    """A table that is drawn anew on a terminal; elsewhere a line for each change."""
    states = (
        {key: views.row(each) for key, each in known.items()} for known in obj.cluster.watch(namespace, name)
    )
    if obj.is_table and sys.stdout.isatty():
        shown: dict[Any, views.Row] = {}
        with Live(
            get_renderable=lambda: _table(obj, [shown[key] for key in sorted(shown)]), console=obj.console
        ):
            for shown in states:  # noqa: B007  the table is drawn from it a few times a second
                pass
        return
    before: dict[Any, views.Row] = {}
    for after in states:
        for row in views.news(before, after):
            if obj.is_table:
                (cells,) = views.fitted([row], WIDTH)
                click.echo(views.GAP.join(cells))
            else:
                obj.show_next(views.as_document(row))
        sys.stdout.flush()
        before = after


def _table(obj: Settings, rows: Iterable[views.Row]) -> Table:
    """Without the namespace when there is only one."""
    head, *cells = views.fitted([views.HEAD, *rows], obj.console.width, 0 if obj.everywhere else 1)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for each in head:
        table.add_column(each, overflow="ellipsis", no_wrap=True)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    return table


@shop.command()
@a_name
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def rollback(obj: Settings, name: str, dry_run: bool) -> None:  # noqa: FBT001  click hands flags over by name
    """Put the image before the present one back into the spec."""
    cluster, namespace = obj.cluster, obj.namespace
    found = cluster.shop(namespace, name)
    now, back = found["spec"]["image"], views.previous_image(found, cluster.replicasets(namespace, name))
    if back is None:
        raise NotThere(
            f"there is no image before {now} that {name} could go back to; set spec.image yourself"
        )
    cluster.patch(namespace, name, {"spec": {"image": back}}, dry_run=dry_run)
    document = {"name": name, "from": now, "to": back, "dryRun": dry_run}

    def text() -> None:
        if dry_run:
            obj.say(f"{name} would go back from {now} to {back}.")
            return
        obj.say(f"{name} goes back from {now} to {back}.")
        obj.say("Change the file or the values that it comes from too, or their next apply undoes this.")

    obj.show(document, text)


@shop.command()
@a_name
@click.pass_obj
def suspend(obj: Settings, name: str) -> None:
    """Have the operator leave a ShopService as it is."""
    _suspend(obj, name, wanted=True)


@shop.command()
@a_name
@click.pass_obj
def resume(obj: Settings, name: str) -> None:
    """Have the operator look after a suspended ShopService again."""
    _suspend(obj, name, wanted=False)


def _suspend(obj: Settings, name: str, *, wanted: bool) -> None:
    obj.cluster.patch(obj.namespace, name, {"spec": {"suspend": True if wanted else None}})
    said = f"{name} is left as it is." if wanted else f"{name} is looked after again."
    obj.show({"name": name, "suspended": wanted}, lambda: obj.say(said))


@shop.command()
@click.argument("shell", type=click.Choice(completing.SHELLS))
def completion(shell: str) -> None:
    """Print a script that completes `kubectl-shop` in a shell; `kubectl shop` needs kubectl_complete-shop on PATH only."""
    click.echo(completing.script(shop, shell))


def main() -> None:
    """Run the console script `kubectl-shop`."""
    named = Path(sys.argv[0]).name == "kubectl-shop"
    shop(prog_name="kubectl shop" if named else None, complete_var=completing.VARIABLE)


def complete() -> None:
    """Run the console script `kubectl_complete-shop`, which kubectl asks for words."""
    for line in completing.words(shop, sys.argv[1:]):
        click.echo(line)
