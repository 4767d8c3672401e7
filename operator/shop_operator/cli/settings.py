"""The options of every command, before or after its name, and the output."""

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
"""The types in TYPE/NAME, in lower case."""


@dataclass
class Settings:
    """The options that all commands share.

    Attributes:
        kubeconfig: path of the kubeconfig; None for that of KUBECONFIG or ~/.kube/config.
        context: context of the kubeconfig; None for the current one.
        chosen: the requested namespace; None for that of the context.
        everywhere: whether all namespaces are requested.
        output: table, json, yaml or another format of the command.
        color: whether colors are allowed.
    """

    kubeconfig: str | None = None
    context: str | None = None
    chosen: str | None = None
    everywhere: bool = False
    output: str = "table"
    color: bool = True

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster, which is only connected on first use, because `render` needs none."""
        return Cluster(self.kubeconfig, self.context)

    @property
    def namespace(self) -> str:
        """The namespace of a command that supports only one."""
        if self.everywhere:
            raise click.UsageError("this command needs one namespace: use -n instead of -A")
        return self.chosen or self.cluster.namespace

    @property
    def is_table(self) -> bool:
        """Whether the output is text instead of JSON or YAML."""
        return self.output == "table"

    @property
    def is_terminal(self) -> bool:
        """Whether standard output is a terminal. Only then are lines wrapped and cells truncated."""
        return sys.stdout.isatty()

    @cached_property
    def console(self) -> Console:
        """The terminal, with at most 100 columns, and with colors unless they are disabled."""
        plain = not self.color or bool(os.environ.get("NO_COLOR"))
        width = min(Console().width, WIDTH)
        return Console(width=width, color_system=None if plain else "auto", highlight=False, soft_wrap=False)

    def say_none(self) -> None:
        """Report on standard error that no ShopServices were found."""
        where = (
            "" if self.everywhere else f" in namespace {self.namespace}{self.cluster.meant(self.namespace)}"
        )
        click.echo(f"No ShopServices found{where}{'' if where.endswith('?') else '.'}", err=True)

    def show(self, document: Any, text: Callable[[], None]) -> None:
        """Print the document as JSON or YAML, or as text."""
        if self.output == "json":
            click.echo(as_json(document))
        elif self.output == "yaml":
            click.echo(as_yaml(document), nl=False)
        else:
            text()

    def show_next(self, document: Any) -> None:
        """Print one document of a stream: a line of JSON, or a YAML document."""
        if self.output == "json":
            click.echo(as_json(document, indent=None))
        else:
            click.echo(f"---\n{as_yaml(document)}", nl=False)

    def say(self, line: str, style: str | None = None) -> None:
        """Print a line of text. On a terminal, it is wrapped and colored."""
        line = printable(line)
        if self.is_terminal:
            self.console.print(Text(line, style=style or ""), overflow="fold")
        else:
            click.echo(line)


class DnsLabel(click.ParamType[str]):
    """The name of a namespace."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Reject an invalid name before it becomes part of a URL."""
        if not is_name(value):
            self.fail(f"{shown(value)} is not a valid name: {RULE}; see `kubectl shop status`", param, ctx)
        return str(value)


class ShopName(DnsLabel):
    """The name of a ShopService, with or without its type."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Remove the type, in the forms that kubectl prints and accepts."""
        kind, slash, name = str(value).partition("/")
        if not slash or not name or "." in name or "/" in name or not is_name(kind.partition(".")[0].lower()):
            return super().convert(value, param, ctx)
        if kind.lower() not in _TYPES:
            self.fail(f"{value} is not a ShopService: use NAME or {SHORT_NAME}/NAME", param, ctx)
        return super().convert(name, param, ctx)


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Store the value of an option. An option after the name of the command takes precedence."""
    settings = ctx.ensure_object(Settings)
    if value is not None:
        setattr(settings, str(param.name), value)
    return value


FORMATS: Final = ("table", "json", "yaml")


def shared(formats: Sequence[str] = FORMATS) -> list[click.Option]:
    """New instances of the shared options.

    Args:
        formats: values of -o.
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
            help="All namespaces (status, explain, tree, graph, top).",
        ),
        option("-o", "--output", type=click.Choice(formats), help="Output format."),
        option("--color/--no-color", help="Colors on a terminal (also: NO_COLOR)."),
    ]


class Command(click.Command):
    """A command with the shared options.

    Attributes:
        formats: values of -o.
    """

    formats: ClassVar[Sequence[str]] = FORMATS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += shared(self.formats)


def names(ctx: click.Context, _: click.Parameter, begun: str) -> Iterable[str]:
    """Completions of a name, with its type if one is typed; empty without a reachable cluster or a single namespace."""
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
