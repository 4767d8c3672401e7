"""The processes of product, payment and shipping as in a pod: they start without AWS, and shut down gracefully."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shopdev.ports import free_port
from shopdev.processes.process import Process

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SERVICES = ("product", "payment", "shipping")
NOWHERE = "http://127.0.0.1:1"
SETTINGS = {
    "AWS_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": NOWHERE,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "TABLE": "none",
    "TASKS_QUEUE_URL": f"{NOWHERE}/000000000000/none",
    "EVENTS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:none",
    "TOKENS_TABLE": "none",
    "PROVIDER": "sandbox",
    "CARRIER": "sandbox",
    "AUTH": "off",
    "LISTEN_HOST": "127.0.0.1",
    "POLL_SECONDS": "1",
}
API = ("gunicorn", "--config", "python:services.common.http.gunicorn")
COMMANDS = {
    **{f"{service} api": (*API, f"services.{service}.app:create_app()") for service in SERVICES},
    **{f"{service} consumer": (f"services.{service}.consumer",) for service in SERVICES},
}


@pytest.fixture(scope="module")
def started() -> Iterator[dict[str, tuple[Process, int]]]:
    """Every process with its port. They start concurrently, because each spends its first seconds on imports."""
    started = {}
    for name, command in COMMANDS.items():
        port = free_port()
        environment = {**SETTINGS, "PATH": os.environ["PATH"], "PORT": str(port)}
        started[name] = Process(name, [sys.executable, "-m", *command], environment, print, ROOT), port
    for process, _ in started.values():
        process.start()
    yield started
    for process, _ in started.values():
        process.stop(grace=30)


def status(port: int, path: str) -> int | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=20).status_code
    except httpx.TransportError:
        return None


@pytest.mark.parametrize("name", COMMANDS)
def test_given_no_aws_when_a_process_starts_then_it_is_alive_but_not_ready_and_shuts_down_gracefully(
    started: dict[str, tuple[Process, int]], name: str
) -> None:
    process, port = started[name]
    process.wait_until(lambda: status(port, "/healthz") == 200, 60)

    assert status(port, "/readyz") == 503
    assert status(port, "/metrics") == 200
    assert status(port, "/healthz") == 200

    process.stop(grace=30)
    assert process.returncode == 0
