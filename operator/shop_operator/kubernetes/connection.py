"""The HTTP connections to the API server.

One connector (TLS, connection pool) carries the single requests of the client, its watches, and the sessions that kopf closes and
requests again whenever it authenticates. Every request has the token, which is read from its file again every minute, because the
kubelet rotates a projected ServiceAccount token long before its hour is over.

`Connection.exchange` sends a single request over the connector, without aiohttp.ClientSession: the URL, headers, cookies,
middlewares, task and response object of a session need more CPU than all other steps of a write.
"""

import asyncio
import socket
import time
from asyncio import sslproto
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from shop_operator.kubernetes.credentials import ConnectionInfo

_TOKEN_LIFE: Final = 60.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5.0)

# The size of the buffers of each connection. With asyncio's default of 256 KiB, those of the watches alone need 6 MB.
sslproto.SSLProtocol.max_size = 32 * 1024


class RequestObserver(Protocol):
    """Counts requests; observability.metrics.Metrics."""

    def request(self, method: str, code: int) -> None:
        """Count a response with this HTTP status."""

    def answered(self, method: str, took: float) -> None:
        """Record the seconds until a response began."""

    def unanswered(self, method: str) -> None:
        """Count a request without a response."""


class Answer(NamedTuple):
    """The response to a single request.

    Attributes:
        status: the HTTP status.
        retry_after: the header Retry-After.
        content: the body.
    """

    status: int
    retry_after: str | None
    content: aiohttp.StreamReader


class Connection:
    """One API server and its connections. Requires a running event loop.

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
        url, proxy = URL(self.server), URL(info.proxy_url) if info.proxy_url else None
        # Names the API server to the connector, and has the headers of every request.
        self._prototype = aiohttp.ClientRequest("GET", url, headers=self.session.headers, proxy=proxy)
        # A proxy is sent the whole URL, unless the request is encrypted.
        self._base = self.server if proxy and not self._prototype.is_ssl() else url.raw_path.rstrip("/")

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
            timeout=_TIMEOUT,
            middlewares=(self._authenticate, self._count),
            proxy=self._info.proxy_url,
        )

    @asynccontextmanager
    async def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[Answer]:
        """Send a request and receive the response.

        Args:
            method: the HTTP method.
            target: the path and the query, encoded.
            headers: the headers that not every request has.
            body: the body.

        Raises:
            aiohttp.ClientError, OSError: no response came.
        """
        started = time.monotonic()
        head = {**self._prototype.headers, **headers}
        if self._token is not None:
            head["Authorization"] = f"Bearer {await self._token.current()}"
        if body:
            head["Content-Length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        sent = f"{method} {self._base}{target} HTTP/1.1\r\n{lines}\r\n".encode() + body
        try:
            used = await self._connector.connect(self._prototype, [], _TIMEOUT)
            try:
                answer = await _answered(used, sent)
            except BaseException:
                used.close()
                raise
        except (aiohttp.ClientError, OSError):
            self._observer.unanswered(method)
            raise
        self._observe(method, answer.status, started)
        try:
            yield answer
        finally:
            if answer.content.is_eof():
                used.release()
            else:
                used.close()

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
        self._observe(request.method, response.status, started)
        return response

    def _observe(self, method: str, status: int, started: float) -> None:
        self.answered = time.monotonic()
        self._observer.request(method, status)
        self._observer.answered(method, self.answered - started)


async def _answered(used: aiohttp.connector.Connection, request: bytes) -> Answer:
    """Send a request over a connection and receive the status and the headers of the response.

    Raises:
        aiohttp.ClientError: the connection was lost, or the response is not HTTP.
    """
    protocol = used.protocol
    if protocol is None or used.transport is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(auto_decompress=False)
    used.transport.write(request)
    while True:
        try:
            message, content = await protocol.read()
        except HttpProcessingError as error:
            raise aiohttp.ClientPayloadError(str(error)) from error
        if message.code >= HTTPStatus.OK:
            return Answer(message.code, message.headers.get("Retry-After"), content)


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
