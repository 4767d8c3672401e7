"""What an outbox holds is told at least once, whoever dies: in memory and in DynamoDB alike."""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.common.outbox import DynamoOutbox, MemoryOutbox, Outbox, OutboxMessage, OutboxRecord, Relay

Add = Callable[[OutboxRecord], None]
Eventually = Callable[[Callable[[], object]], None]


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", pytest.param("dynamodb", marks=pytest.mark.emulator)])
def kept(request: pytest.FixtureRequest, now: Clock) -> tuple[Outbox, Add]:
    if request.param == "memory":
        memory = MemoryOutbox(now)
        return memory, memory.add
    client = request.getfixturevalue("emulator").clients.dynamodb
    dynamo = DynamoOutbox(client, request.getfixturevalue("create_table")(), now)

    def add(record: OutboxRecord) -> None:
        client.transact_write_items(TransactItems=[dynamo.addition(record)])

    return dynamo, add


@pytest.fixture
def outbox(kept: tuple[Outbox, Add]) -> Outbox:
    return kept[0]


@pytest.fixture
def add(kept: tuple[Outbox, Add]) -> Add:
    return kept[1]


def a_record(*numbers: int) -> OutboxRecord:
    return OutboxRecord(tuple(OutboxMessage("note", {"n": number}) for number in numbers or (1,)))


def pending(outbox: Outbox) -> list[str]:
    return [record.id for record in outbox.pending(100)]


def test_records_wait_oldest_first_as_they_were_added(outbox: Outbox, add: Add) -> None:
    records = [a_record(1, 2) for _ in range(20)]
    for record in records:
        add(record)

    assert outbox.pending(100) == records
    assert len(outbox.pending(7)) == 7


def test_a_claimed_record_waits_no_more_until_the_claim_lapses(outbox: Outbox, add: Add, now: Clock) -> None:
    record = a_record()
    add(record)

    assert outbox.claim(record)
    assert not outbox.claim(record)
    assert pending(outbox) == []

    now.at += timedelta(seconds=31)
    assert [again.attempts for again in outbox.pending(1)] == [1]
    assert outbox.claim(record)


def test_a_postponed_record_waits_again_after_the_pause(outbox: Outbox, add: Add, now: Clock) -> None:
    record = a_record()
    add(record)
    outbox.claim(record)

    outbox.postpone(record, timedelta(seconds=5))

    assert pending(outbox) == []
    now.at += timedelta(seconds=6)
    assert pending(outbox) == [record.id]


def test_a_record_that_was_told_is_gone_for_good(outbox: Outbox, add: Add) -> None:
    record = a_record()
    add(record)
    outbox.claim(record)

    outbox.done(record)
    outbox.postpone(record, timedelta(0))

    assert pending(outbox) == []
    assert not outbox.claim(record)
    outbox.done(record)


def test_many_claimed_records_do_not_hide_the_rest(outbox: Outbox, add: Add) -> None:
    records = [a_record() for _ in range(60)]
    for record in records:
        add(record)
    for record in records[:-1]:
        outbox.claim(record)

    assert [record.id for record in outbox.pending(1)] == [records[-1].id]


def test_an_outbox_answers_a_ping(outbox: Outbox) -> None:
    outbox.ping()


class Told:
    """Notes what it is told, and fails on some."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.refused: set[int] = set()

    def __call__(self, payload: Mapping[str, Any]) -> None:
        if payload["n"] in self.refused:
            raise ConnectionError
        self.numbers.append(payload["n"])


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_record_is_told_in_order_and_removed(outbox: Outbox, add: Add, told: Told) -> None:
    record = a_record(1, 2, 3)
    add(record)

    assert Relay(outbox, {"note": told}).relay(record)

    assert told.numbers == [1, 2, 3]
    assert pending(outbox) == []


def test_a_record_that_was_half_told_is_told_wholly_again(
    outbox: Outbox, add: Add, told: Told, now: Clock
) -> None:
    record = a_record(1, 2)
    add(record)
    told.refused = {2}
    relay = Relay(outbox, {"note": told})
    assert not relay.relay(record)

    told.refused = set()
    assert pending(outbox) == []
    now.at += timedelta(seconds=2)
    assert relay.relay(record)

    assert told.numbers == [1, 1, 2]


def test_a_record_that_another_relay_has_is_left_alone(outbox: Outbox, add: Add, told: Told) -> None:
    record = a_record()
    add(record)
    outbox.claim(record)

    assert not Relay(outbox, {"note": told}).relay(record)

    assert told.numbers == []


def test_a_record_that_always_fails_is_tried_ever_more_rarely_and_for_ever(now: Clock, told: Told) -> None:
    outbox, record = MemoryOutbox(now), a_record(1)
    outbox.add(record)
    told.refused = {1}
    relay = Relay(outbox, {"note": told})

    for _ in range(20):
        (again,) = outbox.pending(1)
        relay.relay(again)
        now.at += timedelta(seconds=65)

    assert outbox.records[record.id].attempts == 20


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def test_a_running_relay_tells_what_comes_and_survives_an_outage(
    told: Told, stop: threading.Event, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = MemoryOutbox()
    look, failed = outbox.pending, threading.Event()

    def away_once(limit: int) -> list[OutboxRecord]:
        if not failed.is_set():
            failed.set()
            raise ConnectionError
        return look(limit)

    monkeypatch.setattr(outbox, "pending", away_once)
    relay = Relay(outbox, {"note": told})
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()

    for number in range(3):
        outbox.add(a_record(number))
    eventually(lambda: sorted(told.numbers) == [0, 1, 2])
    stop.set()
    thread.join(10)

    assert not thread.is_alive()
    assert relay.alive()
    assert outbox.records == {}
