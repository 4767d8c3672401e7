"""Counts of the shop: orders, money, reservations, steps of the workflow, and the work that waits for them."""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from services.common.messaging.consumer import MOST_PAUSED, Consumer, Depth, Message
from services.common.messaging.outbox import OutboxMessage, OutboxRecord
from services.common.messaging.relay import Relay
from services.common.messaging.tasks import TaskGone, answering
from services.common.runtime import progress
from services.common.runtime.retrying import retry_on_stale
from services.common.values import clock, ids
from services.common.values.errors import Stale, TaskFailed, Unavailable
from services.common.values.money import Money
from services.payment.domain import Charge, begun
from services.payment.metrics import CHARGED, note_decided
from services.product import handlers as product
from services.product.domain import Item
from tests.services.callers import ALICE
from tests.services.common.messaging.queues import MemoryQueue
from tests.services.memory import MemoryAnswers, MemoryOutbox
from tests.services.order.world import World as Orders
from tests.services.order.world import wish
from tests.services.payment import world as payment
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import product as a_product
from tests.services.telemetry.samples import value
from tests.waiting import wait_for


def placed(orders: Orders) -> str:
    answer = orders.client(ALICE).post("/orders", json=wish(), headers={"Idempotency-Key": ids.uuid7()})
    order_id: str = orjson.loads(answer.data)["id"]
    return order_id


def test_given_an_order_when_it_is_shipped_then_it_is_counted_once_with_the_time_in_each_state() -> None:
    orders = Orders()
    accepted, shipped = value("orders_accepted_total"), value("orders_ended_total", outcome="shipped")
    reserved = value("order_state_duration_seconds_sum", state="reserved")
    whole = value("order_duration_seconds_sum", outcome="shipped")
    order_id = placed(orders)
    at = clock.now()

    for _ in range(2):
        orders.task(
            "CompleteOrder",
            order_id,
            tracking_number="T1",
            reserved_at=clock.rfc3339(at + timedelta(seconds=1)),
            charged_at=clock.rfc3339(at + timedelta(seconds=4)),
            booked_at=clock.rfc3339(at + timedelta(seconds=9)),
        )

    assert value("orders_accepted_total") - accepted == 1
    assert value("orders_ended_total", outcome="shipped") - shipped == 1
    assert value("order_state_duration_seconds_sum", state="reserved") - reserved == pytest.approx(3)
    assert value("order_duration_seconds_sum", outcome="shipped") - whole == pytest.approx(9, abs=1)


@pytest.mark.parametrize(("refunded", "outcome"), [(0, "rejected"), (2598, "cancelled")])
def test_given_an_order_when_it_is_undone_then_its_outcome_is_counted(refunded: int, outcome: str) -> None:
    orders = Orders()
    before = value("orders_ended_total", outcome=outcome)

    orders.task(
        "CancelOrder",
        placed(orders),
        error="PaymentDeclined",
        cause="no money",
        refunded=Money(refunded, "EUR").to_dict(),
    )

    assert value("orders_ended_total", outcome=outcome) - before == 1


def test_given_a_charge_and_its_refund_when_both_are_delivered_twice_then_the_money_is_counted_once() -> None:
    world = payment.World()
    charged = value("payment_charged_minor_units_total", currency="EUR")
    refunded = value("payment_refunded_minor_units_total", currency="EUR")

    for _ in range(2):
        world.do(payment.charge("tok_approve"))
    for _ in range(2):
        world.do(payment.refund())

    assert value("payment_charged_minor_units_total", currency="EUR") - charged == 1299
    assert value("payment_refunded_minor_units_total", currency="EUR") - refunded == 1299


def test_given_a_declined_charge_when_it_is_decided_then_no_money_is_counted() -> None:
    declined = value("payments_decided_total", outcome="declined")
    charged = value("payment_charged_minor_units_total", currency="EUR")

    payment.World().do(payment.charge("tok_decline"))

    assert value("payments_decided_total", outcome="declined") - declined == 1
    assert value("payment_charged_minor_units_total", currency="EUR") == charged


def test_given_prices_in_hundreds_of_currencies_when_they_are_charged_then_the_series_stay_few() -> None:
    for first in "ABCDEFGH":
        for second in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            money = Money(1, f"{first}{second}X")
            note_decided(begun("o", "c", money).charged(Charge("p", money, clock.now()), clock.now()))

    (family,) = CHARGED.collect()
    assert len(family.samples) <= 17


def test_given_too_little_stock_when_an_order_reserves_it_then_a_stock_out_is_counted_once() -> None:
    shop = MemoryShop()
    shop.put(a_product("CUP"), 1, None)
    before = value("stock_reservations_total", outcome="out_of_stock")

    for _ in range(2):
        with pytest.raises(TaskFailed, match="OutOfStock"):
            product.reserve_stock("order-1", [Item("CUP", 2)], stock=shop)

    assert value("stock_reservations_total", outcome="out_of_stock") - before == 1


class Gone(MemoryAnswers):
    def succeed(self, token: str, output: Any) -> None:  # noqa: ARG002 - as TaskAnswers.succeed
        raise TaskGone(token)


