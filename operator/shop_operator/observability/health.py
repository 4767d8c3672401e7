"""The HTTP endpoints of the operator: /healthz, /readyz and /metrics."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from shop_operator.errors import OperatorError
from shop_operator.observability.metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Check = Callable[[], str | None]
"""Returns None if the check passes, otherwise a sentence with the reason."""


class PortUnavailable(OperatorError):
    """The operator cannot listen on the metrics port."""


def listen(port: int) -> socket.socket:
    """Open one socket for IPv4 and IPv6, so that both have the same port if the system chooses it (0).

    Raises:
        PortUnavailable: the port is in use, or this process is not allowed to listen on it.
    """
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    except OSError as error:
        raise PortUnavailable(
            f"cannot listen on port {port} ({error.strerror}); use --metrics-port."
        ) from error


@asynccontextmanager
async def serve(
    listener: socket.socket, metrics: Metrics, *, alive: Check, ready: Check
) -> "AsyncIterator[None]":
    """Serve /healthz, /readyz and /metrics while the context is open, and close the listener at its end.

    A response shows that the event loop runs; the checks cover everything else.
    """

    async def healthz(_: web.Request) -> web.Response:
        return _answer(alive())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(ready())

    async def exposition(_: web.Request) -> web.Response:
        return _last(web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE}))

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", exposition)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await asyncio.shield(runner.cleanup())


def _answer(problem: str | None) -> web.Response:
    if problem is None:
        return _last(web.Response(text="ok\n"))
    return _last(web.Response(text=f"{problem}\n", status=503))


def _last(response: web.Response) -> web.Response:
    """Close the connection after the response: an open one would keep a task, for which kopf waits 5 s when it stops."""
    response.force_close()
    return response
