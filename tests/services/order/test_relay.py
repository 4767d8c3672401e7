"""The outbox records of an order reach the workflow and the topic despite crashes."""

import orjson
import pytest
from flask.testing import FlaskClient

from services.common.messaging.relay import Relay
from services.order.senders import senders
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
    teller = Relay(world.outbox, senders(workflow, publisher))
    for record in world.outbox.pending(100):
        teller.relay(record)


def test_given_a_new_order_when_the_relay_runs_then_its_workflow_starts_and_its_event_is_published(
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


def test_given_a_workflow_that_cannot_be_started_when_it_recovers_then_the_start_is_retried(
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


def test_given_a_record_claimed_by_a_crashed_relay_when_the_claim_expires_then_another_relay_sends_it(
    world: World, order_id: str, workflow: MemoryWorkflow, publisher: MemoryPublisher
) -> None:
    (record,) = world.outbox.pending(100)
    assert world.outbox.claim(record)  # and then its process is killed

    drain(world, workflow, publisher)
    assert workflow.started == {}
    world.now.passes(seconds=31)
    drain(world, workflow, publisher)

    assert list(workflow.started) == [order_id]


def test_given_a_new_order_when_the_relay_has_run_then_no_order_response_or_event_contains_the_token(
    world: World, order_id: str, workflow: MemoryWorkflow, publisher: MemoryPublisher
) -> None:
    drain(world, workflow, publisher)

    assert "tok_approve" not in repr(world.orders.get(order_id))
    assert "tok_approve" not in repr(world.idempotency._kept)
    assert "tok_approve" not in repr([event.to_dict() for event in publisher.events])
