"""The connections to the API server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shop_operator.kubernetes import connection
from shop_operator.kubernetes.connection import Connection
from shop_operator.kubernetes.credentials import ConnectionInfo


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    """Answers with headers of the request."""

    async def echo(request: web.Request) -> web.Response:
        found = {
            "auth": request.headers.get("Authorization"),
            "encoding": request.headers["Accept-Encoding"],
            "target": request.raw_path,
            "host": request.headers["Host"],
            "body": await request.text(),
            "peer": request.transport.get_extra_info("peername")[1] if request.transport else None,
        }
        return web.json_response(found, headers={"Retry-After": "3"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    started = TestServer(app)
    async with started:
        yield started


async def sent(session: aiohttp.ClientSession, server: TestServer, header: str = "auth") -> str | None:
    async with session.get(server.make_url("/x")) as answer:
        body: dict[str, str | None] = await answer.json()
        return body[header]


async def exchanged(link: Connection, method: str = "GET", body: bytes = b"") -> dict[str, Any]:
    async with link.exchange(method, "/x%2Fy?a=b", {"Accept": "application/json"}, body) as answer:
        found: dict[str, Any] = orjson.loads(await answer.content.read())
        assert (answer.status, answer.retry_after) == (200, "3")
        return found


class Observer:
    """Records the result of each request."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, int]] = []
        self.lost: list[str] = []

    def request(self, method: str, code: int) -> None:
        self.answers.append((method, code))

    def answered(self, method: str, took: float) -> None:
        assert took >= 0
        assert method == self.answers[-1][0]

    def unanswered(self, method: str) -> None:
        self.lost.append(method)


async def test_given_a_request_without_an_answer_then_it_is_counted_as_lost_and_no_answer_is_dated() -> None:
    observer = Observer()
    link = Connection(ConnectionInfo(server="http://127.0.0.1:1"), observer)

    with pytest.raises(aiohttp.ClientError):
        await link.session.get("http://127.0.0.1:1/")

    with pytest.raises(aiohttp.ClientError):
        await exchanged(link, "PATCH")

    assert (observer.lost, observer.answers, link.answered) == (["GET", "PATCH"], [], 0)
    await link.close()


async def test_given_a_server_with_a_path_when_a_request_is_exchanged_then_it_arrives_as_it_is(
    server: TestServer,
) -> None:
    observer = Observer()
    base = server.make_url("/clusters/c1/")
    link = Connection(ConnectionInfo(server=str(base), token="secret"), observer)

    found = await exchanged(link, "PATCH", b'{"spec": {}}')

    assert found.pop("peer")
    assert found == {
        "auth": "Bearer secret",
        "encoding": "identity",
        "target": "/clusters/c1/x%2Fy?a=b",
        "host": f"{base.host}:{base.port}",
        "body": '{"spec": {}}',
    }
    assert (observer.answers, observer.lost) == ([("PATCH", 200)], [])
    await link.close()


async def test_given_a_proxy_when_a_request_is_exchanged_without_encryption_then_the_proxy_gets_the_whole_url(
    server: TestServer,
) -> None:
    link = Connection(
        ConnectionInfo(server="http://api.test:8080", proxy_url=str(server.make_url(""))), Observer()
    )
    found = await exchanged(link)
    assert (found["target"], found["host"]) == ("http://api.test:8080/x%2Fy?a=b", "api.test:8080")
    await link.close()


async def test_given_responses_that_are_read_then_their_requests_share_a_connection(
    server: TestServer,
) -> None:
    link = Connection(ConnectionInfo(server=str(server.make_url(""))), Observer())
    assert (await exchanged(link))["peer"] == (await exchanged(link))["peer"]
    await link.close()


async def test_given_a_request_that_is_cancelled_then_its_response_is_not_taken_for_that_of_the_next() -> (
    None
):
    arrived, over = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        arrived.set()
        await over.wait()
        return web.Response(text=request.method)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hang)
    async with TestServer(app) as server:
        link = Connection(ConnectionInfo(server=str(server.make_url(""))), Observer())
        waiting = asyncio.create_task(exchanged(link, "PATCH", b"{}"))
        await arrived.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        over.set()

        async with link.exchange("DELETE", "/", {}) as answer:
            assert await answer.content.read() == b"DELETE"
        await link.close()


async def test_given_a_response_that_is_not_http_then_the_request_has_no_response() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        observer = Observer()
        port = server.sockets[0].getsockname()[1]
        link = Connection(ConnectionInfo(server=f"http://127.0.0.1:{port}"), observer)
        with pytest.raises(aiohttp.ClientError):
            await exchanged(link)
        assert observer.lost == ["GET"]
        await link.close()


async def test_given_a_rotated_token_when_its_lifetime_ends_then_requests_carry_the_new_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: TestServer
) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    info = ConnectionInfo(server=str(server.make_url("")), token="old", token_file=token)
    link = Connection(info, Observer())
    assert await sent(link.session, server) == "Bearer old"

    token.write_text("new\n")
    monkeypatch.setattr(connection, "_TOKEN_LIFE", -1.0)

    assert await sent(link.session, server) == "Bearer new"
    await link.close()


async def test_given_a_user_with_a_password_then_requests_carry_both(server: TestServer) -> None:
    info = ConnectionInfo(server=str(server.make_url("")), username="ops", password="secret")
    link = Connection(info, Observer())
    assert await sent(link.session, server) == "Basic b3BzOnNlY3JldA=="
    await link.close()


async def test_given_a_request_then_it_asks_for_an_answer_without_compression(server: TestServer) -> None:
    link = Connection(ConnectionInfo(server=str(server.make_url(""))), Observer())
    assert await sent(link.session, server, "encoding") == "identity"
    await link.close()
