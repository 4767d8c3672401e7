"""The command line of `kubectl shop`."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shop_operator.cache.namespaces import Namespaces
from shop_operator.cli import documents, views, workloads
from shop_operator.cli.browser import open_
from shop_operator.cli.cluster import Cluster
from shop_operator.cli.completion import SHELLS, VARIABLE, script, words
from shop_operator.cli.diff.changes import Change
from shop_operator.cli.diff.plan import Namespace, plan, rendered
from shop_operator.cli.errors import EXIT_CODES, CliError, Forbidden, NotThere, NotValid
from shop_operator.cli.evidence import facts
from shop_operator.cli.explain import explain
from shop_operator.cli.graph import graph
from shop_operator.cli.machine import as_json, as_yaml
from shop_operator.cli.new import new
from shop_operator.cli.operators import serving
from shop_operator.cli.pods import dlq, exec_, forward, logs, restart
from shop_operator.cli.recommend.command import recommend
from shop_operator.cli.rollback import way_back
from shop_operator.cli.settings import Command, Settings, ShopName, a_name, names, shared
from shop_operator.cli.top.command import top
from shop_operator.cli.ui.command import ui
from shop_operator.names import RETRY_ANNOTATION
from shop_operator.objects.pod_security import LEVELS, Level
from shop_operator.wording import listed, printable

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

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
_UNKNOWN_SETTINGS: Final = (
    "kubectl shop: the settings of the operator that serves namespace {} are unknown, because you are not allowed to list"
    " its Deployment or it has none; allowedQueueEndpoints and protectedNamespaces are not checked."
)
_UNKNOWN_HOSTNAMES: Final = (
    "kubectl shop: you are not allowed to list ShopServices and Services of all namespaces; whether another namespace uses"
    " a discovery hostname is not checked."
)
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


filenames = click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="YAML or JSON file; - for standard input.",
)


def pod_security(default: str) -> Callable[[Decorated], Decorated]:
    """The option for the pod-security level of the pods.

    Args:
        default: the default, in the words of the help text.
    """
    return click.option(
        "--pod-security",
        "level",
        type=click.Choice(LEVELS),
        help=f"Pod Security Standard of the pods. Defaults to {default}.",
    )


any_names = click.argument("names", metavar="[NAME]...", type=ShopName(), nargs=-1, shell_complete=names)


def chosen(obj: Settings, given: Sequence[str]) -> list[dict[str, Any]]:
    """The ShopServices of these names, in their order; all if no name is given."""
    if given:
        return [obj.cluster.shop(obj.namespace, each) for each in dict.fromkeys(given)]
    found = _all(obj)
    if not found:
        obj.say_none()
    return found


@shop.command("render")
@filenames
@pod_security("restricted")
@click.pass_obj
def render_(obj: Settings, files: tuple[str, ...], level: Level | None) -> None:
    """Print every object that the operator would create, without a cluster.

    ShopServices in the files may depend on each other, and all optional kinds are assumed to be installed.

    Without a cluster, these are unknown and not checked: the operator's settings (allowedQueueEndpoints, podSecurity,
    protectedNamespaces, commonLabels, commonAnnotations), the pod-security labels of namespaces, discovery hostnames in use,
    and existing objects of the same names. Run `kubectl shop diff` to check them.
    """
    given = documents.read(files, obj.chosen or "default", only=obj.chosen is not None)
    with documents.located(given):
        children = rendered(given, level or "restricted")
    if obj.output == "json":
        click.echo(as_json(children))
    else:
        click.echo(as_yaml(*children), nl=False)


@shop.command()
@filenames
@pod_security("the namespace's label or the operator's setting if they can be read, otherwise to restricted")
@click.pass_context
def diff(ctx: click.Context, files: tuple[str, ...], level: Level | None) -> None:
    """Show the changes that applying a file would cause, including all child resources. Exits with 1 if there are any.

    A line with ! reports what the operator would reject or wait for, with the reason and the message of its condition. Objects
    that you are not allowed to read are not checked; a line on standard error reports this.
    """
    obj: Settings = ctx.obj
    given = documents.read(files, obj.namespace, only=obj.chosen is not None)
    with documents.located(given):
        found = list(_changes(obj.cluster, given, level))

    def text() -> None:
        for change in found:
            for line in change.lines():
                style = {"+": "green", "-": "red", "@": "cyan", "!": "yellow"}.get(line[:1])
                obj.say(line, style)

    obj.show([each.to_dict() for each in found], text)
    ctx.exit(1 if found else 0)


def _changes(cluster: Cluster, given: Sequence[Mapping[str, Any]], level: Level | None) -> Iterator[Change]:
    served, operators = cluster.served(), cluster.operators()
    for here in sorted({each["metadata"]["namespace"] for each in given}):
        settings = serving(operators, here)
        if settings is None:
            click.echo(_UNKNOWN_SETTINGS.format(here), err=True)
        labels = Namespaces(
            settings.pod_security if settings else "restricted",
            settings.protected if settings else frozenset(),
            lambda _: None,
            lambda: None,
        )
        found = cluster.namespace_object(here)
        if found is not None:
            labels.seen(None, found)
        there = Namespace(
            {each["metadata"]["name"]: each for each in cluster.shops(here)},
            served,
            lambda name, here=here: cluster.children(here, name),  # type: ignore[misc]
            lambda kind, name, here=here: cluster.child(here, kind, name),  # type: ignore[misc]
            level or labels.level(here),
            labels.check,
            settings.allowed_queue_endpoints if settings else None,
            settings.prometheus_address if settings else "",
            settings.common if settings else None,
            lambda: _registered(cluster),
        )
        yield from plan([each for each in given if each["metadata"]["namespace"] == here], there)


def _registered(cluster: Cluster) -> list[dict[str, Any]]:
    found = cluster.registered()
    if found is None:
        click.echo(_UNKNOWN_HOSTNAMES, err=True)
    return found or []


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


@shop.command()
@a_name
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.pass_obj
def retry(obj: Settings, name: str, dry_run: bool) -> None:  # noqa: FBT001  click hands flags over by name
    """Retry a release that was rolled back automatically."""
    found = obj.cluster.shop(obj.namespace, name)
    rejected = ((found.get("status") or {}).get("rollout") or {}).get("rejectedImage")
    if rejected is None:
        raise NotThere(f"no release of {name} was rolled back")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"metadata": {"annotations": {RETRY_ANNOTATION: now}}}
    obj.cluster.patch(obj.namespace, name, patch, dry_run=dry_run)
    document = {"name": name, "release": rejected, "dryRun": dry_run}
    verb = "would retry" if dry_run else "retries"
    holds = _holds(obj, found)

    def text() -> None:
        obj.say(f"{name} {verb} the release with {rejected}.")
        for each in holds:
            obj.say(each)

    obj.show(document, text)


def _holds(obj: Settings, found: dict[str, Any]) -> list[str]:
    """The reasons why the pods do not change, and the commands that resume the change."""
    name, namespace = found["metadata"]["name"], obj.namespace
    said = []
    if found["spec"].get("suspend"):
        resume = f"kubectl shop resume {name} -n {namespace}"
        said.append(f"{name} is suspended. To apply the change, resume it: {resume}")
    with contextlib.suppress(Forbidden):
        for each in workloads.controlled(obj.cluster.deployments(namespace, name), found):
            if (each.get("spec") or {}).get("paused"):
                one = each["metadata"]["name"]
                resume = f"kubectl rollout resume deployment/{one} -n {namespace}"
                said.append(
                    f"The rollout of Deployment {one} is paused. To replace its pods, resume it: {resume}"
                )
    return said


@shop.command()
@a_name
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.pass_obj
def rollback(obj: Settings, name: str, dry_run: bool) -> None:  # noqa: FBT001  click hands flags over by name
    """Roll back to the previous release by setting it in the spec.

    If status.rollout contains the last available release (rollout.autoRollback), all fields that affect pods are set to its
    values. Otherwise, only the image is set.
    """
    cluster, namespace = obj.cluster, obj.namespace
    found = cluster.shop(namespace, name)
    patch = way_back(found, lambda: cluster.replicasets(namespace, name))
    cluster.patch(namespace, name, {"spec": patch}, dry_run=dry_run)
    now = found["spec"]["image"]
    back, fields = patch.get("image", now), sorted(patch)
    document = {"name": name, "from": now, "to": back, "fields": fields, "dryRun": dry_run}
    holds = _holds(obj, found)

    def text() -> None:
        verb = "would be" if dry_run else "is"
        if fields == ["image"]:
            obj.say(f"{name} {verb} rolled back from {now} to {back}.")
        else:
            changed = listed([f"spec.{each}" for each in fields])
            obj.say(
                f"{name} {verb} rolled back to its last available release ({back}), which changes {changed}."
            )
        for each in holds:
            obj.say(each)
        if not dry_run:
            obj.say("Change its manifest or Helm values too; otherwise the next apply reverts the rollback.")

    obj.show(document, text)


some_names = click.argument(
    "names", metavar="NAME...", type=ShopName(), nargs=-1, required=True, shell_complete=names
)


@shop.command()
@some_names
@click.pass_obj
def suspend(obj: Settings, names: tuple[str, ...]) -> None:
    """Suspend the reconciliation of a ShopService: the operator does not change its resources."""
    _suspend(obj, names, wanted=True)


@shop.command()
@some_names
@click.pass_obj
def resume(obj: Settings, names: tuple[str, ...]) -> None:
    """Resume the reconciliation of a suspended ShopService."""
    _suspend(obj, names, wanted=False)


def _suspend(obj: Settings, names: Sequence[str], *, wanted: bool) -> None:
    refused = dict[str, CliError]()
    for each in names:
        try:
            obj.cluster.patch(obj.namespace, each, {"spec": {"suspend": True if wanted else None}})
        except CliError as error:
            refused[each] = error
    if refused and len(names) == 1:
        raise refused[names[0]]
    done = [each for each in names if each not in refused]
    documents = [{"name": each, "suspended": wanted} for each in done]

    def text() -> None:
        for each in done:
            obj.say(
                f"Reconciliation of {each} is suspended."
                if wanted
                else f"Reconciliation of {each} is resumed."
            )

    obj.show(documents[0] if len(names) == 1 else documents, text)
    if refused:
        verb = "suspended" if wanted else "resumed"
        told = "; ".join(f"{each} is not {verb}: {error}" for each, error in refused.items())
        raise type(next(iter(refused.values())))(told)


for each in (logs, exec_, forward, restart, dlq, open_, new, graph, top, recommend, ui):
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
