"""The sessions with the API server."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
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
        found = {"auth": request.headers.get("Authorization"), "encoding": request.headers["Accept-Encoding"]}
        return web.json_response(found)

    app = web.Application()
    app.router.add_get("/{path:.*}", echo)
    started = TestServer(app)
    async with started:
        yield started


async def sent(session: aiohttp.ClientSession, server: TestServer, header: str = "auth") -> str | None:
    async with session.get(server.make_url("/x")) as answer:
        body: dict[str, str | None] = await answer.json()
        return body[header]


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

    assert (observer.lost, observer.answers, link.answered) == (["GET"], [], 0)
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
