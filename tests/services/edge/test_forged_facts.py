"""Forged events: a service that can publish to one topic cannot set prices or pay orders."""

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from services.common.aws.sns import SnsPublisher
from services.common.messaging.events import Event
from shopdev.cloudformation import stacks
from shopdev.processes.shop import Shop
from tests.waiting import wait_for

pytestmark = pytest.mark.emulator

OTHERS = ("order", "payment", "shipping")


@pytest.fixture
def queue(running_shop: Shop) -> Iterator[str]:
    """A queue with the subscription of the order service."""
    clients = running_shop.clients
    url = clients.sqs.create_queue(QueueName=f"probe-{uuid.uuid4()}")["QueueUrl"]
    arn = clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    for properties in subscriptions().values():
        attributes = {
            "RawMessageDelivery": "true",
            "FilterPolicyScope": properties["FilterPolicyScope"],
            "FilterPolicy": json.dumps(properties["FilterPolicy"]),
        }
        topic = stacks.topic(properties["FilterPolicy"]["source"][0].removeprefix("/"), running_shop.outputs)
        clients.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    yield url
    clients.sqs.delete_queue(QueueUrl=url)


def subscriptions() -> Mapping[str, Any]:
    found = stacks.document("order")["Resources"].items()
    return {name: each["Properties"] for name, each in found if each["Type"] == "AWS::SNS::Subscription"}


def priced(sku: str, source: str) -> Event:
    price = {"amount": 1, "currency": "EUR"}
    data = {"sku": sku, "name": "Cheap", "category": "tea", "price": price, "version": 1 << 40}
    return Event(type="shop.product.upserted.v1", source=source, subject=sku, data=data)


def publish(shop: Shop, topic: str, event: Event) -> None:
    SnsPublisher(shop.clients.sns, stacks.topic(topic, shop.outputs)).publish([event])


def received(shop: Shop, queue: str) -> list[str]:
    answer = shop.clients.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    return [message["Body"] for message in answer.get("Messages", [])]


def test_given_a_price_event_from_another_service_when_it_is_published_then_it_is_not_delivered(
    running_shop: Shop, queue: str
) -> None:
    for topic in OTHERS:
        for source in (f"/{topic}", "/product"):
            publish(running_shop, topic, priced("FORGED", source))
    publish(running_shop, "product", priced("FORGED", "/shipping"))
    publish(running_shop, "product", priced("TRUE", "/product"))

    arrived: list[str] = []

    def has_come() -> bool:
        arrived.extend(received(running_shop, queue))
        return any("TRUE" in each for each in arrived)

    wait_for(has_come)
    assert not [each for each in arrived if "FORGED" in each]
