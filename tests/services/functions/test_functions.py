"""The functions, run from their zips: through API Gateway, by invocation, and through SQS."""

import json
import uuid
from datetime import UTC, date, datetime
from typing import Any

import boto3
import orjson
import pytest

from services.common.aws.sns import SnsPublisher
from services.common.messaging.events import Event
from services.common.values.money import Money
from services.order.domain import Product
from services.order.dynamo import DynamoProducts
from services.product import seed
from services.sales.dynamo import DynamoSales
from services.sales.ports import Summary
from shopdev.cloudformation import stacks
from tests.services.functions.conftest import Deployed
from tests.services.sales import facts
from tests.waiting import wait_for

pytestmark = pytest.mark.emulator

ADDRESS = {"name": "Ada", "line1": "1 Road", "city": "Berlin", "postal_code": "10115", "country": "DE"}


def wish(sku: str) -> dict[str, Any]:
    return {
        "items": [{"sku": sku, "quantity": 2}],
        "payment": {"token": "tok_approve"},
        "shipping_address": ADDRESS,
    }


def test_given_the_inventory_function_when_it_is_called_through_the_api_then_it_responds_like_the_container(
    deployed: Deployed,
) -> None:
    (first, stock), *_ = seed.entries(datetime.now(UTC))

    listed = deployed.http.get("/products", params={"limit": "2"})
    stocked = deployed.http.get(f"/inventory/{first.sku}")
    missing = deployed.http.get("/products/NONE")

    assert listed.status_code == 200
    assert len(listed.json()["items"]) == 2
    assert stocked.status_code == 200
    assert stocked.json()["available"] == stock
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"


def test_given_the_order_function_when_an_order_is_placed_twice_with_one_key_then_one_order_is_stored(
    deployed: Deployed,
) -> None:
    product = {"sku": "TEA", "name": "Earl Grey", "price": {"amount": 1299, "currency": "EUR"}}
    know(deployed, product)
    headers = {"Idempotency-Key": str(uuid.uuid4()), **deployed.token("alice")}

    first = deployed.http.post("/orders", json=wish("TEA"), headers=headers)
    again = deployed.http.post("/orders", json=wish("TEA"), headers=headers)

    assert first.status_code == 202, first.text
    assert again.json() == first.json()
    order_id = first.json()["id"]
    shown = deployed.http.get(f"/orders/{order_id}", headers=headers)
    assert shown.json()["total"] == {"amount": 2598, "currency": "EUR"}
    refused = deployed.http.post("/orders", json={}, headers=headers)
    assert refused.status_code == 400
    assert refused.json()["errors"]


def know(deployed: Deployed, product: dict[str, Any]) -> None:
    """Writes a product to the table of the order service, as its consumer does."""
    price = Money.from_dict(product["price"])
    products = DynamoProducts(deployed.emulator.clients.dynamodb, deployed.outputs["order"]["Table"])
    products.put(Product(product["sku"], product["name"], price, 1))


def test_given_the_live_alias_when_it_is_invoked_without_an_api_then_it_responds(deployed: Deployed) -> None:
    event = {
        "version": "2.0",
        "rawPath": "/healthz",
        "rawQueryString": "",
        "headers": {},
        "requestContext": {
            "stage": "$default",
            "http": {"method": "GET", "path": "/healthz", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
        },
        "isBase64Encoded": False,
    }
    answer = deployed.emulator.clients.functions.invoke(
        FunctionName=deployed.outputs["functions"]["PlaceOrderAliasArn"], Payload=orjson.dumps(event)
    )

    assert answer["ExecutedVersion"] == "1"
    assert json.loads(answer["Payload"].read())["statusCode"] == 200


def publish(deployed: Deployed, *events: dict[str, Any]) -> None:
    publisher = SnsPublisher(deployed.emulator.clients.sns, stacks.topic("order", deployed.outputs))
    publisher.publish([Event.from_dict(event) for event in events])


def summary(deployed: Deployed, day: date) -> Summary:
    sales = DynamoSales(deployed.emulator.clients.dynamodb, deployed.outputs["functions"]["SalesTable"])
    return sales.day(day)[0]


def dead(deployed: Deployed) -> list[str]:
    """The bodies of the visible dead letters."""
    url = deployed.outputs["functions"]["SalesDeadLettersUrl"]
    found = deployed.emulator.clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in found.get("Messages", [])]


