"""The HTTP endpoints of the operator, /healthz, /readyz and /metrics, and the checks behind the first two."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from shop_operator.cache.synced import InitialLists
from shop_operator.cache.watch_health import WatchHealth
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


class Health:
    """The checks behind /healthz and /readyz.

    Args:
        lists: the initial LISTs, all of which must have ended.
        watches: the watches, which must not be silent for long.
        answered: returns the time of the last response of the API server, on the clock of the watches.
        tasks: the tasks of the operator, which must not end.
    """

    def __init__(
        self,
        lists: InitialLists,
        watches: WatchHealth,
        answered: Callable[[], float],
        tasks: Sequence[asyncio.Task[Any]],
    ) -> None:
        self._lists = lists
        self._watches = watches
        self._answered = answered
        self._tasks = tasks

    def alive(self) -> str | None:
        """The reason to restart the process; None if it is healthy."""
        if any(task.done() for task in self._tasks):
            return "a task of the operator has ended"
        return self._watches.hopeless(self._answered())

    def ready(self) -> str | None:
        """The reason why the process is not ready; None if it is."""
        if not self._lists.complete():
            return "the caches are not synced yet"
        return self._watches.problem()


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
