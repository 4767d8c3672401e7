"""The outbox records of an order reach the workflow and the topic despite crashes."""

import orjson
import pytest
from flask.testing import FlaskClient

from services.common.messaging.relay import Relay
from services.order import relay
from tests.services.memory import MemoryPublisher
from tests.services.order.fakes import MemoryWorkflow
from tests.services.order.world import World, wish


@pytest.fixture
def order_id(client: FlaskClient) -> str:
    response = client.post("/orders", json=wish(), headers={"Idempotency-Key": "key-1"})
    placed: dict[str, str] = orjson.loads(response.data)
    return placed["id"]


@pytest.fixture
def workflow() -> MemoryWorkflow:
    return MemoryWorkflow()


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher()


def drain(world: World, workflow: MemoryWorkflow, publisher: MemoryPublisher) -> None:
    teller = Relay(world.outbox, relay.senders(workflow, publisher))
    for record in world.outbox.pending(100):
        teller.relay(record)


def test_a_new_order_starts_its_workflow_and_is_published(
    world: World, order_id: str, workflow: MemoryWorkflow, publisher: MemoryPublisher
) -> None:
    drain(world, workflow, publisher)

    started = workflow.started[order_id]
    assert "tok_approve" not in repr(started)
    assert started["items"] == [{"sku": "TEA", "quantity": 2}]
    assert started["total"] == {"amount": 2598, "currency": "EUR"}
    assert started["shipping_address"]["country"] == "GB"
    assert [event.type for event in publisher.events] == ["shop.order.accepted.v1"]
    assert world.outbox.records == {}


def test_a_failed_start_of_a_workflow_is_retried(
    world: World, order_id: str, workflow: MemoryWorkflow, publisher: MemoryPublisher
) -> None:
    class Down(MemoryWorkflow):
        def start(self, *_: object) -> None:
            raise ConnectionError

    drain(world, Down(), publisher)
    assert publisher.events == []
    world.now.passes(seconds=2)
    drain(world, workflow, publisher)

    assert list(workflow.started) == [order_id]
    assert len(publisher.events) == 1


def test_a_record_of_a_crashed_relay_is_sent_by_the_next_one(
    world: World, order_id: str, workflow: MemoryWorkflow, publisher: MemoryPublisher
) -> None:
    (record,) = world.outbox.pending(100)
    assert world.outbox.claim(record)  # and then its process is killed

    drain(world, workflow, publisher)
    assert workflow.started == {}
    world.now.passes(seconds=31)
    drain(world, workflow, publisher)

    assert list(workflow.started) == [order_id]


def test_the_token_is_deleted_from_storage_after_the_workflow_has_used_it(
    world: World, order_id: str, workflow: MemoryWorkflow, publisher: MemoryPublisher
) -> None:
    drain(world, workflow, publisher)

    assert "tok_approve" not in repr(world.orders.get(order_id))
    assert "tok_approve" not in repr(world.idempotency._kept)
    assert "tok_approve" not in repr([event.to_dict() for event in publisher.events])
