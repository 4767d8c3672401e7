"""The command line of `kubectl shop`."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import click
import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shop_operator.cli import diff as diffs
from shop_operator.cli import documents, views
from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import EXIT_CODES, CliError, NotThere, NotValid
from shop_operator.cli.explain import Facts, explain
from shop_operator.dependencies import dependencies
from shop_operator.errors import InvalidSpec
from shop_operator.pods import diagnosis, last_words
from shop_operator.render import LiveScale, Surroundings, render
from shop_operator.report import image_in_place
from shop_operator.spec import ShopService
from shop_operator.store import Child, Scaler, Shop
from shop_operator.summary import CHECKSUM_ANNOTATION

WIDTH: Final = 100
EPILOG: Final = (
    "Exit codes: " + "; ".join(f"{code} {text}" for code, text in sorted(EXIT_CODES.items())) + "."
)


@dataclass
class Context:
    """What was said before the command."""

    kubeconfig: str | None
    context: str | None
    chosen: str | None
    everywhere: bool
    output: str
    color: bool

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster; looked for when it is needed, since `render` needs none."""
        return Cluster(self.kubeconfig, self.context)

    @property
    def namespace(self) -> str:
        """Where."""
        return self.chosen or self.cluster.namespace

    @cached_property
    def console(self) -> Console:
        """Where it is printed: at most a hundred columns, with colours on a terminal only."""
        plain = not self.color or bool(os.environ.get("NO_COLOR"))
        width = min(Console().width, WIDTH) if sys.stdout.isatty() else WIDTH
        return Console(width=width, no_color=plain, highlight=False, soft_wrap=False)

    def show(self, document: Any, text: Callable[[], None]) -> None:
        """Print the document as JSON or YAML, or as text."""
        if self.output == "json":
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        elif self.output == "yaml":
            click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=WIDTH), nl=False)
        else:
            text()

    def say(self, line: str, style: str | None = None) -> None:
        """Print a line of text."""
        self.console.print(Text(line, style=style or ""), overflow="fold")


class Commands(click.Group):
    """Turns what a command raises into one line and an exit code."""

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
@click.option("--kubeconfig", metavar="FILE", help="The kubeconfig (default: KUBECONFIG, ~/.kube/config).")
@click.option("--context", metavar="NAME", help="Its context (default: the current one).")
@click.option("-n", "--namespace", metavar="NAME", help="The namespace (default: the context's).")
@click.option("-A", "--all-namespaces", is_flag=True, help="Every namespace (status).")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", help="How to print."
)
@click.option("--color/--no-color", default=True, help="Colours on a terminal (also: NO_COLOR).")
@click.version_option(package_name="shop-operator")
@click.pass_context
def shop(  # one parameter for each option
    ctx: click.Context,
    kubeconfig: str | None,
    context: str | None,
    namespace: str | None,
    all_namespaces: bool,  # noqa: FBT001  click hands flags over by name
    output: str,
    color: bool,  # noqa: FBT001  see above
) -> None:
    """See, explain and steer ShopServices."""
    ctx.obj = Context(kubeconfig, context, namespace, all_namespaces, output, color)


filenames = click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    help="A YAML or JSON file; - for standard input.",
)


@shop.command("render")
@filenames
@click.pass_obj
def render_(obj: Context, files: tuple[str, ...]) -> None:
    """Print every object that the operator would make, without a cluster."""
    children = []
    for document in documents.read(files, obj.chosen or "default"):
        children += _rendered(documents.shopservice(document), Surroundings(), None)
    if obj.output == "json":
        click.echo(json.dumps(children, indent=2, ensure_ascii=False))
    else:
        click.echo(yaml.safe_dump_all(children, sort_keys=False, allow_unicode=True, width=WIDTH), nl=False)


@shop.command()
@filenames
@click.pass_context
def diff(ctx: click.Context, files: tuple[str, ...]) -> None:
    """Show what applying a file would change, down to the last child. Exits with 1 when there is something."""
    obj: Context = ctx.obj
    found = [
        change
        for document in documents.read(files, obj.namespace)
        for change in _changes(obj.cluster, document)
    ]

    def text() -> None:
        for change in found:
            for line in change.lines():
                style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
                obj.say(line, style)

    obj.show([each.to_dict() for each in found], text)
    ctx.exit(1 if found else 0)


