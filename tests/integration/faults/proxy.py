"""An unreliable network: a reverse proxy between one operator and the real API server.

Requests are forwarded to the API server unless one of the effects below applies, by seeded chance.
"""

import asyncio
import json
import random
import re
import ssl
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, Self

import aiohttp
from aiohttp import web

from shopdev.cluster.controlplane import ControlPlane

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
READS: Final = frozenset({"GET"})
_LARGEST: Final = 16 * 1024**2
# Of one connection, not of what is carried through it; the body comes in another encoding and length.
_NOT_FORWARDED: Final = frozenset(
    {"connection", "host", "keep-alive", "transfer-encoding", "content-length", "user-agent"}
)
_GONE: Final = b'"code":410'
# What a path begins with before it says what it is of.
_API: Final = re.compile(r"^/(?:api|apis/[^/]+)/[^/]+/(?:namespaces/[^/]+/)?")

Forward = Callable[[], Awaitable[web.StreamResponse]]


class Effect(Protocol):
    """Replacement for the forwarding of a request."""

    async def __call__(self, request: web.Request, forward: Forward, /) -> web.StreamResponse:
        """Answer it, or end its connection."""


@dataclass(frozen=True)
class Refuse:
    """The API server is too busy (429) or has an error (500, 503)."""

    status: HTTPStatus
    retry_after: int | None = None

    async def __call__(self, _request: web.Request, _forward: Forward) -> web.StreamResponse:
        """Answer as the API server does."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return web.json_response(_failure(self.status), status=self.status.value, headers=headers)


@dataclass(frozen=True)
class Delay:
    """It takes its time, in seconds."""

    seconds: float

    async def __call__(self, _request: web.Request, forward: Forward) -> web.StreamResponse:
        """Wait first."""
        await asyncio.sleep(self.seconds)
        return await forward()


class Reset:
    """The connection ends before anything was forwarded."""

    async def __call__(self, request: web.Request, _forward: Forward) -> web.StreamResponse:
        """End it."""
        await _abort(request)


@dataclass(frozen=True)
class DelayAnswer:
    """The API server does it at once, and so many seconds go by before that is heard of; watches may tell first."""

    seconds: float

    async def __call__(self, _request: web.Request, forward: Forward) -> web.StreamResponse:
        """Forward and wait."""
        answer = await forward()
        await asyncio.sleep(self.seconds)
        return answer


class LoseAnswer:
    """The API server processes the request, and the answer is lost."""

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        """Forward and end the connection."""
        await forward()
        await _abort(request)


class Late:
    """The API server processes the request after a delay in seconds, even if the client has disconnected."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._under_way: set[asyncio.Task[web.StreamResponse]] = set()
        self.unheard = 0
        """Number of requests that were processed after the client disconnected."""

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        """Wait first, and forward also when the connection has ended by then."""
        task = asyncio.create_task(self._later(request, forward))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    def pending(self) -> int:
        """How much is still to be done."""
        return len(self._under_way)

    async def _later(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        await asyncio.sleep(self._seconds)
        answer = await forward()
        self.unheard += request.transport is None and answer.status < HTTPStatus.BAD_REQUEST
        return answer


@dataclass(frozen=True)
class Tell:
    """Something else happens at this very moment.

    Args:
        call: what.
        before: before it is forwarded; else after it was carried out, and before it is answered.
    """

    call: Callable[[], None]
    before: bool

    async def __call__(self, _request: web.Request, forward: Forward) -> web.StreamResponse:
        """Tell, and forward."""
        if self.before:
            self.call()
            return await forward()
        answer = await forward()
        self.call()
        return answer


@dataclass(frozen=True)
class Fault:
    """An effect on some requests.

    Args:
        effect: what happens.
        methods: to which.
        path: to those whose path ends like this.
        probability: how often, from 0 to 1.
        watches: to those that begin a watch, and to no others; otherwise to no watch.
    """

    effect: Effect
    methods: frozenset[str] = READS | WRITES
    path: str = ""
    probability: float = 1.0
    watches: bool = False

    def hits(self, request: web.Request, chance: random.Random) -> bool:
        """Whether it is this one's turn."""
        return (
            request.method in self.methods
            and ("watch" in request.query) is self.watches
            and request.path.endswith(self.path)
            and chance.random() < self.probability
        )


@dataclass(eq=False)
class _Stream:
    """One open watch.

    Attributes:
        of: what is watched, such as deployments.
        dropped: its next event is cut short.
        ended: nothing more of the API server's is carried.
        error: what is said in place of it.
        whole: what was carried so far ends with an event.
    """

    of: str
    dropped: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: bytes = b""
    whole: bool = True


class Proxy:
    """One way from one operator to the API server.

    Args:
        plane: the API server.
        kubeconfig: of an operator that would go there directly.
        folder: an existing one for a certificate and a kubeconfig.
        name: becomes part of the User-Agent, so that the audit log tells who it was.
        seed: of every chance.
    """

    def __init__(
        self, plane: ControlPlane, kubeconfig: Path, folder: Path, *, name: str = "proxy", seed: int = 0
    ) -> None:
        self._plane = plane
        self._name = name
        self._chance = random.Random(seed)  # noqa: S311  repeatable, not secret
        self._faults: tuple[Fault, ...] = ()
        self._streams: set[_Stream] = set()
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{name}", daemon=True)
        plane.authority.issue(f"proxy-{name}", "/CN=kube-apiserver", "IP:127.0.0.1")
        self.kubeconfig = folder / f"{name}.kubeconfig"
        self._direct = kubeconfig
        self.injected: Counter[tuple[str, str]] = Counter()
        """How often an effect has hit, by the request's method and what it was about: deployments, deployments/web."""
        self.cut_short: Counter[str] = Counter()
        """How many watches have ended in the middle of an event, by what they were of."""
        self.gone: Counter[str] = Counter()
        """Number of requests that the API server itself answered with 410 (resourceVersion is gone)."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *error: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def failing(self, *faults: Fault) -> Iterator[None]:
        """For some time these faults; the first that hits counts."""
        self._faults = faults
        try:
            yield
        finally:
            self._faults = ()

    def cut(self) -> None:
        """Drop all traffic in both directions from now on, without closing connections."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        """It comes through again; what was sent in the meantime too, if its sender still waits for an answer."""
        self._loop.call_soon_threadsafe(self._open.set)

    def drop_watches(self) -> None:
        """End every watch in the middle of its next event."""
        for stream in tuple(self._streams):
            stream.dropped = True

    def fail_watches(self, status: HTTPStatus) -> set[str]:
        """End every watch with an error, between two events; answers what was watched."""
        found: set[str] = self._run(self._fail_watches(status))
        return found

    def watched(self) -> set[str]:
        """Resources with an open watch that is not about to end."""
        return {each.of for each in tuple(self._streams) if not each.dropped and not each.ended.is_set()}

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _fail_watches(self, status: HTTPStatus) -> set[str]:
        streams = tuple(self._streams)
        for stream in streams:
            stream.error = json.dumps({"type": "ERROR", "object": _failure(status)}).encode() + b"\n"
            stream.ended.set()
        return {stream.of for stream in streams}

    async def _start(self) -> None:
        self._open.set()
        pki = self._plane.authority
        trusted = ssl.create_default_context(cafile=str(pki.certificate))
        self._upstream = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trusted),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        own.load_cert_chain(pki.folder / f"proxy-{self._name}.crt", pki.folder / f"proxy-{self._name}.key")
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=own)
        await site.start()
        _, port, *_ = self._runner.addresses[0]
        config = json.loads(self._direct.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
        self.kubeconfig.write_text(json.dumps(config))
        self.kubeconfig.chmod(0o600)

    async def _stop(self) -> None:
        self._open.set()
        await self._runner.cleanup()
        await self._upstream.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        await self._open.wait()
        for fault in self._faults:
            if fault.hits(request, self._chance):
                self.injected[request.method, _about(request)] += 1
                return await fault.effect(request, lambda: self._forward(request, body))
        return await self._forward(request, body)

    async def _forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        headers = _end_to_end(request.headers)
        headers["User-Agent"] = f"shop-operator/{self._name}"
        try:
            async with self._upstream.request(
                request.method, f"{self._plane.server}{request.path_qs}", headers=headers, data=body or None
            ) as answer:
                if "watch" in request.query and answer.status == HTTPStatus.OK:
                    return await self._stream(request, answer)
                if "watch" in request.query and answer.status == HTTPStatus.GONE:
                    self.gone[_about(request)] += 1
                content = await answer.read()
                await self._open.wait()
                return web.Response(status=answer.status, body=content, headers=_end_to_end(answer.headers))
        except aiohttp.ClientError:
            await self._open.wait()
            await _abort(request)

    async def _stream(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        carried = web.StreamResponse(status=answer.status, headers=_end_to_end(answer.headers))
        await carried.prepare(request)
        stream = _Stream(_about(request))
        self._streams.add(stream)
        ended = asyncio.ensure_future(stream.ended.wait())
        try:
            while chunk := await _chunk(answer, ended if stream.whole else None):
                await self._open.wait()
                self.gone.update([stream.of] * chunk.count(_GONE))
                if stream.dropped:
                    await self._cut_short(request, carried, stream, chunk[: len(chunk) // 2])
                await carried.write(chunk)
                stream.whole = chunk.endswith(b"\n")
            if stream.error:
                await carried.write(stream.error)
            await self._open.wait()
        finally:
            ended.cancel()
            self._streams.remove(stream)
        return carried

    async def _cut_short(
        self, request: web.Request, carried: web.StreamResponse, stream: _Stream, part: bytes
    ) -> NoReturn:
        await carried.write(part)
        if not (part.endswith(b"\n") if part else stream.whole):
            self.cut_short[stream.of] += 1
        await _abort(request)


async def _chunk(answer: aiohttp.ClientResponse, ended: asyncio.Future[Any] | None) -> bytes:
    """Next chunk of an answer; empty at its end, and when the stream must end here."""
    reading = asyncio.ensure_future(answer.content.readany())
    try:
        await asyncio.wait({reading, ended or reading}, return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else b""
    finally:
        reading.cancel()


def _about(request: web.Request) -> str:
    """Resource path of a request: deployments, deployments/web, deployments/web/status."""
    return _API.sub("", request.path)


def _failure(status: HTTPStatus) -> dict[str, Any]:
    """How the API server says that something went wrong."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": status.phrase,
        "message": f"injected: {status.phrase}",
        "code": status.value,
    }


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() not in _NOT_FORWARDED}


async def _abort(request: web.Request) -> NoReturn:
    """End the connection without a word, as a network does."""
    if request.transport is None:
        raise ConnectionResetError("The client has disconnected.")
    request.transport.abort()
    # The server cancels the handler of a request when its connection is lost.
    await asyncio.Event().wait()
    raise AssertionError("not cancelled")
