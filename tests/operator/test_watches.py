"""kopf is kept running, and watches every kind that there is."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import kopf
import pytest

from shop_operator import watches
from shop_operator.connection import Connection
from shop_operator.watches import Backoffs, Watches

DEADLINE = 5


@dataclass(frozen=True)
class Watch:
    closed: bool = False


class Sink:
    def __init__(self) -> None:
        self.served: frozenset[str] = frozenset()
        self.relists: list[str] = []

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None: ...

    def relisted(self, kind: str) -> None:
        self.relists.append(kind)


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
async def kept(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Watches:
    monkeypatch.setattr(watches, "_CHECK", 0.002)
    monkeypatch.setattr(watches, "_RESTART", 0.001)
    connection = Connection(
        kopf.ConnectionInfo(server="http://api.test"), observe=lambda _method, _code: None
    )
    await connection.close()
    return Watches(connection, sink, identity="me", namespaces=("a",))


def script(monkeypatch: pytest.MonkeyPatch, *runs: Callable[[asyncio.Event], Any]) -> list[dict[str, Any]]:
    """kopf.operator does one of these at each call; the answer collects what it was called with."""
    calls: list[dict[str, Any]] = []

    async def operator(**given: Any) -> None:
        calls.append(given)
        outcome = runs[len(calls) - 1](given["stop_flag"])
        if outcome is not None:
            await outcome

    monkeypatch.setattr(kopf, "operator", operator)
    return calls


def stopped(_: asyncio.Event) -> None:
    """As after SIGTERM."""


def broken(_: asyncio.Event) -> None:
    raise RuntimeError("410, 500, whatever")


async def test_kopf_is_started_again_after_an_error_and_not_after_a_stop(
    kept: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = script(monkeypatch, broken, broken, stopped)

    async with asyncio.timeout(DEADLINE):
        await kept.run()

    assert len(calls) == 3
    assert calls[0]["namespaces"] == ("a",)
    assert calls[0]["clusterwide"] is False
    assert calls[0]["settings"].posting.enabled is False


async def test_kopf_is_started_again_when_it_misses_a_kind_that_is_served(
    kept: Watches, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.served = frozenset({"Deployment", "HTTPRoute"})

    def misses_one(stop: asyncio.Event) -> Any:
        kept.requested("/apis/apps/v1/deployments", Watch())
        return stop.wait()

    calls = script(monkeypatch, misses_one, stopped)

    async with asyncio.timeout(DEADLINE):
        await kept.run()

    assert len(calls) == 2


async def test_kopf_is_started_again_when_a_watch_ended_for_good(
    kept: Watches, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.served = frozenset({"Deployment", "ShopService"})

    def ends_one(stop: asyncio.Event) -> Any:
        kept.requested("/apis/apps/v1/deployments", Watch())
        kept.requested("/apis/shopservice.dev/v1alpha1/shopservices", Watch(closed=True))
        return stop.wait()

    calls = script(monkeypatch, ends_one, stopped)

    async with asyncio.timeout(DEADLINE):
        await kept.run()

    assert len(calls) == 2


async def test_kopf_is_left_alone_while_the_api_server_is_away(
    kept: Watches, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.served = frozenset({"Deployment"})

    async def away(stop: asyncio.Event) -> None:
        kept.requested("/apis/apps/v1/deployments", Watch(closed=True))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await stop.wait()

    calls = script(monkeypatch, away)

    async with asyncio.timeout(DEADLINE):
        await kept.run()

    assert len(calls) == 1


async def test_kopf_is_left_alone_while_it_watches_all_that_is_served(
    kept: Watches, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.served = frozenset({"Deployment"})

    async def looks_pass(stop: asyncio.Event) -> None:
        kept.requested("/apis/apps/v1/deployments", None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await stop.wait()

    calls = script(monkeypatch, looks_pass)

    async with asyncio.timeout(DEADLINE):
        await kept.run()

    assert len(calls) == 1


async def test_a_list_is_told_and_a_stream_or_another_path_is_not(kept: Watches, sink: Sink) -> None:
    kept.requested("/apis/apps/v1/deployments", None)
    kept.requested("/apis/apps/v1/deployments", Watch())
    kept.requested("/apis/apps/v1", None)

    assert sink.relists == ["Deployment"]


def test_kopf_never_runs_out_of_attempts_and_never_waits_long() -> None:
    delays = list(islice(Backoffs(), 1000))

    assert 0.2 <= delays[0] <= 0.3
    assert 6 <= min(delays[10:]) <= max(delays) <= 10
    assert next(iter(Backoffs())) < 1  # each request begins anew
