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


def test_given_a_silent_kind_then_it_is_reported_after_ten_minutes_until_its_next_message() -> None:
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


def test_given_a_silent_kind_for_too_long_then_the_process_gives_up_only_if_the_api_server_answers() -> None:
    clock = Clock(0.0)
    health = WatchHealth([("Deployment", "")], clock)
    clock.now = HOPELESS + 1

    assert health.hopeless(answered=clock.now - 5) is not None
    assert health.hopeless(answered=clock.now - 300) is None
    health.heard(("Deployment", ""))
    assert health.hopeless(answered=clock.now) is None


def test_given_one_silent_namespace_then_its_kind_counts_as_silent() -> None:
    clock = Clock(0.0)
    health = WatchHealth([("Deployment", "a"), ("Deployment", "b")], clock)
    clock.now = 700
    health.heard(("Deployment", "a"))

    assert health.silence() == {"Deployment": 700}


def test_given_a_silent_kind_then_a_metric_reports_its_silence_in_seconds() -> None:
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


async def test_when_pages_and_bookmarks_arrive_then_they_count_as_messages() -> None:
    assert await listened(Server(), 2) == 2


async def test_given_lists_that_fail_then_they_do_not_count_as_messages() -> None:
    assert await listened(Server(silent=True), 1) == 0


@pytest.mark.filterwarnings("ignore")
async def test_given_an_unexpected_exception_then_the_watch_task_goes_on() -> None:
    server = Server(bug=True)

    assert await listened(server, 2) == 2
    assert server.lists == 2
