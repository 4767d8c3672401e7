"""The trace of an order, as Jaeger answers it: one tree through the pods of all four services."""

import pytest

from shopdev.clients import Clients
from shopdev.demo.observing import Backends
from shopdev.demo.target import Target
from tests import traces
from tests.e2e import jaeger
from tests.e2e.actors import Cluster, Shop
from tests.waiting import wait_for

STORED_WITHIN = 60.0


@pytest.mark.parametrize(
    ("token", "postal_code", "expected"),
    [
        ("tok_approve", "10115", traces.SHIPPED),
        ("tok_decline", "10115", traces.DECLINED),
        ("tok_approve", "00000", traces.COMPENSATED),
    ],
    ids=["shipped", "declined", "compensated"],
)
def test_given_an_order_when_it_has_ended_then_jaeger_has_exactly_its_tree_of_spans(
    backends: Backends, shop: Shop, token: str, postal_code: str, expected: str
) -> None:
    order_id = shop.place(shop.products()[1]["sku"], token=token, postal_code=postal_code)

    wait_for_tree(backends, order_id, expected)


def test_given_a_consumer_that_lost_a_task_when_the_task_is_redelivered_then_its_span_counts_the_deliveries(
    backends: Backends, shop: Shop, cluster: Cluster, target: Target
) -> None:
    sku = shop.products()[1]["sku"]
    with target.aws() as env, cluster.stopped_worker("payment", "consumer"):
        sqs = Clients(env["AWS_ENDPOINT_URL"]).sqs
        queue = sqs.get_queue_url(QueueName="shop-payment-tasks")["QueueUrl"]
        order_id = shop.place(sku)

        def taken() -> bool:
            # Tasks of other orders are in the queue too, if earlier tests did not wait for them.
            received = sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0, MaxNumberOfMessages=10)
            return any(order_id in each["Body"] for each in received.get("Messages", ()))

        wait_for(taken, 30, what="the task of the order")

    wait_for_tree(backends, order_id, traces.REDELIVERED)


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
