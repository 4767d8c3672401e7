"""What every command can be told, before its name as well as after it, and how it prints."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import click
import yaml
from rich.console import Console
from rich.text import Text

from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import CliError
from shop_operator.cli.naming import RULE, is_name, shown

WIDTH: Final = 100
FOLD: Final = 80
"""Where YAML is folded: behind the word that crosses this column, so that the line still fits."""


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
            raise click.UsageError("this is about one namespace: use -n instead of -A")
        return self.chosen or self.cluster.namespace

    @property
    def is_table(self) -> bool:
        """Whether a person reads it."""
        return self.output == "table"

    @cached_property
    def console(self) -> Console:
        """Where it is printed: at most a hundred columns, with colours on a terminal only."""
        plain = not self.color or bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
        width = WIDTH if not sys.stdout.isatty() else min(Console().width, WIDTH)
        return Console(width=width, color_system=None if plain else "auto", highlight=False, soft_wrap=False)

    def show(self, document: Any, text: Callable[[], None]) -> None:
        """Print the document as JSON or YAML, or as text."""
        if self.output == "json":
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        elif self.output == "yaml":
            click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=FOLD), nl=False)
        else:
            text()

    def show_next(self, document: Any) -> None:
        """Print one of many documents that come one after the other: a line of JSON, or a YAML document."""
        if self.output == "json":
            click.echo(json.dumps(document, ensure_ascii=False))
        else:
            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=FOLD)
            click.echo(f"---\n{text}", nl=False)

    def say(self, line: str, style: str | None = None) -> None:
        """Print a line of text."""
        self.console.print(Text(line, style=style or ""), overflow="fold")


class DnsLabel(click.ParamType[str]):
    """The name of a ShopService or of a namespace."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what cannot be one, before it gets into a URL."""
        if not is_name(value):
            self.fail(f"{shown(value)} is no name: {RULE}, as `kubectl shop status` shows it", param, ctx)
        return str(value)


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Keep what was said; what stands behind the command's name counts more."""
    settings = ctx.ensure_object(Settings)
    if value is not None:
        setattr(settings, str(param.name), value)
    return value


def shared() -> list[click.Option]:
    """The options, anew for each command."""

    def option(*names: str, **more: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_remember, default=None, **more)

    formats = click.Choice(["table", "json", "yaml"])
    return [
        option("--kubeconfig", metavar="FILE", help="The kubeconfig (default: KUBECONFIG, ~/.kube/config)."),
        option("--context", metavar="NAME", help="Its context (default: the current one)."),
        option(
            "-n", "--namespace", "chosen", type=DnsLabel(), help="The namespace (default: the context's)."
        ),
        option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Every namespace (status)."),
        option("-o", "--output", type=formats, help="How to print."),
        option("--color/--no-color", help="Colours on a terminal (also: NO_COLOR)."),
    ]


class Command(click.Command):
    """A command that takes the shared options too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += shared()


def names(ctx: click.Context, _: click.Parameter, begun: str) -> Iterable[str]:
    """The ShopServices whose names begin like this; none where there is no cluster, or no one namespace, to ask for them."""
    settings = ctx.ensure_object(Settings)
    try:
        there = settings.cluster.shops(settings.namespace)
    except (CliError, click.UsageError):
        return []
    return sorted(each["metadata"]["name"] for each in there if each["metadata"]["name"].startswith(begun))
