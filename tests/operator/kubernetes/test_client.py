"""The requests of the client, and the meaning of each response, with a scripted API server."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import example, given
from hypothesis import strategies as st

from shop_operator.api.v1alpha1.reasons import row
from shop_operator.errors import (
    ApiUnavailable,
    Exists,
    Forbidden,
    NotInstalled,
    NotLeader,
    OperatorError,
    Refused,
    Stale,
    Throttled,
    Unreachable,
)
from shop_operator.kubernetes.client import Kube, collection, encoded
from shop_operator.objects.lenient import Unparsed
from tests.operator.connections import connected

ACCOUNT = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}},
}


@dataclass
class Scripted:
    """An API server that records requests and answers from a list."""

    answers: list[web.Response] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    content_types: list[str] = field(default_factory=list)

    def say(self, status: int, body: Any, **headers: str) -> None:
        raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
        self.answers.append(
            web.Response(
                status=status, body=raw, headers={k.replace("_", "-"): v for k, v in headers.items()}
            )
        )

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.requests.append(
            (request.method, request.path, dict(request.query), orjson.loads(raw) if raw else None)
        )
        self.content_types.append(request.content_type)
        return self.answers.pop(0)


@pytest.fixture
def api() -> Scripted:
    return Scripted()


@pytest.fixture
async def url(api: Scripted) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.fixture
async def kube(url: str) -> AsyncIterator[Kube]:
    async with connected(url) as connection:
        yield Kube(connection, lambda: 10.0)


def failure(code: int, message: str, **details: Any) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "message": message, "details": details}


async def test_given_a_new_child_when_it_is_applied_then_the_request_requires_its_absence(
    api: Scripted, kube: Kube
) -> None:
    api.say(201, {"applied": True})

    assert await kube.apply(ACCOUNT, uid=None) == {"applied": True}

    ((method, path, query, body),) = api.requests
    assert (method, path) == ("PATCH", "/api/v1/namespaces/shop/serviceaccounts/web")
    assert query == {"fieldManager": "shop-operator", "force": "true"}
    assert api.content_types == ["application/apply-patch+yaml"]
    assert body["metadata"] == {
        "name": "web",
        "namespace": "shop",
        "labels": {"a": "b"},
        "resourceVersion": "1",
    }


async def test_given_a_known_child_when_it_is_applied_then_the_request_names_its_uid_and_version(
    api: Scripted, kube: Kube
) -> None:
    api.say(200, {})

    api.say(200, {})

    await kube.apply(ACCOUNT, uid="u1")
    await kube.apply(ACCOUNT, uid="u1", version=7)

    first, second = (body["metadata"] for _, _, _, body in api.requests)
    assert first["uid"] == second["uid"] == "u1"
    assert "resourceVersion" not in first
    assert second["resourceVersion"] == "7"


async def test_when_fields_are_shared_with_a_second_manager_then_the_request_does_not_force_conflicts(
    api: Scripted, kube: Kube
) -> None:
    api.say(200, {})

    await kube.share(ACCOUNT, uid="u1")

    ((_, _, query, _),) = api.requests
    assert query == {"fieldManager": "shop-operator-handover"}  # no force: another value is a conflict


async def test_given_a_refused_apply_then_a_taken_name_is_exists_and_a_changed_object_is_stale(
    api: Scripted, kube: Kube
) -> None:
    api.say(409, failure(409, "the object has been modified"))
    with pytest.raises(Exists):
        await kube.apply(ACCOUNT, uid=None)

    api.say(409, failure(409, "uid mismatch"))
    with pytest.raises(Stale):
        await kube.apply(ACCOUNT, uid="u1")

    immutable = failure(422, "field is immutable", causes=[{"field": "metadata.uid"}])
    api.say(422, immutable)
    with pytest.raises(Stale):
        await kube.apply(ACCOUNT, uid="u1")


async def test_given_another_selector_then_the_message_asks_for_a_recreation(
    api: Scripted, kube: Kube
) -> None:
    said = "spec.selector: Invalid value: {}: field is immutable"
    api.say(422, failure(422, said, causes=[{"field": "spec.selector"}]))

    with pytest.raises(
        Refused, match="Delete the ServiceAccount web so that the operator can create it again"
    ) as caught:
        await kube.apply(ACCOUNT, uid="u1")

    advice = row("Refused", caught.value.message)
    assert advice is not None
    assert advice.next == "kubectl delete serviceaccount web -n {namespace}"


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (400, failure(400, "bad quantity."), Refused, "apply ServiceAccount web: bad quantity. Change the"),
        (
            422,
            failure(422, "x is invalid"),
            Refused,
            "x is invalid. Change the ShopService accordingly; the operator retries",
        ),
        (
            500,
            failure(500, "failed to create typed patch object (/b): .nope: field not declared in schema"),
            Refused,
            "field not declared in schema",
        ),
        (500, failure(500, "etcdserver: leader changed"), ApiUnavailable, "answered 500"),
        (503, "upstream gone", ApiUnavailable, "upstream gone"),
        (
            401,
            failure(401, "Unauthorized"),
            Forbidden,
            "Unauthorized. Check the operator's RBAC.",
        ),
        (
            404,
            "404 page not found\n",
            NotInstalled,
            "Could not apply ServiceAccount web: the API server does not serve this kind; install its CRD.",
        ),
        (404, failure(404, 'namespaces "shop" not found', kind="namespaces"), Stale, "namespaces"),
    ],
)
async def test_given_a_refusal_of_the_api_server_then_the_error_has_its_type_and_the_message_of_the_server(
    api: Scripted, kube: Kube, status: int, body: Any, error: type[OperatorError], words: str
) -> None:
    api.say(status, body)

    with pytest.raises(error) as caught:
        await kube.apply(ACCOUNT, uid="u1")

    assert type(caught.value) is error
    assert words in caught.value.message


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), (None, None), ("soon", None)])
async def test_given_a_busy_server_then_the_error_has_its_delay(
    api: Scripted, kube: Kube, header: str | None, seconds: float | None
) -> None:
    api.say(429, failure(429, "busy"), **({"Retry_After": header} if header else {}))

    with pytest.raises(Throttled) as caught:
        await kube.apply(ACCOUNT, uid="u1")

    assert caught.value.retry_after == seconds


async def test_given_a_server_that_does_not_respond_then_the_error_is_temporary(unused_tcp_port: int) -> None:
    async with connected(f"http://127.0.0.1:{unused_tcp_port}") as connection:
        kube = Kube(connection, lambda: 10.0)

        with pytest.raises(Unreachable, match="did not respond"):
            await kube.apply(ACCOUNT, uid=None)


@pytest.mark.parametrize(("others", "error"), [(True, ApiUnavailable), (False, Unreachable)])
async def test_given_one_hanging_request_then_the_api_server_counts_as_available(
    *, others: bool, error: type[OperatorError]
) -> None:
    asked, over = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        asked.set()
        await over.wait()
        return web.json_response({})

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"kind": "Service"})

    app = web.Application()
    app.router.add_patch("/{path:.*}", hang)
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, connected(str(server.make_url(""))) as connection:
        kube = Kube(connection, lambda: 0.5)
        # What was answered before says nothing.
        await kube.get("Service", "shop", "web")
        hanging = asyncio.create_task(kube.apply(ACCOUNT, uid="u1"))
        await asked.wait()
        if others:
            await kube.get("Service", "shop", "web")

        with pytest.raises(OperatorError, match="did not respond") as caught:
            await hanging
        over.set()

    assert type(caught.value) is error


async def test_given_no_lease_then_writes_are_refused_and_reads_go_on(api: Scripted, url: str) -> None:
    async with connected(url) as connection:
        kube = Kube(connection, lambda: 0.0)

        with pytest.raises(
            NotLeader, match="Did not apply ServiceAccount web: this process does not hold the Lease any more"
        ):
            await kube.apply(ACCOUNT, uid=None)
        with pytest.raises(NotLeader):
            await kube.delete("Service", "shop", "web", uid="u1")
        with pytest.raises(NotLeader):
            await kube.patch_status("shop", "web", version=7, patch={})
        assert api.requests == []

        api.say(200, {"kind": "Service"})
        assert await kube.get("Service", "shop", "web") == {"kind": "Service"}


async def test_when_an_absent_object_is_deleted_by_uid_then_the_deletion_succeeds(
    api: Scripted, kube: Kube
) -> None:
    api.say(404, failure(404, "not found", kind="deployments"))

    await kube.delete("Deployment", "shop", "web", uid="u1")

    ((method, path, _, body),) = api.requests
    assert (method, path) == ("DELETE", "/apis/apps/v1/namespaces/shop/deployments/web")
    assert body == {"preconditions": {"uid": "u1"}, "propagationPolicy": "Background"}


async def test_when_a_status_is_patched_then_the_request_requires_the_known_version(
    api: Scripted, kube: Kube
) -> None:
    api.say(200, {"kind": "ShopService"})

    await kube.patch_status("shop", "web", version=7, patch={"ready": "1/1"})

    ((method, path, query, body),) = api.requests
    assert method == "PATCH"
    assert path == "/apis/shopservice.dev/v1alpha1/namespaces/shop/shopservices/web/status"
    assert query == {"fieldManager": "shop-operator"}
    assert api.content_types == ["application/merge-patch+json"]
    assert body == {"metadata": {"resourceVersion": "7"}, "status": {"ready": "1/1"}}


async def test_when_a_kind_is_listed_then_its_pages_are_read_with_the_label_selector(
    api: Scripted, kube: Kube
) -> None:
    api.say(
        200,
        {"metadata": {"resourceVersion": "9", "continue": "more"}, "items": [{"metadata": {"name": "a"}}]},
    )
    api.say(200, {"metadata": {"resourceVersion": "9"}, "items": None})

    pages = [(list(page.items), page.version) async for page in kube.pages("HorizontalPodAutoscaler", "shop")]

    (((found,), version), (nothing, _)) = pages
    assert (found["kind"], found["apiVersion"], version) == ("HorizontalPodAutoscaler", "autoscaling/v2", 9)
    assert nothing == []
    assert api.requests[0][1] == "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
    assert api.requests[0][2] == {"limit": "100", "labelSelector": "shopservice.dev/name"}
    assert api.requests[1][2]["continue"] == "more"


async def test_given_two_lists_in_progress_when_a_third_begins_then_it_waits_until_one_is_closed(
    api: Scripted, kube: Kube
) -> None:
    for _ in range(3):
        api.say(200, {"metadata": {"resourceVersion": "9", "continue": "more"}, "items": []})
    first, second, third = (kube.pages(kind, None) for kind in ("Service", "Deployment", "ShopService"))
    await anext(first)
    await anext(second)

    waiting = asyncio.create_task(anext(third))
    await asyncio.sleep(0)
    assert len(api.requests) == 2
    await first.aclose()

    assert (await waiting).version == 9
    await second.aclose()
    await third.aclose()


async def test_when_shopservices_are_listed_then_all_namespaces_are_read_without_a_label_selector(
    api: Scripted, kube: Kube
) -> None:
    api.say(200, {"metadata": {"resourceVersion": "9"}, "items": []})

    [_ async for _ in kube.pages("ShopService", None)]

    assert api.requests[0][1] == "/apis/shopservice.dev/v1alpha1/shopservices"
    assert "labelSelector" not in api.requests[0][2]


async def test_when_a_lease_is_read_created_and_renewed_then_each_is_its_own_request(
    api: Scripted, kube: Kube
) -> None:
    lease = {"metadata": {"name": "shop-operator", "namespace": "ops"}}
    api.say(404, failure(404, "not found", kind="leases"))
    api.say(201, lease)
    api.say(200, lease)

    assert await kube.get_lease("ops", "shop-operator") is None
    await kube.create_lease("ops", lease)
    await kube.update_lease("ops", lease)

    base = "/apis/coordination.k8s.io/v1/namespaces/ops/leases"
    assert [(m, p) for m, p, _, _ in api.requests] == [
        ("GET", f"{base}/shop-operator"),
        ("POST", base),
        ("PUT", f"{base}/shop-operator"),
    ]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/apis/apps/v1/deployments", "Deployment"),
        ("/api/v1/namespaces/a/services", "Service"),
        ("/apis/shopservice.dev/v1alpha1/shopservices", "ShopService"),
        ("/apis/apps/v1", None),
        ("/api/v1/namespaces", None),
    ],
)
def test_given_the_path_of_a_collection_then_its_kind_is_known(path: str, kind: str | None) -> None:
    assert collection(path) == kind


@given(st.text(st.characters(codec="utf-8")))
@example("\x7f\x80\x85\x9f\u2028\u2029\ufeff\ufffe\uffff\U0001f6d2")
def test_given_any_text_in_a_spec_when_it_is_encoded_then_yaml_reads_the_same_text(text: str) -> None:
    assert yaml.safe_load(encoded({"value": text})) == {"value": text}


def stored(name: str, value: bytes) -> bytes:
    metadata = {"name": name, "namespace": "shop", "uid": f"u-{name}", "resourceVersion": "5"}
    return b'{"metadata":%b,"spec":{"a":%b}}' % (orjson.dumps(metadata), value)


def stored_list(*items: bytes) -> web.Response:
    return web.Response(body=b'{"metadata":{"resourceVersion":"9"},"items":[%b]}' % b",".join(items))


async def test_given_a_list_with_invalid_text_or_json_then_every_other_object_is_read(
    api: Scripted, kube: Kube
) -> None:
    api.answers.append(stored_list(stored("a", b"1"), stored("b", b'"\xff"'), stored("c", b"1e400")))

    (page,) = [list(page.items) async for page in kube.pages("Deployment", "shop")]

    assert [each["metadata"]["name"] for each in page] == ["a", "b", "c"]
    assert [each["kind"] for each in page] == ["Deployment"] * 3
    assert [isinstance(each, Unparsed) for each in page] == [False, False, True]


async def test_given_a_pod_that_cannot_be_parsed_then_it_is_left_out(api: Scripted, kube: Kube) -> None:
    for _ in range(2):
        api.answers.append(stored_list(stored("a", b"1e400"), stored("b", b'"\xff"')))

    assert [each["metadata"]["name"] for each in await kube.first_pods("shop", "a=b")] == ["b"]
    assert [each["metadata"]["name"] async for each in kube.pods("shop", "a=b")] == ["b"]


@pytest.mark.parametrize(("plural", "every"), [("pods", Kube.pods), ("replicasets", Kube.replicasets)])
async def test_given_a_list_of_several_pages_then_a_page_is_read_only_when_it_is_used(
    api: Scripted, kube: Kube, plural: str, every: Callable[..., AsyncGenerator[dict[str, Any]]]
) -> None:
    def page(token: str, *names: str) -> dict[str, Any]:
        items = [{"metadata": {"name": each}} for each in names]
        return {"metadata": {"resourceVersion": "9", "continue": token}, "items": items}

    for token, *names in (("more", "a", "b"), ("last", "c"), ("", "d")):
        api.say(200, page(token, *names))
    found = every(kube, "shop", "a=b")

    assert [(await anext(found))["metadata"]["name"] for _ in range(2)] == ["a", "b"]
    assert len(api.requests) == 1
    assert [each["metadata"]["name"] async for each in found] == ["c", "d"]

    assert {path.rpartition("/")[2] for _, path, _, _ in api.requests} == {plural}
    assert [query.get("continue") for _, _, query, _ in api.requests] == [None, "more", "last"]
    assert {(query["limit"], query["labelSelector"]) for _, _, query, _ in api.requests} == {("100", "a=b")}


async def test_when_the_first_page_of_pods_is_read_then_one_request_is_sent(
    api: Scripted, kube: Kube
) -> None:
    metadata = {"resourceVersion": "9", "continue": "more"}
    api.say(200, {"metadata": metadata, "items": [{"metadata": {"name": "a"}}]})

    assert [each["metadata"]["name"] for each in await kube.first_pods("shop", "a=b")] == ["a"]

    assert len(api.requests) == 1


async def test_given_lists_of_pods_that_are_closed_early_then_they_leave_room_for_other_lists(
    api: Scripted, kube: Kube
) -> None:
    for _ in range(4):
        api.say(200, {"metadata": {"resourceVersion": "9", "continue": "more"}, "items": [{"metadata": {}}]})

    for _ in range(4):
        async with aclosing(kube.pods("shop", "a=b")) as pods:
            async with asyncio.timeout(5):
                assert await anext(pods) == {"metadata": {}}


async def test_given_a_known_state_then_a_watch_shows_only_its_version(api: Scripted, kube: Kube) -> None:
    lines = [
        b'{"type":"%b","object":%b}\n' % (event, stored(name, b"1"))
        for event, name in ((b"MODIFIED", "a"), (b"MODIFIED", "b"), (b"DELETED", "a"))
    ]
    api.answers.append(web.Response(body=b"".join(lines)))

    shown = [
        (
            each["type"],
            each["object"]["metadata"].get("name"),
            bool(each["object"]["metadata"]["resourceVersion"]),
        )
        async for each in kube.watch("Service", "shop", 42, lambda identity: identity["name"] == "a")
    ]

    assert shown == [("BOOKMARK", None, True), ("MODIFIED", "b", True), ("DELETED", "a", True)]


async def test_given_a_watch_with_invalid_text_or_json_then_it_goes_on_after_that_object(
    api: Scripted, kube: Kube
) -> None:
    values = (b'"\xff"', b"1e400", b"1")
    lines = [b'{"type":"ADDED","object":%b}\n' % stored("web", value) for value in values]
    api.answers.append(web.Response(body=b"".join(lines)))

    shown = [each["object"] async for each in kube.watch("Service", "shop", 42)]

    assert [isinstance(each, Unparsed) for each in shown] == [False, True, False]
    assert {(each["kind"], each["metadata"]["name"]) for each in shown} == {("Service", "web")}


async def test_given_events_of_any_length_and_chunking_when_a_watch_resumes_from_a_version_then_it_shows_them() -> (
    None
):
    events: list[Any] = [
        {"type": "ADDED", "object": {"data": "x" * 300_000}},
        {"type": "BOOKMARK", "object": {"n": "é"}},
    ]
    raw = b"".join(orjson.dumps(each) + b"\n" for each in events)
    asked: list[Any] = []

    async def stream(request: web.Request) -> web.StreamResponse:
        asked.append((request.path, dict(request.query)))
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(raw), 70_001):
            await response.write(raw[start : start + 70_001])
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", stream)
    async with TestServer(app) as server, connected(str(server.make_url(""))) as connection:
        kube = Kube(connection, lambda: 10.0)
        shown = [each async for each in kube.watch("Service", "shop", 42)]
    assert shown == [{**each, "object": {**each["object"], "kind": "Service"}} for each in events]

    ((path, query),) = asked
    assert path == "/api/v1/namespaces/shop/services"
    assert 240 <= int(query.pop("timeoutSeconds")) <= 480
    assert query == {
        "watch": "1",
        "allowWatchBookmarks": "1",
        "resourceVersion": "42",
        "labelSelector": "shopservice.dev/name",
    }


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (410, failure(410, "too old resource version"), Stale),
        (404, "404 page not found", NotInstalled),
        (200, '{"type": "ADD', Unreachable),
    ],
)
async def test_given_a_refused_or_truncated_watch_then_the_error_says_why(
    api: Scripted, kube: Kube, status: int, body: Any, error: type[OperatorError]
) -> None:
    api.say(status, body)

    with pytest.raises(error, match="watch services"):
        _ = [each async for each in kube.watch("Service", None, 1)]
