"""The trace of an order, as Jaeger answers it: one tree through the pods of all four services."""

from typing import TYPE_CHECKING

import pytest

from shopdev.clients import Clients
from shopdev.demo.observing import Backends
from shopdev.demo.target import Target
from tests import traces
from tests.e2e import jaeger
from tests.e2e.actors import Cluster, Shop
from tests.waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

STORED_WITHIN = 60.0
SENT_WITHIN = 120.0


@pytest.mark.parametrize(
    ("token", "postal_code", "expected"), traces.ENDINGS.values(), ids=traces.ENDINGS.keys()
)
def test_given_an_order_when_it_has_ended_then_jaeger_has_exactly_its_tree_of_spans(
    backends: Backends, shop: Shop, token: str, postal_code: str, expected: str
) -> None:
    order_id = shop.place(shop.products()[1]["sku"], token=token, postal_code=postal_code)

    wait_for_tree(backends, order_id, expected)


def test_given_a_consumer_that_disappeared_with_a_task_when_the_task_is_redelivered_then_its_span_counts_the_deliveries(
    backends: Backends, shop: Shop, cluster: Cluster, target: Target
) -> None:
    with target.aws() as env, cluster.stopped_worker("payment", "consumer"):
        order_id = shop.place(shop.products()[1]["sku"])
        take_and_lose(Clients(env["AWS_ENDPOINT_URL"]), "shop-payment-tasks", shop, order_id)

    wait_for_tree(backends, order_id, traces.REDELIVERED)


def take_and_lose(aws: Clients, name: str, shop: Shop, order_id: str) -> None:
    """Receive the task of an order once, as a consumer that then disappears."""
    queue = aws.sqs.get_queue_url(QueueName=name)["QueueUrl"]
    taken: list[MessageTypeDef] = []

    def has_the_task() -> bool:
        # Tasks of other orders may wait too. While they are hidden, the next request returns further ones.
        received = aws.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=300)
        taken.extend(received.get("Messages", ()))
        if any(order_id in each["Body"] for each in taken):
            return True
        raise AssertionError(f"{len(taken)} tasks of other orders, and {shop.order(order_id)}")

    try:
        wait_for(has_the_task, SENT_WITHIN, what="the task of the order")
    finally:
        for each in taken:
            receipt = each["ReceiptHandle"]
            aws.sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)


def wait_for_tree(backends: Backends, order_id: str, expected: str) -> None:
    def spans_are_as_expected() -> bool:
        found = [
            spans
            for trace_id in jaeger.trace_ids(backends.jaeger, order_id)
            if traces.of_order(spans := jaeger.trace(backends.jaeger, trace_id), order_id)
        ]
        assert [traces.text(spans) for spans in found] == [expected]
        return True

    wait_for(spans_are_as_expected, STORED_WITHIN, what=f"the trace of order {order_id}")