def _changes(cluster: Cluster, document: dict[str, Any]) -> Iterable[diffs.Change]:
    """What one ShopService of a file would change."""
    namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
    there = cluster.find(namespace, name)
    wanted = documents.shopservice(document, there["metadata"]["uid"] if there else documents.NO_UID)
    own = diffs.of_shopservice(document, there)
    if own is not None:
        yield own
    live = cluster.children(namespace, name) if there else {}
    others = {each["metadata"]["name"]: Shop.of(each) for each in cluster.shops(namespace)}
    others[name] = Shop.of(_as_stored(document, wanted))
    depends = dependencies(name, others.get)
    checksum, unmarked = _checksum(live, name)
    around = Surroundings(
        dependencies=depends.ports if depends else {},
        dependants=frozenset(each for each, known in others.items() if name in known.depends_on),
        checksum=checksum,
        unmarked=unmarked,
        served=cluster.served(),
        image=image_in_place(wanted, (there or {}).get("status") or {}),
    )
    yield from diffs.changes(_rendered(wanted, around, _scale(live)), live, wanted.uid)


def _as_stored(document: dict[str, Any], wanted: ShopService) -> dict[str, Any]:
    return {**document, "metadata": {**document["metadata"], "uid": wanted.uid, "resourceVersion": "0"}}


def _checksum(live: Mapping[tuple[str, str], Any], name: str) -> tuple[str | None, dict[str, str | None]]:
    """The configuration does not change by an apply: what the Deployments say of it, as Surroundings has it."""
    found: str | None = None
    unmarked: dict[str, str | None] = {}
    for (kind, each), obj in live.items():
        if kind != "Deployment":
            continue
        own, pods = (
            (part["metadata"].get("annotations") or {}).get(CHECKSUM_ANNOTATION)
            for part in (obj, obj["spec"]["template"])
        )
        if pods is None:
            unmarked[each] = own
        if each == name:
            found = pods or own
    return found, unmarked


def _scale(live: Mapping[tuple[str, str], Any]) -> LiveScale | None:
    deployments = {name: Child.of(each) for (kind, name), each in live.items() if kind == "Deployment"}
    if not deployments:
        return None
    scaled = {name for kind, name in live if kind in {"HorizontalPodAutoscaler", "ScaledObject"}}
    return LiveScale(
        replicas={name: each.state["spec"]["replicas"] for name, each in deployments.items()},
        ours={name for name, each in deployments.items() if each.scaled_by is Scaler.OPERATOR},
        autoscaled=scaled
        | {name for name, each in deployments.items() if each.scaled_by is Scaler.AUTOSCALER},
    )


def _rendered(wanted: ShopService, around: Surroundings, live: LiveScale | None) -> list[dict[str, Any]]:
    try:
        return render(wanted, live=live, around=around)
    except InvalidSpec as error:
        raise NotValid(f"ShopService {wanted.name}: {error.message.rstrip('.')}") from error


@shop.command("explain")
@click.argument("name")
@click.pass_context
def explain_(ctx: click.Context, name: str) -> None:
    """Say in one sentence why a ShopService is not ready, and which command helps. Exits with 1 when it is not."""
    obj: Context = ctx.obj
    cluster, namespace = obj.cluster, obj.namespace
    found = cluster.shop(namespace, name)
    pods = cluster.pods(namespace, name)
    known = diagnosis(pods)
    words = ""
    if known is not None and known.container is not None:
        previous = known.reason != "NotReady"
        words = last_words(cluster.log(namespace, known.pod, known.container, previous=previous))
    replicasets = cluster.replicasets(namespace, name)
    uids = {each["metadata"]["uid"] for each in (found, *pods, *replicasets)}
    answer = explain(Facts(found, known, words, cluster.warnings(namespace, uids)))

    def text() -> None:
        obj.say(answer.sentence, "green" if answer.ready else "yellow")
        if answer.next:
            obj.say(f"Next: {answer.next}")

    obj.show(answer.to_dict(), text)
    ctx.exit(0 if answer.ready else 1)


