"""A LIST, then a watch from there; and what each way of ending it leads to."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from shop_operator.cache import reflector
from shop_operator.cache.reflector import Comparison, Reflector
from shop_operator.errors import ApiUnavailable, NotInstalled, OperatorError, Stale, Throttled, Unreachable
from shop_operator.kubernetes.client import Page
from shop_operator.kubernetes.wire import Known

DEADLINE = 5


def obj(version: int) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"uid": "u", "resourceVersion": str(version)}}


def event(kind: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": obj(version)}


def failed(code: int) -> dict[str, Any]:
    return {"type": "ERROR", "object": {"code": code, "message": "no more"}}


@dataclass
class Source:
    """Answers LISTs with one object, and each watch with the next of the scripts; then it is quiet."""

    watches: list[list[dict[str, Any] | OperatorError]] = field(default_factory=list)
    refusing: list[OperatorError] = field(default_factory=list)
    lists: int = 0
    asked: list[int] = field(default_factory=list)

    async def pages(self, kind: str, namespace: str | None) -> AsyncGenerator[Page]:
        assert (kind, namespace) == ("Service", None)
        await asyncio.sleep(0)
        self.lists += 1
        if self.refusing:
            raise self.refusing.pop(0)
        yield Page([obj(5)], 10)

    async def watch(
        self, kind: str, namespace: str | None, version: int, known: Known | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        assert (kind, namespace, known) == ("Service", None, None)
        self.asked.append(version)
        if not self.watches:
            await asyncio.Event().wait()
        for each in self.watches.pop(0):
            if isinstance(each, OperatorError):
                raise each
            yield each


@dataclass
class Sink:
    events: list[Any] = field(default_factory=list)
    open: int = 0

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        self.events.append((event, int(obj["metadata"]["resourceVersion"])))

    def begin_list(self) -> None:
        self.open += 1

    def merge(self, items: Iterable[Mapping[str, Any]]) -> None:
        self.events += ["page" for _ in items]

    def end_list(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None:
        assert (kind, namespace) == ("Service", None)
        self.open -= 1
        self.events.append(("listed", set(found), version))

    def not_served(self, kind: str, namespace: str | None) -> None:
        assert (kind, namespace) == ("Service", None)
        self.events.append("absent")

    def abort_list(self) -> None:
        self.open -= 1


LISTED = ["page", ("listed", {"u"}, 10)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_MISSING_RETRY", "_FIRST_PAUSE", "_LONGEST_PAUSE", "_SETTLE"):
        monkeypatch.setattr(reflector, name, 0.001)


@asynccontextmanager
async def running(each: Reflector) -> AsyncIterator[None]:
    task = asyncio.create_task(each.run())
    try:
        async with asyncio.timeout(DEADLINE):
            yield
    finally:
        task.cancel()
        result = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(result[0], asyncio.CancelledError)


async def quiet(source: Source, watches: int) -> None:
    while len(source.asked) < watches:  # noqa: ASYNC110  the source has no events
        await asyncio.sleep(0.001)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("watches", "asked", "lists"),
    [
        # Ended by the API server after its time: on from the last version shown, a bookmark's too.
        ([[event("ADDED", 11)], [event("BOOKMARK", 20)]], [10, 11, 20], 1),
        # Broken: the same.
        ([[event("MODIFIED", 11), Unreachable("gone")], [Throttled("busy")]], [10, 11, 11], 1),
        # Forgotten: a LIST, whether it is an answer or an event.
        ([[event("DELETED", 11), failed(410)]], [10, 10], 2),
        ([[Stale("gone")]], [10, 10], 2),
        # Ended by the API server for another reason.
        ([[failed(500)]], [10, 10], 1),
        # Never coming back from where it was.
        ([[ApiUnavailable("no")]] * 5, [10] * 6, 2),
    ],
)
async def test_given_a_watch_that_ends_then_it_resumes_from_its_last_version_unless_that_is_lost(
    watches: list[list[dict[str, Any] | OperatorError]], asked: list[int], lists: int
) -> None:
    source, sink = Source([list(each) for each in watches]), Sink()

    async with running(Reflector(source, sink, "Service", None, resync=3600)):
        await quiet(source, len(asked))

    assert source.asked == asked
    assert source.lists == lists
    assert sink.open == 0
    shown = [e for each in watches for e in each if not isinstance(e, OperatorError)]
    expected = [(e["type"], 11) for e in shown if e["type"] in {"ADDED", "MODIFIED", "DELETED"}]
    assert [e for e in sink.events if e not in LISTED] == expected


@pytest.mark.usefixtures("quick")
async def test_given_a_list_that_fails_then_it_is_repeated_until_it_succeeds() -> None:
    source, sink = Source(refusing=[Unreachable("gone"), ApiUnavailable("no")]), Sink()

    async with running(Reflector(source, sink, "Service", None, resync=3600)):
        await quiet(source, 1)

    assert source.lists == 3
    assert sink.open == 0
    assert sink.events == LISTED


@pytest.mark.usefixtures("quick")
async def test_given_a_kind_that_is_not_served_then_it_is_reported_absent_and_listed_once_it_is_served() -> (
    None
):
    source, sink = Source([[NotInstalled("its CRD is gone")]], [NotInstalled("no CRD")]), Sink()

    async with running(Reflector(source, sink, "Service", None, resync=3600)):
        await quiet(source, 2)

    assert sink.events == ["absent", *LISTED, "absent", *LISTED]
    assert sink.open == 0


async def test_given_a_watch_that_ends_at_once_without_events_then_the_next_one_is_delayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[int] = []

    async def pause(failures: int, error: OperatorError | None = None) -> None:
        assert error is None
        pauses.append(failures)

    monkeypatch.setattr(reflector, "_pause", pause)
    source = Source([[], [], [event("ADDED", 11)], []])

    async with running(Reflector(source, Sink(), "Service", None, resync=3600)):
        await quiet(source, 5)

    assert pauses == [1, 2, 1]


@pytest.mark.usefixtures("quick")
async def test_given_a_resync_period_then_the_reflector_lists_again_after_it() -> None:
    source = Source([[event("BOOKMARK", 20)]] * 100)

    async with running(Reflector(source, Sink(), "Service", None, resync=0)):
        while source.lists < 3:  # noqa: ASYNC110  the source has no events
            await asyncio.sleep(0.001)


@pytest.mark.usefixtures("quick")
async def test_given_a_comparison_then_it_lists_at_its_start_and_on_request_and_never_watches() -> None:
    source, sink = Source(), Sink()
    comparison = Comparison(source, sink, "Service", None, resync=3600)

    async with running(comparison):
        for number in (1, 2, 3):
            while source.lists < number:  # noqa: ASYNC110  the source has no events
                await asyncio.sleep(0.001)
            comparison.relist()

    assert source.asked == []


@pytest.mark.usefixtures("quick")
async def test_given_a_resync_period_then_the_comparison_lists_again_after_it() -> None:
    source = Source()

    async with running(Comparison(source, Sink(), "Service", None, resync=0.002)):
        while source.lists < 3:  # noqa: ASYNC110  the source has no events
            await asyncio.sleep(0.001)


@pytest.mark.usefixtures("quick")
async def test_given_a_comparison_then_the_first_watch_uses_its_first_list_and_each_later_one_a_new_list() -> (
    None
):
    source = Source()
    comparison = Comparison(source, Sink(), "Service", None, resync=3600)
    first = asyncio.create_task(comparison.version())

    async with running(comparison):
        assert await first == 10
        assert source.lists == 1

        assert await comparison.version() == 10
        assert source.lists == 2
        await asyncio.sleep(0.01)
        assert source.lists == 2


@pytest.mark.usefixtures("quick")
async def test_given_a_list_of_a_resync_then_a_later_watch_does_not_start_from_it() -> None:
    source = Source()
    comparison = Comparison(source, Sink(), "Service", None, resync=3600)
    async with running(comparison):
        await comparison.version()
        comparison.relist()
        while source.lists < 2:  # noqa: ASYNC110  the source has no events
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)

        await comparison.version()

        assert source.lists == 3


class Slow(Source):
    """Answers each LIST when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.going = asyncio.Event()
        self.asked_for = asyncio.Event()

    async def pages(self, kind: str, namespace: str | None) -> AsyncGenerator[Page]:
        self.asked_for.set()
        await self.going.wait()
        async for page in super().pages(kind, namespace):
            yield page


@pytest.mark.usefixtures("quick")
async def test_given_a_list_in_progress_when_a_watch_starts_then_it_uses_that_list() -> None:
    source = Slow()
    source.going.set()
    comparison = Comparison(source, Sink(), "Service", None, resync=3600)
    async with asyncio.timeout(DEADLINE), running(comparison):
        await comparison.version()
        source.going.clear()
        source.asked_for.clear()
        comparison.relist()
        await source.asked_for.wait()

        starting = asyncio.create_task(comparison.version())
        await asyncio.sleep(0)
        source.going.set()
        assert await starting == 10
        await asyncio.sleep(0.01)

        assert source.lists == 2
