"""`kubectl shop open`: a ShopService in the browser, at the host name of a route or through a forwarded port."""

import sys
import webbrowser
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import click

from shop_operator.cli.kubectl import forwarded
from shop_operator.cli.pods import port_of, running
from shop_operator.cli.settings import Command, Settings, a_name

Object = Mapping[str, Any]

_LOCAL: Final = "127.0.0.1"
_HIGHEST_PORT: Final = 65535
_SECURE: Final = ("HTTPS", "TLS")


@click.command("open", cls=Command)
@a_name
@click.option(
    "--port",
    "local",
    type=click.IntRange(0, _HIGHEST_PORT),
    metavar="PORT",
    help="Forward this local port even if a route has a host name; 0 for a free one.",
)
@click.pass_obj
def open_(obj: Settings, name: str, local: int | None) -> None:
    """Open a ShopService in the browser: at the host name of a route, or through a forwarded port, until Ctrl-C.

    Prints the URL as well. Opens no browser if standard output is not a terminal. Runs kubectl port-forward.
    """
    shop = obj.cluster.shop(obj.namespace, name)
    if local is None and (route := routed(shop)) is not None:
        _open(obj, f"{_scheme(obj, shop)}://{route}")
        return
    pod = running(obj, name, None)
    ports = f"{local or ''}:{port_of(shop, None)}"
    code = forwarded(obj, pod, ports, _LOCAL, lambda port: _open(obj, f"http://{_LOCAL}:{port}/"))
    if code:
        click.get_current_context().exit(code)


def _open(obj: Settings, url: str) -> None:
    obj.show({"url": url}, lambda: obj.say(url))
    sys.stdout.flush()
    if obj.is_terminal:
        webbrowser.open(url)


def routed(shop: Object) -> str | None:
    """Host name and path of the first route that a browser can open; None if no route qualifies."""
    spec = shop.get("spec") or {}
    if not spec.get("gateway"):
        return None
    found = (f"{host}{route['path']}" for route in spec.get("routes") or () for host in _hosts(route))
    return next(found, None)


def _hosts(route: Object) -> Iterator[str]:
    """The host names of a route that accepts a GET request without special headers or query parameters."""
    if "GET" not in (route.get("methods") or ("GET",)) or route.get("headers") or route.get("queryParams"):
        return
    yield from (each for each in route.get("hostnames") or () if not each.startswith("*"))


def _scheme(obj: Settings, shop: Object) -> str:
    """The scheme of the Gateway's listeners; http if the Gateway may not be read or does not exist."""
    gateway = shop["spec"]["gateway"]
    found = obj.cluster.gateway(gateway.get("namespace") or shop["metadata"]["namespace"], gateway["name"])
    return scheme((found or {}).get("spec", {}).get("listeners") or (), gateway.get("sectionName"))


def scheme(listeners: Iterable[Object], section: str | None) -> str:
    """The scheme of a Gateway: https if one of its listeners, or the listener of that name, terminates TLS."""
    chosen = (each for each in listeners if section in {None, each.get("name")})
    return "https" if any(each.get("protocol") in _SECURE for each in chosen) else "http"
