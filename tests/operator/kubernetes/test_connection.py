"""The API server and the credentials, from each source."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import kopf
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from shop_operator.kubernetes import connection
from shop_operator.kubernetes.connection import Connection, NoCluster, locate


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster unless the test makes one."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def kubeconfig(monkeypatch: pytest.MonkeyPatch, path: Path, user: dict[str, str], server: str) -> None:
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "ops"}}],
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(path))


def test_given_a_kubeconfig_then_server_token_and_namespace_are_read_from_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kubeconfig(monkeypatch, tmp_path / "config", {"token": "t"}, "https://api.test:6443")

    info = locate()

    assert (info.server, info.token, info.default_namespace) == ("https://api.test:6443", "t", "ops")


def test_given_no_kubeconfig_then_the_error_says_to_set_it() -> None:
    with pytest.raises(NoCluster, match="Set KUBECONFIG"):
        locate()


@pytest.mark.parametrize(
    ("user", "server", "words"),
    [
        ({}, "https://api.test", "exec plugins are not run"),
        ({"token": "t"}, "api.test", "has no usable server"),
    ],
)
def test_given_a_kubeconfig_without_usable_credentials_or_server_then_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: dict[str, str], server: str, words: str
) -> None:
    kubeconfig(monkeypatch, tmp_path / "config", user, server)

    with pytest.raises(NoCluster, match=words):
        locate()


@pytest.mark.parametrize("text", ["{", "[]", "current-context: gone"])
def test_given_a_broken_kubeconfig_then_the_message_says_how_to_check_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))

    said = r"^The kubeconfig cannot be used \(\w+: .+\); check it with `kubectl version`\.$"
    with pytest.raises(NoCluster, match=said):
        locate()


@pytest.mark.parametrize(
    ("host", "server"), [("10.96.0.1", "https://10.96.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")]
)
def test_given_a_pod_then_the_api_server_is_addressed_by_its_ip(
    monkeypatch: pytest.MonkeyPatch, host: str, server: str
) -> None:
    in_pod = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="t")
    monkeypatch.setattr(kopf, "login_with_service_account", lambda **_: in_pod)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")

    assert locate().server == server


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    """Answers with the Authorization header of the request."""

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"auth": request.headers.get("Authorization")})

    app = web.Application()
    app.router.add_get("/{path:.*}", echo)
    started = TestServer(app)
    async with started:
        yield started


async def sent(session: aiohttp.ClientSession, server: TestServer, path: str = "/x") -> str | None:
    async with session.get(server.make_url(path)) as answer:
        body: dict[str, str | None] = await answer.json()
        return body["auth"]


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
    link = Connection(kopf.ConnectionInfo(server="http://127.0.0.1:1"), observer)

    with pytest.raises(aiohttp.ClientError):
        await link.session.get("http://127.0.0.1:1/")

    assert (observer.lost, observer.answers, link.answered) == (["GET"], [], 0)
    await link.close()


async def test_given_a_rotated_token_when_its_lifetime_ends_then_requests_carry_the_new_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: TestServer
) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    monkeypatch.setattr(connection, "_TOKEN_FILE", token)
    info = kopf.ConnectionInfo(server=str(server.make_url("")), token="old")
    link = Connection(info, Observer())
    assert await sent(link.session, server) == "Bearer old"

    token.write_text("new\n")
    monkeypatch.setattr(connection, "_TOKEN_LIFE", -1.0)

    assert await sent(link.session, server) == "Bearer new"
    await link.close()


@pytest.mark.parametrize(
    "certificate", [{"ca_path": "/nonexistent/ca.crt"}, {"ca_data": b"bm9uZQ=="}, {"ca_data": "base64"}]
)
async def test_given_unusable_certificates_then_the_error_names_the_kubeconfig_and_the_command_that_checks_it(
    certificate: dict[str, Any],
) -> None:
    said = r"^The kubeconfig's certificates cannot be used \(\w+: .+\); check it with `kubectl version`\.$"
    with pytest.raises(NoCluster, match=said):
        Connection(kopf.ConnectionInfo(server="https://127.0.0.1:1", **certificate), Observer())
