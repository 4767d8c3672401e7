"""The endpoints say what their checks say, on every address of the machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from shop_operator.cache.synced import InitialLists
from shop_operator.cache.watch_health import WatchHealth
from shop_operator.observability.health import Check, Health, PortUnavailable, listen, serve
from shop_operator.observability.metrics import Metrics


def fine() -> None:
    return None


def broken() -> str:
    return "a task of the engine has ended"


@asynccontextmanager
async def serving(alive: Check = fine) -> AsyncIterator[int]:
    listener = listen(0)
    async with serve(listener, Metrics(lease="x"), alive=alive, ready=fine):
        yield listener.getsockname()[1]


async def ask(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_given_passing_checks_then_the_endpoints_answer_ok() -> None:
    async with serving() as port:
        assert await ask(port, "/healthz") == (200, "ok\n")
        assert await ask(port, "/readyz") == (200, "ok\n")
        assert "workqueue_depth" in (await ask(port, "/metrics"))[1]
        assert (await ask(port, "/elsewhere"))[0] == 404


async def test_given_a_failing_check_then_its_endpoint_answers_503_with_the_cause() -> None:
    async with serving(alive=broken) as port:
        assert await ask(port, "/healthz") == (503, "a task of the engine has ended\n")
        assert await ask(port, "/readyz") == (200, "ok\n")


def test_given_a_port_in_use_when_the_server_listens_then_the_error_names_the_port_and_the_flag() -> None:
    with listen(0) as listener:
        port = listener.getsockname()[1]

        said = rf"^cannot listen on port {port} \(Address already in use.*\); use --metrics-port\.$"
        with pytest.raises(PortUnavailable, match=said):
            listen(port)


async def test_when_a_task_of_the_operator_ends_then_the_process_is_not_alive() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    health = Health(InitialLists([]), WatchHealth([]), lambda: 0.0, [task])
    assert health.alive() is None

    await task

    assert health.alive() == "a task of the operator has ended"
