"""The HTTP sessions with the API server.

One connector (TLS, connection pool) carries all sessions: that of the client, and those that kopf closes and requests again
whenever it authenticates. A middleware adds the token to every request. It reads the token from its file again every minute,
because the kubelet rotates a projected ServiceAccount token long before its hour is over.
"""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, Protocol

import aiohttp

from shop_operator.kubernetes.credentials import ConnectionInfo

_TOKEN_LIFE: Final = 60.0
_CONNECT_TIMEOUT: Final = 5.0


class RequestObserver(Protocol):
    """Counts requests; observability.metrics.Metrics."""

    def request(self, method: str, code: int) -> None:
        """Count a response with this HTTP status."""

    def answered(self, method: str, took: float) -> None:
        """Record the seconds until a response began."""

    def unanswered(self, method: str) -> None:
        """Count a request without a response."""


class Connection:
    """One API server and the sessions that share its connections. Requires a running event loop.

    Raises:
        NoCluster: the certificates cannot be used; the message says how to check them.
    """

    def __init__(self, info: ConnectionInfo, observer: RequestObserver) -> None:
        self.server = info.server.rstrip("/")
        self.default_namespace = info.default_namespace
        self._info = info
        self._observer = observer
        self.answered = 0.0
        """The time of the last response of the API server, on the monotonic clock."""
        self._token = _Token(info.token, info.token_file) if info.token else None
        self._connector = aiohttp.TCPConnector(
            limit=0, ssl=info.tls(), keepalive_timeout=60, socket_factory=_probed
        )
        self.session = self.new_session()

    async def close(self) -> None:
        """Close the client's session and all connections."""
        await self.session.close()
        await self._connector.close()

    def new_session(self) -> aiohttp.ClientSession:
        """A session of its own over the shared connections."""
        # Compressed lists would cost more CPU on both sides than they save on a network of one cluster.
        headers = {"User-Agent": "shop-operator", "Accept": "application/json", "Accept-Encoding": "identity"}
        if self._info.username and self._token is None:
            headers["Authorization"] = aiohttp.encode_basic_auth(self._info.username, self._info.password)
        return aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=False,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
            middlewares=(self._authenticate, self._count),
            proxy=self._info.proxy_url,
        )

    async def _authenticate(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {await self._token.current()}"
        return await handler(request)

    async def _count(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        started = time.monotonic()
        try:
            response = await handler(request)
        except (aiohttp.ClientError, OSError):
            self._observer.unanswered(request.method)
            raise
        self.answered = time.monotonic()
        self._observer.request(request.method, response.status)
        self._observer.answered(request.method, self.answered - started)
        return response


async def lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """The lines of a stream, of any length; a rest after the last line feed is truncated, and comes last."""
    rest: list[bytes] = []
    async for chunk in content.iter_any():
        *complete, after = chunk.split(b"\n")
        for line in complete:
            whole = b"".join((*rest, line))
            rest.clear()
            yield whole
        if after:
            rest.append(after)
    if rest:
        yield b"".join(rest)


def _probed(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that detects a dead peer within half a minute, so that a quiet watch is not a broken one."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        for option, value in ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


class _Token:
    """The bearer token; read again from its file, if it has one."""

    def __init__(self, token: str, file: Path | None) -> None:
        self._token = token
        self._file = file
        self._read_at = time.monotonic()

    async def current(self) -> str:
        """The token for the next request."""
        if self._file is not None and time.monotonic() - self._read_at > _TOKEN_LIFE:
            self._read_at = time.monotonic()
            self._token = (await asyncio.to_thread(self._file.read_text, "utf-8")).strip()
        return self._token