@shop.command()
@click.argument("name")
@click.pass_obj
def tree(obj: Context, name: str) -> None:
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
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Go on showing what changes, until Ctrl-C.")
@click.pass_obj
def status(obj: Context, name: str | None, watch: bool) -> None:  # noqa: FBT001  click hands flags over by name
    """Show ShopServices as a table."""
    namespace = None if obj.everywhere else obj.namespace
    if name is not None and namespace is None:
        raise click.UsageError("a NAME is in one namespace: use -n instead of -A")

    def rows() -> list[tuple[str, ...]]:
        found = [obj.cluster.shop(namespace, name)] if name and namespace else obj.cluster.shops(namespace)
        return [views.row(each) for each in found]

    if not watch:
        found = rows()
        documents_ = [dict(zip((each.lower() for each in views.HEAD), row, strict=True)) for row in found]
        obj.show(documents_, lambda: obj.console.print(_table(found)))
        return
    try:
        _watch(obj, rows, namespace, name)
    except KeyboardInterrupt:
        return


def _watch(
    obj: Context, rows: Callable[[], list[tuple[str, ...]]], namespace: str | None, name: str | None
) -> None:
    """A table that is drawn anew on a terminal; elsewhere a line for each change."""
    if obj.output == "table" and sys.stdout.isatty():
        with Live(_table(rows()), console=obj.console, auto_refresh=False) as live:
            for _ in obj.cluster.changes(namespace):
                live.update(_table(rows()), refresh=True)
        return
    for changed in obj.cluster.changes(namespace):
        if name not in {None, changed["metadata"]["name"]}:
            continue
        row = views.row(changed)
        if obj.output == "table":
            click.echo("  ".join(row))
        else:
            click.echo(json.dumps(dict(zip((each.lower() for each in views.HEAD), row, strict=True))))
        sys.stdout.flush()


def _table(rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in views.HEAD:
        table.add_column(head, overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


@shop.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def rollback(obj: Context, name: str, dry_run: bool) -> None:  # noqa: FBT001  click hands flags over by name
    """Put the image before the present one back into the spec."""
    cluster, namespace = obj.cluster, obj.namespace
    found = cluster.shop(namespace, name)
    back = views.previous_image(found, cluster.replicasets(namespace, name))
    if back is None:
        raise NotThere(f"there is no image before {found['spec']['image']} that {name} could go back to")
    cluster.patch(namespace, name, {"spec": {"image": back}}, dry_run=dry_run)
    said = {"name": name, "from": found["spec"]["image"], "to": back, "dryRun": dry_run}
    would = "would go" if dry_run else "goes"
    obj.show(said, lambda: obj.say(f"{name} {would} back from {said['from']} to {back}."))


@shop.command()
@click.argument("name")
@click.pass_obj
def suspend(obj: Context, name: str) -> None:
    """Have the operator leave a ShopService as it is."""
    _suspend(obj, name, wanted=True)


@shop.command()
@click.argument("name")
@click.pass_obj
def resume(obj: Context, name: str) -> None:
    """Have the operator look after a suspended ShopService again."""
    _suspend(obj, name, wanted=False)


def _suspend(obj: Context, name: str, *, wanted: bool) -> None:
    obj.cluster.patch(obj.namespace, name, {"spec": {"suspend": True if wanted else None}})
    said = f"{name} is left as it is." if wanted else f"{name} is looked after again."
    obj.show({"name": name, "suspended": wanted}, lambda: obj.say(said))


@shop.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes `kubectl-shop` in a shell; `kubectl shop` needs kubectl_complete-shop on PATH only."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415  nothing else needs it

    maker = get_completion_class(shell)
    if maker is None:
        raise NotThere(f"there is no completion for {shell}")
    click.echo(maker(shop, {}, "kubectl-shop", "_KUBECTL_SHOP_COMPLETE").source())


def main() -> None:
    """Run the console script `kubectl-shop`."""
    shop(
        prog_name="kubectl shop" if Path(sys.argv[0]).name == "kubectl-shop" else None,
        complete_var="_KUBECTL_SHOP_COMPLETE",
    )


def complete() -> None:
    """Run the console script `kubectl_complete-shop`, which kubectl asks for words: one a line, then Cobra's directive."""
    from click.shell_completion import ShellComplete  # noqa: PLC0415  see above

    *given, begun = sys.argv[1:] or [""]
    for item in ShellComplete(shop, {}, "kubectl-shop", "").get_completions(given, begun):
        click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    # 4: no file names.
    click.echo(":4")
