"""kopf is kept running, and watches ShopServices while they are served."""

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import kopf
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shop_operator.cache import kopf_watch as watches
from shop_operator.cache import reflector
from shop_operator.cache.kopf_watch import Backoffs, KopfWatch
from shop_operator.cache.reflector import Comparison
from shop_operator.kubernetes.client import Kube
from shop_operator.kubernetes.connection import Connection
from shop_operator.kubernetes.credentials import ConnectionInfo
from shop_operator.objects.lenient import Unparsed
from shop_operator.observability.metrics import Metrics

DEADLINE = 5
SHOPS = "/apis/shopservice.dev/v1alpha1/shopservices"
SHOPS_OF_A, SHOPS_OF_B = (f"/apis/shopservice.dev/v1alpha1/namespaces/{each}/shopservices" for each in "ab")


@dataclass
class Watch:
    closed: bool = False

    def close(self) -> None:
        self.closed = True


class Sink:
    def __init__(self) -> None:
        self.served = frozenset({"ShopService"})
        self.relists = 0
        self.known = ("", "", "")
        self.shown: list[tuple[str | None, Mapping[str, Any]]] = []

    def knows(self, kind: str, identity: Mapping[str, str]) -> bool:
        return (kind, identity["uid"], identity["resourceVersion"]) == self.known

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        self.shown.append((event, obj))

    def relist(self) -> None:
        self.relists += 1

    async def version(self) -> int:
        return 7

    def begin_list(self) -> None: ...

    def merge(self, items: Iterable[Mapping[str, Any]]) -> None: ...

    def end_list(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None: ...
    def not_served(self, kind: str, namespace: str | None) -> None: ...

    def abort_list(self) -> None: ...


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
async def connection() -> Connection:
    made = Connection(ConnectionInfo(server="http://api.test"), Metrics(lease="shop-operator"))
    await made.close()
    return made


@pytest.fixture
def kept(sink: Sink, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> KopfWatch:
    monkeypatch.setattr(watches, "_CHECK", 0.005)
    monkeypatch.setattr(watches, "_RESTART", 0.001)
    return KopfWatch(
        connection,
        sink,
        partial(sink.knows, "ShopService"),
        {"a": sink, "b": sink},
        lambda: None,
        served=lambda: sink.served,
        identity="me",
    )


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


async def answering(connection: Connection, stop: asyncio.Event) -> None:
    """The API server responds until the watch is restarted."""
    while not stop.is_set():
        connection.answered = time.monotonic()
        await asyncio.sleep(0.001)


async def looked_at(sink: Sink, times: int) -> None:
    while sink.relists < times:  # noqa: ASYNC110  the sink has no events
        await asyncio.sleep(0.001)


async def test_given_kopf_then_it_is_restarted_after_an_error_and_not_after_a_stop(
    kept: KopfWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = script(monkeypatch, broken, broken, stopped)

    async with asyncio.timeout(DEADLINE):
        await kept.run()

    assert len(calls) == 3
    assert calls[0]["namespaces"] == ("a", "b")
    assert calls[0]["clusterwide"] is False
    assert calls[0]["settings"].posting.enabled is False
    assert calls[0]["settings"].watching.initial_streaming is False


@pytest.mark.parametrize("stream", [None, Watch(closed=True)])
async def test_given_a_served_kind_that_kopf_does_not_watch_then_kopf_is_restarted(
    kept: KopfWatch, connection: Connection, stream: Watch | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def misses(stop: asyncio.Event) -> None:
        if stream is not None:
            for path, each in ((SHOPS_OF_A, stream), (SHOPS_OF_B, Watch())):
                await kept.list(path)
                kept.requested(path, each)
        await answering(connection, stop)

    calls = script(monkeypatch, misses, stopped)

    async with asyncio.timeout(DEADLINE):
        await kept.run()

    assert len(calls) == 2


@pytest.mark.parametrize("prefix", ["", "/k8s/clusters/c-1"])
async def test_when_the_crd_changes_then_the_open_watches_end_and_the_kind_is_listed_again(
    kept: KopfWatch, sink: Sink, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setattr(watches, "_SETTLE", 0.001)
    streams = Watch(), Watch()
    # At its start kopf asks which kinds there are, too.
    kept.requested(f"{prefix}/apis/shopservice.dev/v1alpha1", None)
    for path, stream in zip((SHOPS_OF_A, SHOPS_OF_B), streams, strict=True):
        await kept.list(prefix + path)
        kept.requested(prefix + path, stream)
    kept.requested(f"{prefix}/apis/apps/v1", None)

    kept.requested(f"{prefix}/apis/shopservice.dev/v1alpha1", None)

    async with asyncio.timeout(DEADLINE):
        await looked_at(sink, 1)
    assert all(stream.closed for stream in streams)
    # Each of the two namespaces is listed.
    assert sink.relists == 2


async def test_given_a_watch_that_starts_without_a_list_then_the_kind_is_listed_and_an_error_is_logged(
    kept: KopfWatch, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    kept.requested(SHOPS_OF_A, Watch())
    assert sink.relists == 2
    assert [each.message for each in caplog.records] == ["kopf watches without a LIST, listing again"]

    # A watch that has ended continues from its last version.
    kept.requested(SHOPS_OF_A, Watch())
    assert sink.relists == 2


@pytest.mark.parametrize("gone", [True, False])
async def test_given_no_crd_or_no_api_server_then_kopf_is_not_restarted(
    kept: KopfWatch, sink: Sink, connection: Connection, gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if gone:
        sink.served = frozenset({"Deployment"})

    async def away(stop: asyncio.Event) -> None:
        answers = asyncio.create_task(answering(connection, stop)) if gone else None
        await looked_at(sink, 8)
        assert not stop.is_set()
        if answers is not None:
            answers.cancel()

    calls = script(monkeypatch, away)

    async with asyncio.timeout(DEADLINE):
        await kept.run()

    assert len(calls) == 1


async def test_given_kopf_with_an_open_watch_then_it_is_not_restarted(
    kept: KopfWatch, sink: Sink, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def looks_pass(stop: asyncio.Event) -> None:
        await kept.list(SHOPS_OF_A)
        kept.requested(SHOPS_OF_A, Watch())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await answering(connection, stop)

    calls = script(monkeypatch, looks_pass)

    async with asyncio.timeout(DEADLINE):
        await kept.run()

    assert (len(calls), sink.relists) == (1, 0)


def test_given_any_number_of_attempts_then_kopf_retries_after_10_seconds_at_most() -> None:
    delays = list(islice(Backoffs(), 1000))

    assert 0.2 <= delays[0] <= 0.3
    assert 6 <= min(delays[10:]) <= max(delays) <= 10
    assert next(iter(Backoffs())) < 1  # each request begins anew


def line(kept: KopfWatch, event: dict[str, Any] | bytes, path: str = SHOPS) -> Any:
    raw = event if isinstance(event, bytes) else orjson.dumps(event)
    return orjson.loads(kept.line(path, raw))


def shop_event(**spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "ns", "name": "web", "uid": "u", "resourceVersion": "5", "generation": 2}
    obj = {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": metadata,
        "spec": spec,
    }
    return {"type": "MODIFIED", "object": obj}


async def test_given_a_list_of_shopservices_then_kopf_gets_its_version_and_no_objects(
    kept: KopfWatch,
) -> None:
    assert await kept.list(SHOPS_OF_A) == {"metadata": {"resourceVersion": "7"}, "items": []}
    assert await kept.list("/apis/apps/v1/namespaces/a/deployments") is None


def test_given_a_response_of_another_kind_then_kopf_gets_it_unchanged(kept: KopfWatch) -> None:
    assert kept.body("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", b"raw") == b"raw"
    assert kept.line("/api/v1/namespaces", b"raw") == b"raw"


def test_given_an_event_with_managed_fields_then_kopf_gets_it_without_them(
    kept: KopfWatch, sink: Sink
) -> None:
    event = shop_event(image="a:1")
    told = copy.deepcopy(event)
    told["object"]["metadata"]["managedFields"] = [{"manager": "kubectl"}]

    assert line(kept, told) == event
    assert sink.shown == []


@pytest.mark.parametrize("event", ["ADDED", "MODIFIED"])
def test_given_a_known_state_then_kopf_gets_a_bookmark(kept: KopfWatch, sink: Sink, event: str) -> None:
    sink.known = ("ShopService", "u", "5")

    told = line(kept, shop_event(image="a:1") | {"type": event})

    assert told == {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "5"}}}
    assert sink.shown == []


@pytest.mark.parametrize("known", [("ShopService", "u", "4"), ("ShopService", "other", "5")])
def test_given_an_unknown_state_then_kopf_gets_the_event(
    kept: KopfWatch, sink: Sink, known: tuple[str, str, str]
) -> None:
    sink.known = known

    assert line(kept, shop_event(image="a:1")) == shop_event(image="a:1")


def test_given_a_known_state_then_kopf_still_gets_its_deletion(kept: KopfWatch, sink: Sink) -> None:
    sink.known = ("ShopService", "u", "5")
    deleted = shop_event(image="a:1") | {"type": "DELETED"}

    assert line(kept, deleted) == deleted


@pytest.mark.parametrize("spec", [{"a": ["x" * 200_000]}, {"deep": None}], ids=["large", "deep"])
def test_given_a_large_or_deep_object_then_kopf_gets_the_identity_and_the_sink_the_object(
    kept: KopfWatch, sink: Sink, spec: dict[str, Any]
) -> None:
    raw = orjson.dumps(shop_event(**spec)).replace(b"null", b"[" * 5_000 + b"]" * 5_000)

    told = line(kept, raw)

    identity = {"namespace": "ns", "name": "web", "uid": "u", "resourceVersion": "5"}
    assert told["type"] == "MODIFIED"
    assert told["object"]["metadata"] == identity
    ((event, obj),) = sink.shown
    assert event == "MODIFIED"
    assert set(obj["spec"]) == set(spec)


@pytest.mark.parametrize("raw", [b"", b'{"type":"MODIFIED","object":{', b"no json"])
def test_given_a_truncated_event_then_kopf_gets_it_unchanged(kept: KopfWatch, raw: bytes) -> None:
    assert kept.line(SHOPS, raw) == raw


@pytest.mark.parametrize("kind", ["BOOKMARK", "ERROR"])
def test_given_a_bookmark_or_an_error_of_a_watch_then_kopf_gets_it_unchanged(
    kept: KopfWatch, sink: Sink, kind: str
) -> None:
    event = {"type": kind, "object": {"metadata": {"resourceVersion": "9"}, "code": 410}}

    assert line(kept, event) == event
    assert sink.shown == []


def test_given_an_event_with_invalid_utf_8_then_kopf_gets_it_with_replacement_characters(
    kept: KopfWatch, sink: Sink
) -> None:
    event = shop_event(image="a:1")

    told = line(kept, orjson.dumps(event).replace(b"a:1", b"a:\xff"))

    event["object"]["spec"]["image"] = "a:\ufffd"
    assert told == event
    assert sink.shown == []


def test_given_an_unparsed_object_then_kopf_gets_the_identity_and_the_sink_an_unparsed_object(
    kept: KopfWatch, sink: Sink
) -> None:
    told = line(kept, orjson.dumps(shop_event(a=None)).replace(b"null", b"1e400"))

    identity = {"namespace": "ns", "name": "web", "uid": "u", "resourceVersion": "5"}
    assert told["object"]["metadata"] == identity
    ((_, obj),) = sink.shown
    assert isinstance(obj, Unparsed)
    assert obj == {"apiVersion": "shopservice.dev/v1alpha1", "kind": "ShopService", "metadata": identity}


def test_given_invalid_utf_8_of_another_kind_then_kopf_gets_replacement_characters(kept: KopfWatch) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

    assert kept.body(path, b"\xff") == kept.line(path, b"\xff") == "\ufffd".encode()


@dataclass
class Server:
    """An API server with one kind, whose watches a test ends.

    Attributes:
        lists: how often ShopServices were listed.
        watched: the versions from which they were watched.
        expired: ends the open watch, since its version is too old.
    """

    lists: int = 0
    watched: list[str] = field(default_factory=list)
    expired: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await self._watch(request)
        if request.path == SHOPS:
            self.lists += 1
            items = [shop_event(image="a:1")["object"]]
            return web.json_response({"metadata": {"resourceVersion": str(10 * self.lists)}, "items": items})
        return web.json_response(
            DISCOVERY.get(request.path, {"metadata": {"resourceVersion": "1"}, "items": []})
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if request.path != SHOPS:
            await asyncio.Event().wait()
        self.watched.append(request.query["resourceVersion"])
        event = shop_event(image=f"a:{len(self.watched)}")
        event["object"]["metadata"]["resourceVersion"] = str(10 * self.lists + 1)
        await response.write(orjson.dumps(event) + b"\n")
        await self.expired.wait()
        self.expired.clear()
        await response.write(b'{"type":"ERROR","object":{"code":410}}\n')
        return response


def resources(name: str, kind: str, *, namespaced: bool) -> dict[str, Any]:
    """The kinds of one API group."""
    found = {"name": name, "singularName": kind.lower(), "kind": kind, "namespaced": namespaced}
    return {"resources": [found | {"verbs": ["list", "watch", "patch"]}]}


DISCOVERY: dict[str, Any] = {
    "/api": {"versions": ["v1"]},
    "/api/v1": resources("namespaces", "Namespace", namespaced=False),
    "/apis": {
        "groups": [
            {"name": name, "versions": [{"version": version}], "preferredVersion": {"version": version}}
            for name, version in (("shopservice.dev", "v1alpha1"), ("apiextensions.k8s.io", "v1"))
        ]
    },
    "/apis/apiextensions.k8s.io/v1": resources(
        "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
    ),
    "/apis/shopservice.dev/v1alpha1": resources("shopservices", "ShopService", namespaced=True),
}


@asynccontextmanager
async def watching(server: Server, sink: Sink) -> AsyncIterator[None]:
    """The LISTs and the watch of ShopServices, as wiring.py builds them."""
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    async with TestServer(app) as api:
        link = Connection(ConnectionInfo(server=str(api.make_url(""))), Metrics(lease="x"))
        kube = Kube(link, lambda: 1.0)
        lists = Comparison(kube, sink, "ShopService", None, resync=3600)
        watch = KopfWatch(
            link,
            sink,
            partial(sink.knows, "ShopService"),
            {None: lists},
            lambda: None,
            served=lambda: sink.served,
            identity="me",
        )
        tasks = [asyncio.create_task(each()) for each in (lists.run, watch.run)]
        try:
            async with asyncio.timeout(DEADLINE):
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await link.close()


async def shown(sink: Sink, number: int) -> None:
    while len(sink.shown) < number:  # noqa: ASYNC110  the sink has no events
        await asyncio.sleep(0.001)


async def test_given_kopf_and_the_operator_then_shopservices_are_listed_once_at_start_and_once_per_expired_watch(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "_SETTLE", 0.001)
    server = Server()
    async with watching(server, sink):
        await shown(sink, 1)
        assert (server.lists, server.watched) == (1, ["10"])

        server.expired.set()
        await shown(sink, 2)
        assert (server.lists, server.watched) == (2, ["10", "20"])
        assert [event for event, _ in sink.shown] == ["MODIFIED", "MODIFIED"]
