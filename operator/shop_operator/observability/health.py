"""The operator's own HTTP endpoints: is it alive, is it ready, and what are its numbers."""

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
"""None when all is well, else a sentence that says what is not."""


class PortUnavailable(OperatorError):
    """The metrics port cannot be listened on."""


def listen(port: int) -> socket.socket:
    """One socket for both families, so that a port chosen by the system (0) is the same for both.

    Raises:
        PortUnavailable: the port is taken, or this process may not listen on it.
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

    Answering at all shows that the event loop runs; the checks add what a loop cannot show.
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
    """The last of its connection: when kopf stops, it waits 5 s for every task that an open one would keep."""
    response.force_close()
    return response