@pytest.mark.parametrize(
    ("answers", "outcome", "error"),
    [
        (MemoryAnswers(), "succeeded", None),
        (MemoryAnswers(), "refused", TaskFailed("NoWay", "never")),
        (Gone(), "discarded", None),
    ],
)
def test_given_a_task_sent_a_minute_ago_when_it_is_answered_then_its_step_took_a_minute(
    answers: MemoryAnswers, outcome: str, error: Exception | None
) -> None:
    def work(_task: Any) -> None:
        if error:
            raise error

    labels = {"step": "Work", "outcome": outcome}
    steps, seconds = value("saga_steps_total", **labels), value("saga_step_duration_seconds_sum", **labels)
    answers.waiting.add("token-1")
    body = orjson.dumps({"task": "Work", "task_token": "token-1"}).decode()

    Consumer(MemoryQueue(), {"Work": answering(work, answers)}).process(
        Message("1", "1", body, 1, time.time() - 60)
    )

    assert value("saga_steps_total", **labels) - steps == 1
    assert value("saga_step_duration_seconds_sum", **labels) - seconds == pytest.approx(60, abs=5)


def test_given_a_backlog_when_a_consumer_works_then_the_length_of_the_queue_and_the_oldest_message_are_known() -> (
    None
):
    queue, stop, hold = MemoryQueue(), threading.Event(), threading.Event()
    for _ in range(5):
        queue.send('{"task": "Work"}')

    def work(_: Mapping[str, Any]) -> None:
        hold.wait(20)

    consumer = Consumer(queue, {"Work": work}, threads=2, wait=0)
    thread = threading.Thread(target=consumer.run, args=(stop,))

    thread.start()
    try:
        wait_for(lambda: value("queue_messages", queue="memory", state="visible") > 0)
        wait_for(lambda: value("queue_oldest_message_age_seconds", queue="memory") > 0.2)
    finally:
        stop.set()
        hold.set()
        thread.join()

    assert value("queue_oldest_message_age_seconds", queue="memory") == 0


def fail(_: Mapping[str, Any]) -> None:
    raise ConnectionError


def age(queue: str) -> float:
    return value("queue_oldest_message_age_seconds", queue=queue)


def test_given_a_message_that_fails_when_it_waits_for_its_next_attempt_then_its_age_still_counts() -> None:
    queue, stop, broken = MemoryQueue(), threading.Event(), [True]
    queue.name = "failing"

    def work(task: Mapping[str, Any]) -> None:
        if broken:
            fail(task)

    consumer = Consumer(queue, {"Work": work}, wait=0)
    sent = Message("1", "1", '{"task": "Work"}', 1, time.time() - 90)
    stop.set()
    consumer.run(stop)
    assert age("failing") == 0

    consumer.process(sent)
    assert age("failing") == pytest.approx(90, abs=5)

    broken.clear()
    consumer.process(replace(sent, deliveries=2))
    assert age("failing") == 0


def test_given_more_failing_messages_than_are_counted_then_the_age_is_that_of_the_first_ones() -> None:
    queue, stop = MemoryQueue(), threading.Event()
    queue.name = "crowded"
    consumer = Consumer(queue, {"Work": fail}, wait=0)
    stop.set()
    consumer.run(stop)

    for number in range(MOST_PAUSED + 5):
        consumer.process(Message(str(number), "1", '{"task": "Work"}', 12, time.time() - 30))
    assert len(consumer._paused) == MOST_PAUSED
    assert age("crowded") == pytest.approx(30, abs=20)


def test_given_a_queue_that_cannot_be_read_for_a_minute_then_the_age_of_its_messages_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unreadable(MemoryQueue):
        def receive(self, limit: int, wait: int) -> list[Message]:  # noqa: ARG002 - as QueuePort.receive
            raise ConnectionError

    queue, stop = Unreadable(), threading.Event()
    queue.name = "unreadable"
    consumer = Consumer(queue, {}, wait=0)
    thread = threading.Thread(target=consumer.run, args=(stop,))
    thread.start()
    try:
        wait_for(lambda: age("unreadable") == 0)
        monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
        wait_for(lambda: math.isnan(age("unreadable")))
    finally:
        stop.set()
        thread.join()


def test_given_a_queue_that_cannot_be_measured_when_it_is_scraped_then_its_length_is_unknown_instead_of_old() -> (
    None
):
    class Refusing(MemoryQueue):
        def depth(self) -> Depth:
            raise PermissionError

    stop = threading.Event()
    stop.set()
    queue = Refusing()
    queue.name = "refusing"

    Consumer(queue, {}, wait=0).run(stop)

    wait_for(lambda: math.isnan(value("queue_messages", queue="refusing", state="visible")))


def test_given_a_record_written_an_hour_ago_when_it_is_sent_then_the_delay_of_the_outbox_is_an_hour() -> None:
    outbox = MemoryOutbox()
    record = OutboxRecord((OutboxMessage("note", {}),), id=ids.first_of(clock.now() - timedelta(hours=1)))
    outbox.add(record)
    before = value("outbox_delay_seconds_sum")

    Relay(outbox, {"note": lambda _: None}).relay(record)

    assert value("outbox_delay_seconds_sum") - before == pytest.approx(3600, abs=5)


def test_given_concurrent_writes_when_the_work_loses_every_time_then_each_conflict_is_counted() -> None:
    retried, given_up = (value("write_conflicts_total", result=each) for each in ("retried", "given_up"))

    def lose() -> None:
        raise Stale

    with pytest.raises(Unavailable):
        retry_on_stale(lose, "a row")

    assert value("write_conflicts_total", result="retried") - retried == 7
    assert value("write_conflicts_total", result="given_up") - given_up == 1
