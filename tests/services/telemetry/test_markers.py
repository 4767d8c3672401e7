"""Personal data, payment data and credentials leave the services only where a contract says so.

Markers are planted in orders, invalid requests, hostile headers and paths, and messages that make handlers fail. None of them
may appear in a log line, a span, a metric, an event or an error response. The address has two places: the response to the
customer who owns the order, and the task CreateShipment with the input of the workflow that leads to it. Alerts contain only
the labels of metrics.
"""

import re
import socket
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson
import pytest

from shopdev.cloudformation import stacks
from shopdev.customer import Customer, wish
from shopdev.processes.shop import Shop
from tests.collector import Collector
from tests.services.telemetry.seen import Seen
from tests.waiting import wait_for

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(300)]

CARD: Final = "4111111111111111"
GROUPED: Final = "5555 5555 5555 4444"
TOKEN: Final = "tok_marker_Zq7"
EMAIL: Final = "marker.ada@example.org"
NAME: Final = "Markera Lovelacia"
STREET: Final = "12 Markerstrasse"
ADDRESS: Final = {"name": NAME, "line1": STREET, "city": "Markerstadt", "country": "DE"}
FORGED: Final = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtYXJrZXIifQ.bWFya2Vy"
# Every form in which a marker could appear. `tok_` covers the tokens of the sandbox too.
MARKERS: Final = (
    CARD,
    GROUPED,
    GROUPED.replace(" ", ""),
    "tok_",
    EMAIL,
    quote(EMAIL),
    "arkera",
    "arkerstra",
    "arkerstadt",
    "eyJ",
)
EXPORTED_WITHIN: Final = 30.0
TOPICS: Final = ("ProductTopicArn", "OrderTopicArn", "PaymentTopicArn", "ShippingTopicArn")


@pytest.fixture(scope="module")
def orders(marked: Shop, collector: Collector, seen: Seen) -> Sequence[str]:
    """The IDs of the orders that were placed. Afterwards, `seen` is complete."""
    tap = tapped(marked)
    with Customer(marked.url, marked.token()) as buyer:
        placed = [order["id"] for order in ended(buyer)]
        answers = [*invalid(buyer, placed[0]), *malformed(marked)]
    poison(marked)
    wait_for(lambda: sum('"message_failed"' in line for line in seen.log) >= 3, EXPORTED_WITHIN)
    marked.kill("payment-consumer")
    marked.restart("payment-consumer")
    seen.errors += answers
    seen.events += received(marked, tap, placed)
    wait_for(lambda: set(placed) <= {str(span.attributes.get("shop.order.id")) for span in collector.spans})
    seen.spans += [repr(span) for span in collector.spans]
    for program in marked.programs.values():
        for accept in ("", "application/openmetrics-text"):
            url = f"http://127.0.0.1:{program.port}/metrics"
            seen.metrics += httpx.get(url, headers={"Accept": accept}, timeout=20).text.splitlines()
    sys.stderr.write("\n".join(seen.log[-200:]))  # shown with a test that failed
    return placed


def ended(buyer: Customer) -> list[dict[str, Any]]:
    """Orders that are shipped, declined, and undone after the carrier refused them."""
    sku = max(buyer.catalogue(), key=lambda product: product["available"])["sku"]
    found: list[dict[str, Any]] = []
    for token, postal_code in (("tok_approve", "10115"), (TOKEN, "10115"), ("tok_approve", "00000")):
        body = wish(sku, 1, token)
        body["shipping_address"] = {**ADDRESS, "postal_code": postal_code}
        place = partial(accepted, buyer, body, f"{EMAIL}-{token}-{len(found)}")
        found.append(buyer.follow(wait_for(place)))
    assert [order["state"] for order in found] == ["SHIPPED", "REJECTED", "CANCELLED"]
    return found


def accepted(buyer: Customer, body: dict[str, Any], key: str) -> dict[str, Any]:
    """The accepted order; empty if the order service does not know the product yet."""
    answer = buyer.post("/orders", body, idempotency_key=key)
    order: dict[str, Any] = answer.json() if answer.status_code == httpx.codes.ACCEPTED else {}
    return order


def invalid(buyer: Customer, order_id: str) -> list[str]:
    """The responses to well-formed HTTP requests with markers where they do not belong."""
    good = {**wish("BR-001", 1, TOKEN), "shipping_address": {**ADDRESS, "postal_code": "1"}}
    bodies: list[Any] = [
        {**good, "payment": {"token": TOKEN, "card_number": CARD}},
        {**good, "payment": {"token": CARD * 30}},
        {**good, STREET: EMAIL, NAME: GROUPED},
        {**good, "items": [{"sku": CARD, "quantity": 1}]},
        {**good, "items": [{"sku": STREET, "quantity": EMAIL}]},
        {**good, "shipping_address": {**ADDRESS, "country": STREET}},
        {**good, "shipping_address": f"{NAME}, {STREET}, {EMAIL}"},
        {**good, "expected_total": {"amount": CARD, "currency": TOKEN}},
        [GROUPED, FORGED],
    ]
    hostile = {
        "From": EMAIL,
        "User-Agent": f"{NAME} {CARD}",
        "Cookie": f"card={CARD}",
        "Traceparent": EMAIL,
        "Accept": FORGED,
    }
    paths = [f"/orders/{quote(each)}" for each in (STREET, CARD, EMAIL, FORGED)]
    paths += [f"/products/{quote(each)}?q={quote(STREET)}" for each in (STREET, CARD, EMAIL, NAME)]
    paths += [f"/{quote(STREET)}", f"/orders?cursor={quote(EMAIL)}&limit={CARD}", f"/payments/{quote(NAME)}"]
    answers = [buyer.post("/orders", body, idempotency_key=f"k-{n}") for n, body in enumerate(bodies)]
    answers.append(buyer.post("/orders", good))
    answers.append(buyer.post("/orders", good, idempotency_key=f"{STREET} \t{NAME}"))
    answers.append(
        buyer.http.post(
            "/orders", content=f'{{"{STREET}": {CARD}', headers={"Content-Type": "application/json"}
        )
    )
    answers.append(
        buyer.http.post("/orders", content=f"{NAME}={CARD}", headers={"Content-Type": "text/plain"})
    )
    answers += [buyer.http.get(path, headers=hostile) for path in paths]
    answers += [
        buyer.http.get(f"/orders/{order_id}", headers={"Authorization": value, **hostile})
        for value in (f"Bearer {FORGED}", f"Basic {EMAIL}", f"AWS4-HMAC-SHA256 Credential={CARD}", STREET)
    ]
    answers.append(buyer.http.request("MARKERSTRASSE", "/orders", headers=hostile))
    assert all(answer.is_client_error for answer in answers), [answer.status_code for answer in answers]
    return [f"{answer.headers} {answer.text}" for answer in answers]