def test_given_order_events_when_they_are_published_twice_then_the_sales_of_the_day_count_each_once(
    deployed: Deployed,
) -> None:
    day = datetime(2026, 3, 1, 12, tzinfo=UTC)
    told = [
        facts.accepted(facts.order("s1", day)),
        facts.shipped("s1", day),
        facts.accepted(facts.order("s2", day, CUP=1)),
        facts.undone("s2", refunded=500, at=day),
    ]
    publish(deployed, *told, *told)
    publish(deployed, *told)

    def counted() -> bool:
        found = summary(deployed, day.date()).amounts
        return (found["shipped"], found["cancelled"], found["orders"]) == (1, 1, 2)

    wait_for(counted, 30)
    wait_for(lambda: waiting(deployed) == 0, 30)
    assert counted()
    assert summary(deployed, day.date()).amounts["revenue"] == 3098


def waiting(deployed: Deployed) -> int:
    found = deployed.emulator.clients.sqs.get_queue_attributes(
        QueueUrl=deployed.outputs["functions"]["SalesQueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])


def test_given_a_batch_with_one_invalid_message_when_it_is_handled_then_only_that_message_is_a_dead_letter(
    deployed: Deployed,
) -> None:
    day = datetime(2026, 3, 2, 12, tzinfo=UTC)
    poison = facts.shipped("p9", day) | {"data": {}}
    good = [facts.accepted(facts.order(f"p{n}", day, CUP=1)) for n in range(4)]
    publish(deployed, *good[:2], poison, *good[2:])

    wait_for(lambda: summary(deployed, day.date()).amounts["orders"] == 4, 30)
    (letter,) = wait_for(lambda: dead(deployed), 60)
    assert orjson.loads(letter)["id"] == poison["id"]
    assert waiting(deployed) == 0


def test_given_an_event_of_another_type_when_it_is_published_then_it_does_not_reach_the_function(
    deployed: Deployed,
) -> None:
    day = datetime(2026, 3, 3, 12, tzinfo=UTC)
    other = facts.shipped("o1", day) | {"type": "shop.stock.reserved.v1", "id": "o1-reserved"}
    publish(deployed, other, facts.accepted(facts.order("o2", day)))

    wait_for(lambda: summary(deployed, day.date()).amounts["orders"] == 1, 30)
    wait_for(lambda: waiting(deployed) == 0, 30)
    assert not dead(deployed)


def test_given_an_order_when_it_is_requested_without_a_token_of_its_customer_then_the_request_is_rejected(
    deployed: Deployed,
) -> None:
    know(deployed, {"sku": "TEA", "name": "Earl Grey", "price": {"amount": 1299, "currency": "EUR"}})
    alice = deployed.token("alice")
    placed = deployed.http.post(
        "/orders", json=wish("TEA"), headers={"Idempotency-Key": str(uuid.uuid4()), **alice}
    )
    order = f"/orders/{placed.json()['id']}"

    anonymous = deployed.http.get(order)
    bob = deployed.http.get(order, headers=deployed.token("bob"))

    assert deployed.http.get(order, headers=alice).status_code == 200
    assert bob.status_code == 404
    assert anonymous.status_code == 401
    assert anonymous.headers["www-authenticate"].startswith("Bearer")


def test_given_services_without_an_address_when_details_are_requested_then_their_parts_are_listed_as_missing(
    deployed: Deployed,
) -> None:
    know(deployed, {"sku": "TEA", "name": "Earl Grey", "price": {"amount": 1299, "currency": "EUR"}})
    alice = deployed.token("alice")
    placed = deployed.http.post(
        "/orders", json=wish("TEA"), headers={"Idempotency-Key": str(uuid.uuid4()), **alice}
    )

    details = deployed.http.get(f"/orders/{placed.json()['id']}/details", headers=alice)

    assert details.status_code == 200, details.text
    assert details.json()["order"]["id"] == placed.json()["id"]
    assert {missing["part"] for missing in details.json()["missing"]} == {"payment", "shipment"}


def test_given_a_request_with_a_trace_when_a_function_handles_it_then_its_log_has_a_json_line_with_the_trace(
    deployed: Deployed,
) -> None:
    trace_id = uuid.uuid4().hex
    deployed.http.get("/products", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    logs = boto3.client(
        "logs",
        endpoint_url=deployed.emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    def written() -> list[dict[str, Any]]:
        group = f"/aws/lambda/{deployed.prefix}-check-inventory"
        lines = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
        return [orjson.loads(line) for line in lines if trace_id in line]

    (line,) = wait_for(written)
    assert line["event"] == "request"
    assert line["service"] == "product"
    assert line["route"] == "/products"
