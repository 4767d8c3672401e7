"""The related resources of an order, from servers that respond in every possible way."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from werkzeug.serving import make_server

from services.common.aws.discovery import Fixed, NoInstance
from services.common.http.auth import Partners
from services.common.http.outgoing import LARGEST_RESPONSE
from services.common.telemetry import propagation, tracing
from services.common.values.caller import Caller
from services.common.values.money import Money
from services.order import api
from services.order.ports import RelatedResource
from services.order.related_resources import HttpRelatedResources
from services.payment import api as payment_api
from services.payment import domain
from shopdev.ports import free_port
from tests.services.callers import CUSTOMER, Pool, bearer
from tests.services.memory import MemoryOutbox
from tests.services.order.world import TRACEPARENT, World, wish
from tests.services.payment.fakes import MemoryPayments

TIMEOUT = 0.5
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """A server on loopback that answers each GET so."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            """Logs nothing."""

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}"
    finally:
        listening.shutdown()
        listening.server_close()


def says(status: int, body: bytes) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def hangs(request: http.server.BaseHTTPRequestHandler) -> None:
    request.connection.recv(1)  # until the other side gives up


def drips(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        request.wfile.write(b" ")
        request.wfile.flush()
        threading.Event().wait(0.05)


def breaks_off(request: http.server.BaseHTTPRequestHandler) -> None:
    request.close_connection = True


@pytest.fixture
def find() -> Iterator[Callable[[Answer], RelatedResource]]:
    """Returns the payment of an order, while its shipment is available."""
    with ExitStack() as stack:

        def find(answer: Answer) -> RelatedResource:
            payment, shipment = (
                Fixed(stack.enter_context(server(each)))
                for each in (answer, says(200, b'{"state":"BOOKED"}'))
            )
            sources = {"payment": (payment, "/payments"), "shipment": (shipment, "/shipments")}
            found = HttpRelatedResources(sources, TIMEOUT).find("order-1", {"Authorization": "Bearer mine"})
            assert found["shipment"] == RelatedResource({"state": "BOOKED"}), "whatever becomes of the other"
            return found["payment"]

        yield find


def test_given_caller_credentials_when_a_resource_is_requested_then_they_are_forwarded_in_the_same_trace(
    find: Callable[[Answer], RelatedResource],
) -> None:
    seen: list[tuple[str, str | None, str]] = []

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        headers = request.headers
        seen.append((request.path, headers["Authorization"], headers["traceparent"]))
        says(200, b'{"state":"CHARGED"}')(request)

    with tracing.traced("work", propagation.remote(TRACEPARENT)):
        assert find(answer) == RelatedResource({"state": "CHARGED"})

    ((path, authorization, traceparent),) = seen
    assert (path, authorization) == ("/payments/order-1", "Bearer mine")
    assert traceparent.split("-")[1] == TRACEPARENT.split("-")[1]


@pytest.mark.parametrize("caller", ["customer", "partner"])
def test_given_a_customer_or_partner_when_details_are_requested_then_the_other_service_identifies_the_caller(
    caller: str,
) -> None:
    pool = Pool()
    headers, customer_id = {
        "customer": (bearer(pool.token()), "alice"),
        "partner": (
            {"X-Shop-Partner": "acme", "X-Shop-Scopes": "orders:read", "X-Shop-Gateway": "the secret"},
            "partner:acme",
        ),
    }[caller]
    door = pool.door(partners=Partners("the secret"))
    payments = MemoryPayments(MemoryOutbox())
    world = World()
    order_id = (
        world.client(Caller(customer_id, CUSTOMER))
        .post("/orders", json=wish(), headers={"Idempotency-Key": "key-1"})
        .get_json()["id"]
    )
    payments.save(domain.begun(order_id, customer_id, Money(2598, "EUR")), None)
    serving = make_server("127.0.0.1", 0, payment_api.create(payments, door), threaded=True)
    threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
    try:
        related_resources = HttpRelatedResources(
            {"payment": (Fixed(f"http://127.0.0.1:{serving.port}"), "/payments")}, 5
        )
        shop = api.create(
            world.orders, world.products, world.idempotency, related_resources, world.findings, door
        ).test_client()

        details = shop.get(f"/orders/{order_id}/details", headers=headers).get_json()
    finally:
        serving.shutdown()
        serving.server_close()

    assert details["missing"] == []
    assert details["payment"]["order_id"] == order_id


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (hangs, "no response"),
        (drips, "no response"),
        (breaks_off, "it cannot be reached"),
        (says(500, b"{}"), "HTTP status 500"),
        (says(302, b""), "HTTP status 302"),
        (says(401, b"{}"), "HTTP status 401"),
        (says(200, b"<html>"), "its response cannot be read"),
        (says(200, b"[]"), "its response cannot be read"),
        (says(200, b"\xff\xfe"), "its response cannot be read"),
        (says(200, b'"' + b"x" * (LARGEST_RESPONSE + 1) + b'"'), "it failed"),
    ],
    ids=["hangs", "drips", "breaks-off", "500", "302", "401", "html", "list", "bytes", "large"],
)
def test_given_a_resource_that_cannot_be_loaded_when_it_is_requested_then_it_is_missing_with_a_reason(
    find: Callable[[Answer], RelatedResource], answer: Answer, reason: str
) -> None:
    part = find(answer)

    assert part.document is None
    assert reason in part.reason
    assert "127.0.0.1" not in part.reason


def test_given_a_resource_that_does_not_exist_yet_when_it_is_requested_then_it_is_not_missing(
    find: Callable[[Answer], RelatedResource],
) -> None:
    assert find(says(404, b"{}")) == RelatedResource()


def test_given_a_refused_connection_when_a_resource_is_requested_then_another_instance_is_tried_once() -> (
    None
):
    unreachable = f"http://127.0.0.1:{free_port()}"
    refused: list[str] = []

    class Instances:
        """Two of them, the first of which is no more."""

        def __init__(self, other: str) -> None:
            self._other = other

        def __call__(self) -> str:
            return self._other if refused else unreachable

        def refused(self, url: str) -> None:
            refused.append(url)

    with server(says(200, b'{"state":"CHARGED"}')) as url:
        found = HttpRelatedResources({"payment": (Instances(url), "/payments")}, TIMEOUT).find("order-1", {})

    assert found["payment"] == RelatedResource({"state": "CHARGED"})
    assert refused == [unreachable]


def test_given_a_service_without_an_address_when_its_resource_is_requested_then_it_is_missing() -> None:
    class Nowhere:
        def __call__(self) -> str:
            raise NoInstance("payment.shop.internal has no address in AWS Cloud Map")

        def refused(self, url: str) -> None: ...

    found = HttpRelatedResources({"payment": (Nowhere(), "/payments")}, TIMEOUT).find("order-1", {})

    assert found["payment"] == RelatedResource(reason="it cannot be found")