def malformed(shop: Shop) -> list[str]:
    """The responses to bytes that are no HTTP requests, sent to a service without the gateway in between."""
    heads = (
        f"GET /orders/{STREET} {EMAIL} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /orders HTTP/1.1\r\nHost: x\r\n{STREET} {CARD}: 1\r\n\r\n",
        f"GET /orders HTTP/1.1\r\nHost: x\r\nX-Card: {CARD}\r\n {STREET}\r\n\r\n",
        f"{NAME} /orders HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /orders {EMAIL}/9\r\nHost: x\r\n\r\n",
        f"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: {CARD} {NAME}\r\n\r\n",
        f"POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {EMAIL}\r\n\r\n",
    )
    return [exchanged(shop.programs["order"].port, head.encode()) for head in heads]


def exchanged(port: int, sent: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def poison(shop: Shop) -> None:
    """Tasks that make their handlers fail with errors whose text contains the values."""
    bad = {"task_token": FORGED, "order_id": "0190b8a4-0000-7000-8000-000000000000", "customer_id": EMAIL}
    tasks = {
        "payment": {
            **bad,
            "task": "ChargePayment",
            "amount": {"amount": CARD, "currency": f"{EMAIL} {TOKEN}"},
        },
        "shipping": {
            **bad,
            "task": "CreateShipment",
            "items": [],
            "shipping_address": {"name": NAME, "line1": STREET},
        },
        "product": {**bad, "task": "ReserveStock", "items": f"{CARD} {EMAIL}"},
    }
    for service, task in tasks.items():
        url = shop.outputs[service]["TasksQueueUrl"]
        shop.clients.sqs.send_message(QueueUrl=url, MessageBody=orjson.dumps(task).decode())


def tapped(shop: Shop) -> str:
    """The URL of a queue that receives the events of every service."""
    sqs, sns = shop.clients.sqs, shop.clients.sns
    url = sqs.create_queue(QueueName="marked-tap")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for topic in TOPICS:
        sns.subscribe(TopicArn=shop.outputs["events"][topic], Protocol="sqs", Endpoint=arn)
    return str(url)


def received(shop: Shop, url: str, placed: Sequence[str]) -> list[str]:
    """The events of the orders, once each of them has ended."""
    events: list[str] = []

    def complete() -> bool:
        answer = shop.clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        events.extend(message["Body"] for message in answer.get("Messages", []))
        ends = [event for event in events if "shop.order." in event]
        return all(any(order_id in event for event in ends) for order_id in placed)

    wait_for(complete, EXPORTED_WITHIN)
    return events


@pytest.mark.parametrize("where", ["log", "errors", "events", "metrics", "spans"])
def test_given_markers_in_orders_requests_and_messages_then_none_of_them_left_the_services(
    orders: Sequence[str], seen: Seen, where: str
) -> None:
    texts: list[str] = getattr(seen, where)

    assert orders
    assert len(texts) > len(orders)
    assert [text for text in texts if any(marker in text for marker in MARKERS)] == []


def test_given_the_log_of_an_order_then_each_line_about_it_is_json_with_its_id_and_its_trace(
    orders: Sequence[str], seen: Seen
) -> None:
    lines = [orjson.loads(line) for line in seen.log]

    for order_id in orders:
        about = [line for line in lines if order_id in orjson.dumps(line).decode()]
        events = {line["event"] for line in about}
        assert events >= {"order_accepted", "request", "message_handled", "payment_decided"}
        assert [
            line for line in about if (line.get("order_id"), bool(line.get("trace_id"))) != (order_id, True)
        ] == []
        assert len({line["trace_id"] for line in about if line["event"] != "request"}) == 1


def test_given_the_workflow_then_only_the_task_create_shipment_contains_the_address() -> None:
    text = (stacks.FOLDER / "order_saga.asl.json").read_text(encoding="utf-8")
    # A substitution of CloudFormation stands for a number or is part of a string.
    states = orjson.loads(re.sub(r"\$\{\w+\}", "0", text))["States"]

    holders = {name for name, state in states.items() if "shipping_address" in orjson.dumps(state).decode()}
    assert holders == {"CreateShipment"}
