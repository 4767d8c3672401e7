"""A kind that was neither listed nor heard of for ten minutes is noticed."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

import pytest

from shop_operator.cache.reflector import Reflector
from shop_operator.cache.watch_health import HOPELESS, SILENT, WatchHealth
from shop_operator.errors import Unreachable
from shop_operator.kubernetes.client import Page
from shop_operator.kubernetes.wire import Known
from shop_operator.observability.metrics import Metrics
from tests.operator.clock import Clock


def test_silence_is_a_problem_after_ten_minutes_and_ends_with_the_first_message() -> None:
    clock = Clock(0.0)
    health = WatchHealth([("Deployment", ""), ("Service", "")], clock)
    clock.now = SILENT
    health.heard(("Service", ""))
    assert health.problem() is None

    clock.now += 1
    assert health.problem() == "no watch event or bookmark of Deployment for 10 minutes"
    assert health.silent(HOPELESS) == []

    health.heard(("Deployment", ""))
    assert health.problem() is None


def test_a_silent_watch_restarts_the_process_only_if_the_api_server_answers_other_requests() -> None:
    clock = Clock(0.0)
    health = WatchHealth([("Deployment", "")], clock)
    clock.now = HOPELESS + 1

    assert health.hopeless(answered=clock.now - 5) is not None
    assert health.hopeless(answered=clock.now - 300) is None
    health.heard(("Deployment", ""))
    assert health.hopeless(answered=clock.now) is None


def test_one_silent_namespace_is_enough() -> None:
    clock = Clock(0.0)
    health = WatchHealth([("Deployment", "a"), ("Deployment", "b")], clock)
    clock.now = 700
    health.heard(("Deployment", "a"))

    assert health.silence() == {"Deployment": 700}


def test_the_silence_is_a_metric() -> None:
    metrics = Metrics(lease="x")
    metrics.listen(lambda: {"Service": 7.5})

    assert 'shop_operator_watch_silence_seconds{kind="Service"} 7.5' in metrics.exposition().decode()


class Sink:
    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None: ...
    def begin_list(self) -> None: ...
    def merge(self, items: Iterable[Mapping[str, Any]]) -> None:
        list(items)

    def end_list(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None: ...
    def not_served(self, kind: str, namespace: str | None) -> None: ...
    def abort_list(self) -> None: ...


class Server:
    """One list that works, and one event, unless it says nothing."""

    def __init__(self, *, silent: bool = False, bug: bool = False) -> None:
        self.silent = silent
        self.bug = bug
        self.lists = 0

    async def pages(self, kind: str, namespace: str | None) -> AsyncGenerator[Page]:
        self.lists += 1
        if self.bug and self.lists == 1:
            raise KeyError(kind, namespace)
        if self.silent:
            raise Unreachable("no answer")
        yield Page([], 1)

    async def watch(
        self, kind: str, namespace: str | None, version: int, known: Known | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        assert (kind, namespace, version, known) == ("Service", None, 1, None)
        yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}}
        await asyncio.Event().wait()


async def listened(server: Server, enough: int) -> int:
    """How often something was heard until that was often enough, or for half a second."""
    heard = 0

    def hear() -> None:
        nonlocal heard
        heard += 1

    reflector = Reflector(server, Sink(), "Service", None, resync=3600, heard=hear)
    task = asyncio.create_task(reflector.run())
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            while heard < enough and not task.done():  # noqa: ASYNC110  the task has no events
                await asyncio.sleep(0.005)
    assert not task.done()
    task.cancel()
    return heard


async def test_pages_and_bookmarks_are_heard() -> None:
    assert await listened(Server(), 2) == 2


async def test_failed_lists_are_not_heard() -> None:
    assert await listened(Server(silent=True), 1) == 0


@pytest.mark.filterwarnings("ignore")
async def test_an_unexpected_exception_does_not_end_the_task() -> None:
    server = Server(bug=True)

    assert await listened(server, 2) == 2
    assert server.lists == 2
