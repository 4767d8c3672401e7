"""The HTTP session that kopf uses: it answers some requests itself, and lets all others be read object by object."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Protocol, Self, cast
from weakref import WeakSet

import aiohttp
from yarl import URL

from shop_operator.kubernetes.client import METADATA_LIST
from shop_operator.kubernetes.connection import lines


class Stream(Protocol):
    """A watch in progress."""

    @property
    def closed(self) -> bool:
        """Whether it has ended."""

    def close(self) -> None:
        """End it; its reader starts another one."""


class Exchange(Protocol):
    """Takes part in the requests of kopf; kopf_watch.KopfWatch."""

    async def list(self, path: str) -> dict[str, Any] | None:
        """The response to a LIST, None to send the request to the API server."""

    def requested(self, path: str, stream: Stream | None) -> None:
        """Notice a successful GET of kopf, and its stream if it is a watch."""

    def body(self, path: str, raw: bytes) -> bytes:
        """The body of a response as kopf reads it."""

    def line(self, path: str, raw: bytes) -> bytes:
        """One line of a watch as kopf reads it, without its line feed."""


class KopfSession:
    """An aiohttp.ClientSession, as far as kopf uses one.

    Args:
        session: sends the requests; closed with this one.
        exchange: takes part in them.
    """

    def __init__(self, session: aiohttp.ClientSession, exchange: Exchange) -> None:
        self._session = session
        self._exchange = exchange
        self._asking: WeakSet[asyncio.Task[Any]] = WeakSet()  # tasks of kopf that have sent a request

    @property
    def headers(self) -> Any:
        """The headers of every request."""
        return self._session.headers

    @property
    def closed(self) -> bool:
        """Whether kopf has closed the session."""
        return self._session.closed

    async def close(self) -> None:
        """Close the session; its connections stay open for other sessions."""
        await self._session.close()

    async def request(self, method: str, url: str, **options: Any) -> "aiohttp.ClientResponse | Answer":
        """Send a request, or answer it."""
        self._asking.add(_this_task())
        target = URL(url)
        reads, watches = method.upper() == "GET", "watch" in target.query
        if reads and not watches:
            answer = await self._exchange.list(target.path)
            if answer is not None:
                return Answer(answer)
            if "limit" in target.query:
                # kopf uses only metadata of CustomResourceDefinitions and namespaces. All schemas of a cluster may need 100 MB.
                options["headers"] = {**(options.get("headers") or {}), "Accept": METADATA_LIST}
        response = await self._session.request(method, url, **options)
        if reads and response.status == HTTPStatus.OK:
            self._exchange.requested(target.path, response if watches else None)
            content = _Content(response.content, target.path, self._exchange)
            response.content = cast("aiohttp.StreamReader", content)
        return response

    async def abandon(self) -> None:
        """Cancel the tasks of kopf that still wait for something, before kopf closes its session.

        When kopf stops, it awaits the tasks that discover kinds, but does not cancel them. Over a closed session, each of
        them would fail with an exception that asyncio reports as never retrieved. This includes tasks that wait for a
        response, read one, or wait before the next attempt. kopf has ended its other tasks by then.
        """
        while asking := [task for task in self._asking if not task.done()]:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)


class Answer:
    """A successful response that the API server has not sent, as far as kopf uses one."""

    status = HTTPStatus.OK.value

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def json(self) -> dict[str, Any]:
        """The body."""
        return self._body


class _Content:
    """The content of a response as kopf reads it: as a whole, or in lines."""

    def __init__(self, content: aiohttp.StreamReader, path: str, exchange: Exchange) -> None:
        self._content = content
        self._path = path
        self._exchange = exchange

    async def read(self) -> bytes:
        """All of it."""
        return self._exchange.body(self._path, await self._content.read())

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        """One line at a time."""
        async for line in lines(self._content):
            yield self._exchange.line(self._path, line) + b"\n"

    def __getattr__(self, name: str) -> Any:
        """Everything that aiohttp itself uses."""
        return getattr(self._content, name)


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("A request is sent by a task.")
    return task
