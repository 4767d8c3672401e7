"""The endpoints say what their checks say, on every address of the machine."""

import aiohttp
import pytest

from shop_operator.health import serve
from shop_operator.metrics import Metrics


def fine() -> None:
    return None


def broken() -> str:
    return "a task of the engine has ended"


async def ask(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_all_is_well() -> None:
    async with serve(0, Metrics(lease="x"), alive=fine, ready=fine) as port:
        assert await ask(port, "/healthz") == (200, "ok\n")
        assert await ask(port, "/readyz") == (200, "ok\n")
        assert "workqueue_depth" in (await ask(port, "/metrics"))[1]
        assert (await ask(port, "/elsewhere"))[0] == 404


async def test_a_check_that_fails_is_a_503_with_its_sentence() -> None:
    async with serve(0, Metrics(lease="x"), alive=broken, ready=fine) as port:
        assert await ask(port, "/healthz") == (503, "a task of the engine has ended\n")
        assert await ask(port, "/readyz") == (200, "ok\n")


async def test_a_taken_port_is_an_error_of_the_system() -> None:
    async with serve(0, Metrics(lease="x"), alive=fine, ready=fine) as port:
        with pytest.raises(OSError, match="in use"):
            async with serve(port, Metrics(lease="x"), alive=fine, ready=fine):
                pass
