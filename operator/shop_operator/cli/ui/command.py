"""`kubectl shop ui`: serves the pages until Ctrl-C."""

import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import click

from shop_operator.cli.errors import NotReachable
from shop_operator.cli.settings import Command, Settings

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.serving import BaseWSGIServer

_LOCAL: Final = "127.0.0.1"
_HIGHEST_PORT: Final = 65535
_SHOP_URL: Final = "SHOP_URL"


@click.command("ui", cls=Command)
@click.option(
    "--port",
    type=click.IntRange(0, _HIGHEST_PORT),
    default=0,
    metavar="PORT",
    help="Local port of the page. Defaults to a free one.",
)
@click.option(
    "--shop-url",
    envvar=_SHOP_URL,
    show_envvar=True,
    metavar="URL",
    help="URL of the shop's API, for the pages of orders and stock.",
)
@click.option(
    "--token-command",
    metavar="COMMAND",
    default="",
    help="Command that prints an access token with the scope ops:read, for the pages of orders. Defaults to the token in"
    " SHOP_TOKEN.",
)
@click.option(
    "--jaeger",
    "jaeger_url",
    metavar="URL",
    help="URL of the query API of Jaeger, for the traces of orders. Defaults to the Service jaeger in the namespace"
    " observability of the cluster.",
)
@click.pass_obj
def ui(obj: Settings, port: int, shop_url: str | None, token_command: str, jaeger_url: str | None) -> None:
    """Show ShopServices and orders as a web page on this machine, until Ctrl-C.

    The page listens on 127.0.0.1, and uses your permissions. It changes nothing: it shows the commands that do. The printed URL
    works once, in one browser.
    """
    if find_spec("flask") is None:
        raise NotReachable(
            "this command requires Flask; install the plugin with `pipx install './operator[cli,ui]'`, or use the single file of"
            " `make plugin`, which contains it"
        )
    # Only this command needs Flask, which takes longer to load than the rest of the plugin.
    from shop_operator.cli.ui import access, app, console, fleet, jaeger, requests, shop  # noqa: PLC0415

    token = shop.Token(token_command)
    api = None if shop_url is None else requests.checked(shop_url, secret=token.is_given)
    traces = (
        jaeger.in_cluster(obj.cluster)
        if jaeger_url is None
        else requests.Api(requests.checked(jaeger_url, secret=False), "Jaeger").get
    )
    shops = fleet.Fleet(obj.cluster, None if obj.everywhere else obj.namespace)
    shown = console.Console(
        obj.cluster, shops, None if api is None else shop.Shop(api, token), jaeger.Jaeger(traces)
    )
    with _listening(port) as (listener, chosen):
        entry = access.Access(chosen)
        server = _server(listener, app.create(shown, entry))
        obj.show({"url": entry.link}, lambda: obj.say(f"{entry.link}\nPress Ctrl-C to stop."))
        sys.stdout.flush()
        shops.start()
        # Also if a shell has started the command in the background, where SIGINT is ignored.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
        shops.stop()


@contextlib.contextmanager
def _listening(port: int) -> Iterator[tuple[socket.socket, int]]:
    """A socket of this machine only, and its port.

    Raises:
        NotReachable: the port is not available.
    """
    try:
        listener = socket.create_server((_LOCAL, port))
    except OSError as error:
        raise NotReachable(
            f"port {port} of this machine is not available ({error.strerror}); set another one with --port"
        ) from error
    with listener:
        yield listener, int(listener.getsockname()[1])


def _server(listener: socket.socket, application: "Flask") -> "BaseWSGIServer":
    """The server, which answers each request in a thread and logs none, because a URL contains the token."""
    from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: PLC0415

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  the name in Werkzeug
            """Log nothing."""

    host, port = listener.getsockname()
    return make_server(host, port, application, threaded=True, request_handler=Quiet, fd=listener.fileno())
