"""Where the API server is and how this process proves who it is; kopf and kube.py share what is made here.

One connector (TLS, connection pool) carries two sessions: one that kopf may close and ask for again whenever
it re-authenticates, and one that kube.py keeps for good. A middleware adds the token to every request, read
from its file again each minute, because the kubelet rotates a projected ServiceAccount token long before its
hour is over.
"""

import asyncio
import dataclasses
import os
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
import kopf
import yaml

from shop_operator.errors import OperatorError

_TOKEN_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_TOKEN_LIFE: Final = 60.0
_CONNECT_TIMEOUT: Final = 5.0


ConnectionInfo = kopf.ConnectionInfo
"""The API server and the credentials; kopf reads kubeconfigs and ServiceAccounts."""


class RequestObserver(Protocol):
    """Told of every request; observability.metrics.Metrics."""

    def request(self, method: str, code: int) -> None:
        """It was answered with this HTTP status."""

    def answered(self, method: str, took: float) -> None:
        """It was answered after so many seconds."""

    def unanswered(self, method: str) -> None:
        """It was not answered."""


class Stream(Protocol):
    """A watch that is under way."""

    @property
    def closed(self) -> bool:
        """Whether it has ended."""

    def close(self) -> None:
        """End it; who reads it begins another one."""


class Reading(Protocol):
    """What becomes of the answers that kopf reads."""

    def page(self, path: str, raw: bytes) -> bytes:
        """The body of a LIST."""

    def line(self, path: str, raw: bytes) -> bytes:
        """One line of a watch, without its line feed."""


ReadObserver = Callable[[str, Stream | None], None]
"""Told the path of every successful GET of kopf's, and the stream if it is a watch."""


class NoCluster(OperatorError):
    """No way to an API server is configured, or not one that works."""


def locate() -> kopf.ConnectionInfo:
    """The API server and credentials: KUBECONFIG, else the pod's ServiceAccount, else ~/.kube/config.

    Raises:
        NoCluster: nothing is configured, or it cannot be read; the message says what to set.
    """
    settings = kopf.OperatorSettings()
    try:
        in_cluster = kopf.login_with_service_account(settings=settings)
        if in_cluster is not None and not os.environ.get("KUBECONFIG"):
            return dataclasses.replace(in_cluster, server=_in_cluster_server(in_cluster.server))
        info = kopf.login_with_kubeconfig(settings=settings)
    except (OSError, KeyError, ValueError, AttributeError, yaml.YAMLError, kopf.LoginError) as error:
        raise NoCluster(
            f"The kubeconfig cannot be used ({type(error).__name__}: {_one_line(error)}); check it with `kubectl version`."
        ) from error
    if info is None:
        raise NoCluster("No cluster is configured. Set KUBECONFIG, or run in a pod with a ServiceAccount.")
    if urlsplit(info.server or "").scheme not in {"http", "https"}:
        raise NoCluster(f"The kubeconfig has no usable server ({info.server!r}). Check its current context.")
    if not (info.token or info.username or info.certificate_path or info.certificate_data):
        raise NoCluster(
            "The kubeconfig's user has no token, password or client certificate; exec plugins are not run: "
            "create a token with `kubectl create token` and put it into a kubeconfig of its own."
        )
    return info


def _tls(info: kopf.ConnectionInfo) -> ssl.SSLContext:
    """What is needed to trust the API server and to prove who we are.

    Raises:
        NoCluster: a certificate or key cannot be read, or is none.
    """
    try:
        return info.as_ssl_context()
    except (OSError, ValueError) as error:
        raise NoCluster(
            f"The kubeconfig's certificates cannot be used ({type(error).__name__}: {_one_line(error)}); "
            "check it with `kubectl version`."
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _in_cluster_server(default: str) -> str:
    """The API server's address without asking DNS, which may need this very cluster to be healthy."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return default
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


class Connection:
    """One API server; makes sessions that share its connections. Needs a running event loop.

    Raises:
        NoCluster: the certificates cannot be used; the message says how to check them.
    """

    def __init__(self, info: kopf.ConnectionInfo, observer: RequestObserver) -> None:
        self.server = info.server.rstrip("/")
        self.default_namespace = info.default_namespace or "default"
        self._info = info
        self._observer = observer
        self.answered = 0.0
        """When the API server last answered anything, on the monotonic clock."""
        self._token = _RotatingToken(info.token) if info.token else None
        self._connector = aiohttp.TCPConnector(
            limit=0, ssl=_tls(info), keepalive_timeout=60, socket_factory=_probed
        )
        self._asking: WeakSet[asyncio.Task[Any]] = WeakSet()  # kopf's tasks that have asked for something
        self.session = self._make_session()

    def login(self, read: ReadObserver, reading: Reading) -> kopf.AiohttpSession:
        """What kopf's login handler returns: a session of its own over the shared connections.

        Args:
            read: told of every successful GET.
            reading: what kopf gets to read of the answer.
        """

        async def notice(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            self._asking.add(_this_task())
            response = await handler(request)
            if request.method == "GET" and response.status == HTTPStatus.OK:
                path, watches = request.url.path, "watch" in request.url.query
                read(path, response if watches else None)
                response.content = cast("aiohttp.StreamReader", _Read(response.content, path, reading))
            return response

        return kopf.AiohttpSession(
            server=self.server,
            aiohttp_session=self._make_session(notice),
            default_namespace=self.default_namespace,
        )

    async def abandon(self) -> None:
        """Cancel what kopf still asks for, before it closes its session.

        It awaits the tasks that it asks with while it discovers kinds, but does not cancel them when it stops: over a
        closed session, each of them would fail with an exception that asyncio reports as never retrieved. That goes for
        all of such a task: it may wait for an answer, read one, or wait before it asks again. Kopf has ended its other
        tasks by then.
        """
        while asking := [task for task in self._asking if not task.done()]:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def close(self) -> None:
        """Close kube.py's session and every connection."""
        await self.session.close()
        await self._connector.close()

    def _make_session(self, *more: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
        headers = self._info.as_http_headers()
        headers.pop("Authorization", None) if self._token else None
        return aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=False,
            headers={**headers, "User-Agent": "shop-operator", "Accept": "application/json"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
            middlewares=(self._authenticate, self._count, *more),
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


class _Read:
    """The content of an answer as kopf reads it: whole, or in lines."""

    def __init__(self, content: aiohttp.StreamReader, path: str, reading: Reading) -> None:
        self._content = content
        self._path = path
        self._reading = reading

    async def read(self) -> bytes:
        """All of it."""
        return self._reading.page(self._path, await self._content.read())

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        """One line at a time."""
        async for line in lines(self._content):
            yield self._reading.line(self._path, line) + b"\n"

    def __getattr__(self, name: str) -> Any:
        """Whatever aiohttp itself asks of it."""
        return getattr(self._content, name)


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("A request is sent by a task.")
    return task


async def lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """The lines of a stream, however long; what comes after the last line feed was cut short."""
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
    """A socket that notices a dead peer within half a minute: a watch may be quiet for long, and must not be deaf."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        for option, value in ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


class _RotatingToken:
    """The bearer token; from the pod's file when the first one came from there."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._rotates = _TOKEN_FILE.exists() and _TOKEN_FILE.read_text(encoding="utf-8").strip() == token
        self._read_at = time.monotonic()

    async def current(self) -> str:
        """The token to send now."""
        if self._rotates and time.monotonic() - self._read_at > _TOKEN_LIFE:
            self._read_at = time.monotonic()
            self._token = (await asyncio.to_thread(_TOKEN_FILE.read_text, "utf-8")).strip()
        return self._token
