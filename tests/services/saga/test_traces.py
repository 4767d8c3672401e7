"""One order is one trace through all processes of the shop."""

import sys
from collections.abc import Iterator

import pytest

from shopdev.customer import Customer, Order
from shopdev.processes.emulator import Emulator
from shopdev.processes.shop import Shop
from tests import traces
from tests.collector import Collector
from tests.waiting import wait_for

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(300)]

EXPORTED_WITHIN = 60.0


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced_shop(emulator: Emulator, collector: Collector, log: list[str]) -> Iterator[Shop]:
    """A shop of its own: the others export no spans."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    shop = Shop(
        emulator, lambda name, line: log.append(f"{name}: {line}"), prefix="traced", environment=environment
    )
    try:
        shop.start()
        yield shop
    finally:
        shop.stop()
        sys.stderr.write("\n".join(log))  # shown with a test that failed


@pytest.fixture
def buyer(traced_shop: Shop) -> Iterator[Customer]:
    with Customer(traced_shop.url, traced_shop.token()) as customer:
        yield customer


@pytest.mark.parametrize(
    ("token", "postal_code", "expected"), traces.ENDINGS.values(), ids=traces.ENDINGS.keys()
)
def test_given_an_order_when_it_has_ended_then_its_spans_are_one_tree(
    buyer: Customer, collector: Collector, token: str, postal_code: str, expected: str
) -> None:
    order = buyer.place(plentiful(buyer), token=token, postal_code=postal_code)

    wait_for_tree(collector, order, expected)


def test_given_a_consumer_that_disappeared_with_a_task_when_the_task_is_redelivered_then_its_span_counts_the_deliveries(
    traced_shop: Shop, buyer: Customer, collector: Collector
) -> None:
    consumer, queue = traced_shop.process("payment-consumer"), traced_shop.outputs["payment"]["TasksQueueUrl"]
    consumer.stop()
    order = buyer.place(plentiful(buyer))
    received = wait_for(
        lambda: traced_shop.clients.sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0).get("Messages")
    )
    consumer.start()

    assert order["id"] in received[0]["Body"]
    wait_for_tree(collector, order, traces.REDELIVERED)


def plentiful(buyer: Customer) -> str:
    """A product with enough stock."""
    sku: str = max(buyer.catalogue(), key=lambda product: product["available"])["sku"]
    return sku


def wait_for_tree(collector: Collector, order: Order, expected: str) -> None:
    def spans_are_as_expected() -> bool:
        assert traces.text(traces.of_order(collector.spans, order["id"])) == expected
        return True

    wait_for(spans_are_as_expected, EXPORTED_WITHIN)
