"""`kubectl shop new`: prints a ShopService."""

import click

from shop_operator.cli.diff.plan import rendered
from shop_operator.cli.machine import as_yaml
from shop_operator.cli.manifest import Wishes, shopservice
from shop_operator.cli.settings import Command, Settings, ShopName


@click.command(cls=Command)
@click.argument("name", type=ShopName())
@click.option("--image", required=True, help="Container image, with a tag or a digest.")
@click.option("--port", type=int, help="Port on which it serves HTTP. Defaults to 8080.")
@click.option("--replicas", type=int, help="Number of pods. Defaults to 1.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="Environment variable.")
@click.option("--depends-on", multiple=True, metavar="NAME", help="ShopService that it calls.")
@click.option(
    "--route",
    "routes",
    multiple=True,
    metavar="[HOST]/PATH",
    help="Requests that the Gateway forwards to it.",
)
@click.option("--gateway", metavar="[NAMESPACE/]NAME", help="Gateway of the routes.")
@click.option(
    "--worker",
    "workers",
    multiple=True,
    metavar="NAME=COMMAND",
    help="Additional Deployment of the image that runs this command.",
)
@click.pass_obj
def new(obj: Settings, /, name: str, **options: object) -> None:
    """Print a ShopService, without a cluster. Pipe it to `kubectl apply -f -`, or keep it in a file.

    Repeat --env, --depends-on, --route and --worker to set several values. Quote the command of a worker as in a shell:
    --worker 'relay=python -m relay'.
    """
    document = shopservice(name, obj.chosen, Wishes(**options))  # type: ignore[arg-type]  # click converts the types
    # Reject an invalid spec here, not only in the API server.
    rendered([{**document, "metadata": {"namespace": "default", **document["metadata"]}}])
    obj.show(document, lambda: click.echo(as_yaml(document), nl=False))
