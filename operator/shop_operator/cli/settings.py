"""The options that every command accepts, before or after its name, and how it prints."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final

import click
from rich.console import Console
from rich.text import Text

from shop_operator.api.v1alpha1.crd import SHORT_NAME
from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import CliError
from shop_operator.cli.machine import as_json, as_yaml
from shop_operator.cli.naming import RULE, is_name, shown
from shop_operator.names import GROUP, KIND, PLURAL, VERSION
from shop_operator.wording import printable

WIDTH: Final = 100
_TYPES: Final = frozenset(
    f"{word}{group}" for word in (KIND.lower(), PLURAL) for group in ("", f".{GROUP}", f".{VERSION}.{GROUP}")
) | {SHORT_NAME}
"""What stands before the slash of TYPE/NAME, in lower case."""


@dataclass
class Settings:
    """The options that are the same everywhere.

    Attributes:
        kubeconfig: the file; None for that of KUBECONFIG or ~/.kube/config.
        context: its context; None for the current one.
        chosen: the namespace that was asked for; None for the context's.
        everywhere: all namespaces.
        output: table, json or yaml.
        color: whether there may be colours.
    """

    kubeconfig: str | None = None
    context: str | None = None
    chosen: str | None = None
    everywhere: bool = False
    output: str = "table"
    color: bool = True

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster; looked for when it is needed, since `render` needs none."""
        return Cluster(self.kubeconfig, self.context)

    @property
    def namespace(self) -> str:
        """Where; the one namespace of a command that has no use for several."""
        if self.everywhere:
            raise click.UsageError("this command needs one namespace: use -n instead of -A")
        return self.chosen or self.cluster.namespace

    @property
    def is_table(self) -> bool:
        """Whether a person reads it."""
        return self.output == "table"

    @property
    def is_terminal(self) -> bool:
        """Whether lines are wrapped and cells are cut; a pipe or a file gets both whole."""
        return sys.stdout.isatty()

    @cached_property
    def console(self) -> Console:
        """A terminal: at most a hundred columns, with colors unless they are turned off."""
        plain = not self.color or bool(os.environ.get("NO_COLOR"))
        width = min(Console().width, WIDTH)
        return Console(width=width, color_system=None if plain else "auto", highlight=False, soft_wrap=False)

    def say_none(self) -> None:
        """Say on standard error that there is no ShopService."""
        where = (
            "" if self.everywhere else f" in namespace {self.namespace}{self.cluster.meant(self.namespace)}"
        )
        click.echo(f"There is no ShopService{where}{'' if where.endswith('?') else '.'}", err=True)

    def show(self, document: Any, text: Callable[[], None]) -> None:
        """Print the document as JSON or YAML, or as text."""
        if self.output == "json":
            click.echo(as_json(document))
        elif self.output == "yaml":
            click.echo(as_yaml(document), nl=False)
        else:
            text()

    def show_next(self, document: Any) -> None:
        """Print one of many documents that come one after the other: a line of JSON, or a YAML document."""
        if self.output == "json":
            click.echo(as_json(document, indent=None))
        else:
            click.echo(f"---\n{as_yaml(document)}", nl=False)

    def say(self, line: str, style: str | None = None) -> None:
        """Print a line of text: wrapped and colored on a terminal, as it is elsewhere."""
        line = printable(line)
        if self.is_terminal:
            self.console.print(Text(line, style=style or ""), overflow="fold")
        else:
            click.echo(line)


class DnsLabel(click.ParamType[str]):
    """The name of a namespace."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what cannot be one, before it gets into a URL."""
        if not is_name(value):
            self.fail(f"{shown(value)} is not a valid name: {RULE}; see `kubectl shop status`", param, ctx)
        return str(value)


class ShopName(DnsLabel):
    """The name of a ShopService, with its type before it or without."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take away the type, as kubectl prints it and takes it."""
        kind, slash, name = str(value).partition("/")
        if not slash or not name or "." in name or "/" in name or not is_name(kind.partition(".")[0].lower()):
            return super().convert(value, param, ctx)
        if kind.lower() not in _TYPES:
            self.fail(f"{value} is not a ShopService: use NAME or {SHORT_NAME}/NAME", param, ctx)
        return super().convert(name, param, ctx)


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Keep what was said; what stands behind the command's name counts more."""
    settings = ctx.ensure_object(Settings)
    if value is not None:
        setattr(settings, str(param.name), value)
    return value


FORMATS: Final = ("table", "json", "yaml")


def shared(formats: Sequence[str] = FORMATS) -> list[click.Option]:
    """The options, anew for each command.

    Args:
        formats: what -o takes.
    """

    def option(*names: str, **more: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_remember, default=None, **more)

    return [
        option("--kubeconfig", metavar="FILE", help="Kubeconfig file (default: KUBECONFIG, ~/.kube/config)."),
        option("--context", metavar="NAME", help="Context of the kubeconfig (default: the current one)."),
        option(
            "-n", "--namespace", "chosen", type=DnsLabel(), help="Namespace (default: that of the context)."
        ),
        option(
            "-A",
            "--all-namespaces",
            "everywhere",
            is_flag=True,
            help="All namespaces (status, explain, tree, graph).",
        ),
        option("-o", "--output", type=click.Choice(formats), help="Output format."),
        option("--color/--no-color", help="Colors on a terminal (also: NO_COLOR)."),
    ]


class Command(click.Command):
    """A command that takes the shared options too.

    Attributes:
        formats: what -o takes.
    """

    formats: ClassVar[Sequence[str]] = FORMATS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += shared(self.formats)


def names(ctx: click.Context, _: click.Parameter, begun: str) -> Iterable[str]:
    """The ShopServices whose names begin like this, with the type where one is begun; none where there is no cluster, or no one namespace, to ask for them."""
    settings = ctx.ensure_object(Settings)
    kind, slash, name = begun.rpartition("/")
    if slash and kind.lower() not in _TYPES:
        return []
    try:
        there = settings.cluster.shops(settings.namespace)
    except (CliError, click.UsageError):
        return []
    found = sorted(each["metadata"]["name"] for each in there)
    return [f"{kind}{slash}{each}" for each in found if each.startswith(name)]


a_name = click.argument("name", type=ShopName(), shell_complete=names)
