"""The storefront as a process: it starts without the shop, sends its files, and shuts down gracefully."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.storefront.language import FOLDER
from shopdev.checkout import ROOT
from shopdev.ports import free_port
from shopdev.processes.process import Process

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:1"
COMMAND = (
    "gunicorn",
    "--config",
    "python:services.common.http.gunicorn",
    "services.storefront.app:create_app()",
)
FILES = sorted((FOLDER.parent / "static").iterdir())


def status(url: str) -> int | None:
    try:
        return httpx.get(url, timeout=20).status_code
    except httpx.TransportError:
        return None


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Process, str]]:
    """The process without an API and a user pool, and its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "LISTEN_HOST": "127.0.0.1",
        "PORT": str(port),
        "PUBLIC_URL": url,
        "API_URL": NOWHERE,
        "AUTHORIZE_URL": f"{NOWHERE}/oauth2/authorize",
        "TOKEN_URL": f"{NOWHERE}/oauth2/token",
        "WEB_CLIENT_ID": "web",
        "OPS_CLIENT_ID": "ops",
        "SESSION_KEYS": "k" * 32,
    }
    process = Process("storefront", [sys.executable, "-m", *COMMAND], environment, print, ROOT)
    process.start()
    try:
        process.wait_until(lambda: status(f"{url}/healthz") == 200, 60)
        yield process, url
    finally:
        process.stop(grace=30)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_given_a_file_when_requested_then_it_is_complete(started: tuple[Process, str], file: Path) -> None:
    _, url = started

    response = httpx.get(f"{url}/static/{file.name}", timeout=20)

    assert response.status_code == 200
    assert response.content == file.read_bytes()


def test_given_no_shop_when_the_process_runs_then_it_is_not_ready_and_shuts_down_gracefully(
    started: tuple[Process, str],
) -> None:
    process, url = started

    assert status(f"{url}/readyz") == 503
    assert status(f"{url}/metrics") == 200
    assert status(f"{url}/") == 503

    process.stop(grace=30)
    assert process.returncode == 0
