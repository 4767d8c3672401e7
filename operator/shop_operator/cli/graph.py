"""`kubectl shop graph`: draws the ShopServices of a namespace or of all namespaces."""

from typing import Final

import click

from shop_operator.cli import drawing, notations, topology
from shop_operator.cli.settings import Command, Settings
from shop_operator.wording import printable

_DRAWN: Final = {
    "text": notations.text_lines,
    "dot": notations.dot_lines,
    "mermaid": notations.mermaid_lines,
    "svg": drawing.picture_lines,
}


class _Drawing(Command):
    formats = (*_DRAWN, "json", "yaml")


@click.command(cls=_Drawing)
@click.pass_obj
def graph(obj: Settings) -> None:
    """Draw how ShopServices depend on each other, with their routes, workers, queues and network policies.

    Prints text; with -o dot input for Graphviz, with -o mermaid a diagram for a Markdown page; with
    -o svg a picture for light and dark pages.
    """
    found = topology.graph(obj.cluster.shops(None if obj.everywhere else obj.namespace))

    def text() -> None:
        if not found.nodes:
            obj.say_none()
        for line in _DRAWN.get(obj.output, notations.text_lines)(found):
            # Not wrapped: a line break would be a syntax error in these languages.
            click.echo(printable(line))

    obj.show(found.to_dict(), text)
