"""The commands for ShopServices in files: render and diff."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import click

from shop_operator.cache.namespaces import Namespaces
from shop_operator.cli import documents
from shop_operator.cli.cluster import Cluster
from shop_operator.cli.diff.changes import Change
from shop_operator.cli.diff.plan import Namespace, plan, rendered
from shop_operator.cli.machine import as_json, as_yaml
from shop_operator.cli.operators import serving
from shop_operator.cli.settings import Command, Settings
from shop_operator.objects.pod_security import LEVELS, Level

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_UNKNOWN_SETTINGS: Final = (
    "kubectl shop: the settings of the operator that serves namespace {} are unknown, because you are not allowed to list"
    " its Deployment or it has none; allowedQueueEndpoints and protectedNamespaces are not checked."
)
_UNKNOWN_HOSTNAMES: Final = (
    "kubectl shop: you are not allowed to list ShopServices and Services of all namespaces; whether another namespace uses"
    " a discovery hostname is not checked."
)

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


@click.command("render", cls=Command)
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


@click.command(cls=Command)
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
