"""The address of the API server, the credentials, and the HTTP sessions that use them.

One connector (TLS, connection pool) carries all sessions: that of the client, and those that kopf closes and requests again
whenever it authenticates. A middleware adds the token to every request. It reads the token from its file again every minute,
because the kubelet rotates a projected ServiceAccount token long before its hour is over.

kopf only reads kubeconfigs and ServiceAccounts here: files, inline certificates, contexts, proxies.
"""

import asyncio
import dataclasses
import os
import socket
import ssl
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

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
    """Counts requests; observability.metrics.Metrics."""

    def request(self, method: str, code: int) -> None:
        """Count a response with this HTTP status."""

    def answered(self, method: str, took: float) -> None:
        """Record the seconds until a response began."""

    def unanswered(self, method: str) -> None:
        """Count a request without a response."""


class NoCluster(OperatorError):
    """No API server is configured, or its configuration is not usable."""


def locate() -> ConnectionInfo:
    """Find the API server and the credentials: KUBECONFIG, else the pod's ServiceAccount, else ~/.kube/config.

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


def _tls(info: ConnectionInfo) -> ssl.SSLContext:
    """The certificates that verify the API server, and the client certificate.

    Raises:
        NoCluster: a certificate or key cannot be read.
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
    """The address of the API server without DNS, which may depend on this cluster."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return default
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


class Connection:
    """One API server and the sessions that share its connections. Requires a running event loop.

    Raises:
        NoCluster: the certificates cannot be used; the message says how to check them.
    """

    def __init__(self, info: ConnectionInfo, observer: RequestObserver) -> None:
        self.server = info.server.rstrip("/")
        self.default_namespace = info.default_namespace or "default"
        self._info = info
        self._observer = observer
        self.answered = 0.0
        """The time of the last response of the API server, on the monotonic clock."""
        self._token = _RotatingToken(info.token) if info.token else None
        self._connector = aiohttp.TCPConnector(
            limit=0, ssl=_tls(info), keepalive_timeout=60, socket_factory=_probed
        )
        self.session = self.new_session()

    async def close(self) -> None:
        """Close the client's session and all connections."""
        await self.session.close()
        await self._connector.close()

    def new_session(self) -> aiohttp.ClientSession:
        """A session of its own over the shared connections."""
        headers = self._info.as_http_headers()
        headers.pop("Authorization", None) if self._token else None
        return aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=False,
            headers={**headers, "User-Agent": "shop-operator", "Accept": "application/json"},
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


class _RotatingToken:
    """The bearer token; read from the file of the pod if the first one is from there."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._rotates = _TOKEN_FILE.exists() and _TOKEN_FILE.read_text(encoding="utf-8").strip() == token
        self._read_at = time.monotonic()

    async def current(self) -> str:
        """The token for the next request."""
        if self._rotates and time.monotonic() - self._read_at > _TOKEN_LIFE:
            self._read_at = time.monotonic()
            self._token = (await asyncio.to_thread(_TOKEN_FILE.read_text, "utf-8")).strip()
        return self._token
