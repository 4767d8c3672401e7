"""kopf gets some responses from the operator, and all others as the operator reads them."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from yarl import URL

from shop_operator.cache.kopf_session import Answer, KopfSession, Stream
from shop_operator.kubernetes.client import METADATA_LIST
from shop_operator.kubernetes.connection import Connection
from shop_operator.kubernetes.credentials import ConnectionInfo
from shop_operator.observability.metrics import Metrics

DEPLOYMENTS = "/apis/apps/v1/deployments"


class AsItIs:
    """Answers the LISTs of one path, and changes no response."""

    def __init__(self, own: str = "") -> None:
        self.own = own
        self.read: list[tuple[str, Stream | None]] = []

    async def list(self, path: str) -> dict[str, Any] | None:
        return {"items": ["own"]} if path == self.own else None

    def requested(self, path: str, stream: Stream | None) -> None:
        self.read.append((path, stream))

    def body(self, path: str, raw: bytes) -> bytes:
        assert path
        return raw

    def line(self, path: str, raw: bytes) -> bytes:
        assert path
        return raw


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    """Answers with headers of the request."""

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({each: request.headers.get(each) for each in ("Authorization", "Accept")})

    app = web.Application()
    app.router.add_get("/{path:.*}", echo)
    started = TestServer(app)
    async with started:
        yield started


def connected(server: BaseTestServer) -> Connection:
    info = ConnectionInfo(server=str(server.make_url("")), token="t")
    return Connection(info, Metrics(lease="x"))


async def get(session: KopfSession, server: TestServer, path: str) -> Any:
    async with await session.request("get", str(server.make_url(path))) as response:
        return await response.json()


async def test_given_a_session_of_kopf_when_it_is_closed_then_other_sessions_stay_open_and_its_reads_are_recorded(
    server: TestServer,
) -> None:
    connection, exchange = connected(server), AsItIs()
    theirs = KopfSession(connection.new_session(), exchange)

    assert await get(theirs, server, f"{DEPLOYMENTS}?limit=500") == {
        "Authorization": "Bearer t",
        "Accept": METADATA_LIST,
    }
    await get(theirs, server, f"{DEPLOYMENTS}?watch=true")
    await theirs.close()
    assert theirs.closed
    async with connection.session.get(server.make_url("/apis/apps/v1/services")) as response:
        assert response.status == HTTPStatus.OK

    (list_path, listing), (watch_path, stream) = exchange.read
    assert list_path == watch_path == DEPLOYMENTS
    assert listing is None
    assert stream is not None
    assert stream.closed
    await connection.close()


async def test_given_an_exchange_with_its_own_list_then_kopf_lists_without_a_request_and_watches_with_one(
    server: TestServer,
) -> None:
    connection, exchange = connected(server), AsItIs(DEPLOYMENTS)
    theirs = KopfSession(connection.new_session(), exchange)

    response = await theirs.request("get", str(server.make_url(f"{DEPLOYMENTS}?limit=500")))
    assert isinstance(response, Answer)
    assert response.status == HTTPStatus.OK
    assert await response.json() == {"items": ["own"]}
    assert exchange.read == []

    assert await get(theirs, server, f"{DEPLOYMENTS}?watch=true") == {
        "Authorization": "Bearer t",
        "Accept": "application/json",
    }
    await theirs.close()
    await connection.close()


@pytest.mark.parametrize("moment", ["before the answer", "in the midst of the answer", "before asking again"])
async def test_given_a_request_of_kopf_in_progress_when_its_session_is_abandoned_then_the_request_is_canceled(
    moment: str,
) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def apis(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=503 if moment == "before asking again" else 200)
        if moment == "before the answer":
            reached.set()
            await never.wait()
        await answer.prepare(request)
        if moment == "in the midst of the answer":
            await never.wait()
        return answer

    async def discover(session: KopfSession, url: URL) -> None:
        """As kopf does it."""
        response = await session.request("get", str(url))
        reached.set()
        if response.status == HTTPStatus.OK:
            await response.json()
        await never.wait()

    app = web.Application()
    app.router.add_get("/apis", apis)
    async with TestServer(app) as api:
        connection = connected(api)
        theirs = KopfSession(connection.new_session(), AsItIs())
        asking = asyncio.create_task(discover(theirs, api.make_url("/apis")))
        await reached.wait()

        await theirs.abandon()

        assert asking.cancelled()
        never.set()
        await theirs.close()
        await connection.close()
