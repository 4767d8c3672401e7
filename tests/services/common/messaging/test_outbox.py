"""Outbox records are sent at least once, despite crashes. Each test runs against DynamoDB and in memory."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.events import NotPublished
from services.common.messaging.outbox import FACT, Outbox, OutboxMessage, OutboxRecord
from services.common.messaging.relay import BATCH, TOGETHER, Relay, Sender
from services.common.runtime import progress
from services.common.telemetry import metrics
from services.common.values import clock, ids
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER, new_table
from tests.services.memory import MemoryOutbox
from tests.services.order.world import Clock

Add = Callable[[OutboxRecord], None]
Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture(params=["memory", *EITHER])
def kept(request: pytest.FixtureRequest, now: Clock) -> tuple[Outbox, Add]:
    if request.param == "memory":
        memory = MemoryOutbox(now)
        return memory, memory.add
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.dynamodb
    dynamo = DynamoOutbox(client, new_table(account.clients), now)

    def add(record: OutboxRecord) -> None:
        dynamo.transact([], record)

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


def test_given_pending_records_when_they_are_read_then_the_oldest_come_first(
    outbox: Outbox, add: Add
) -> None:
    records = [a_record(1, 2) for _ in range(20)]
    for record in records:
        add(record)

    assert outbox.pending(100) == records
    assert len(outbox.pending(7)) == 7


def test_given_a_claimed_record_when_the_claim_expires_then_it_is_pending_again(
    outbox: Outbox, add: Add, now: Clock
) -> None:
    record = a_record()
    add(record)

    assert outbox.claim(record)
    assert not outbox.claim(record)
    assert pending(outbox) == []

    now.at += timedelta(seconds=31)
    assert [again.attempts for again in outbox.pending(1)] == [1]
    assert outbox.claim(record)


def test_given_a_postponed_record_when_the_pause_ends_then_it_is_pending_again(
    outbox: Outbox, add: Add, now: Clock
) -> None:
    record = a_record()
    add(record)
    outbox.claim(record)

    outbox.postpone(record, timedelta(seconds=5))

    assert pending(outbox) == []
    now.at += timedelta(seconds=6)
    assert pending(outbox) == [record.id]


def test_given_an_adopted_record_when_it_is_written_then_it_is_handed_over_and_pending_only_after_a_crash(
    outbox: Outbox, add: Add, now: Clock
) -> None:
    arrived: list[OutboxRecord] = []
    earlier, record = a_record(1), a_record(2)
    add(earlier)
    outbox.adopt(arrived.append)

    add(record)

    assert [(each, each.is_claimed) for each in arrived] == [(record, True)]
    assert pending(outbox) == [earlier.id]
    assert not outbox.claim(record)
    now.at += timedelta(seconds=31)
    assert pending(outbox) == [earlier.id, record.id]


def test_given_a_failed_transaction_when_its_record_is_adopted_then_it_is_not_handed_over(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    table, arrived = create_table(), list[OutboxRecord]()
    outbox = DynamoOutbox(account.clients.dynamodb, table)
    outbox.adopt(arrived.append)
    missing: Any = {
        "TableName": table,
        "Key": dynamo.pack({"pk": "none", "sk": "none"}),
        "ConditionExpression": "attribute_exists(pk)",
    }

    with pytest.raises(ClientError):
        outbox.transact([{"Delete": missing}], a_record())

    assert (arrived, outbox.pending(10)) == ([], [])


def test_given_more_records_than_one_request_deletes_when_they_are_done_then_all_are_deleted(
    outbox: Outbox, add: Add
) -> None:
    records = [a_record(number) for number in range(30)]
    for record in records:
        add(record)

    outbox.done(*records)

    assert pending(outbox) == []


def test_given_items_that_dynamodb_leaves_unprocessed_when_records_are_done_then_these_are_deleted_again(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    requests: list[int] = []

    class Busy:
        def __getattr__(self, operation: str) -> Any:
            return getattr(account.clients.dynamodb, operation)

        def batch_write_item(self, *, RequestItems: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: N803 - AWS's name
            ((table, items),) = RequestItems.items()
            requests.append(len(items))
            account.clients.dynamodb.batch_write_item(RequestItems={table: items[:1]})
            return {"UnprocessedItems": {table: items[1:]} if items[1:] else {}}

    client: Any = Busy()
    outbox, records = DynamoOutbox(client, create_table()), [a_record(number) for number in range(3)]
    for record in records:
        outbox.transact([], record)

    outbox.done(*records)

    assert (requests, outbox.pending(10)) == ([3, 2, 1], [])


def test_given_a_sent_record_when_it_is_marked_done_then_it_is_deleted(outbox: Outbox, add: Add) -> None:
    record = a_record()
    add(record)
    outbox.claim(record)

    outbox.done(record)
    outbox.postpone(record, timedelta(0))

    assert pending(outbox) == []
    assert not outbox.claim(record)
    outbox.done(record)


def test_given_many_claimed_records_when_pending_ones_are_read_then_the_unclaimed_one_is_found(
    outbox: Outbox, add: Add
) -> None:
    records = [a_record() for _ in range(60)]
    for record in records:
        add(record)
    for record in records[:-1]:
        outbox.claim(record)

    assert [record.id for record in outbox.pending(1)] == [records[-1].id]


@pytest.mark.parametrize("ahead", [timedelta(minutes=4), timedelta(minutes=-4)])
def test_given_a_claim_by_a_wrong_clock_when_its_owner_crashes_then_the_claim_expires(
    outbox: Outbox, add: Add, now: Clock, ahead: timedelta
) -> None:
    """Its owner crashed. AWS accepts signatures of clocks that are up to five minutes off."""
    record = a_record()
    add(record)
    now.at += ahead
    assert outbox.claim(record)
    outbox.postpone(record, timedelta(seconds=64))
    now.at -= ahead

    now.at += timedelta(seconds=129)

    assert pending(outbox) == [record.id]
    assert outbox.claim(record)


def test_given_a_lost_response_when_the_sdk_retries_a_claim_then_the_claim_succeeds(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    """The SDK retries a call whose response was lost."""

    class Repeating:
        def __getattr__(self, operation: str) -> Any:
            return getattr(account.clients.dynamodb, operation)

        def update_item(self, **update: Any) -> None:
            account.clients.dynamodb.update_item(**update)
            account.clients.dynamodb.update_item(**update)

    client: Any = Repeating()
    repeating, record = DynamoOutbox(client, create_table()), a_record()
    client.transact_write_items(TransactItems=[repeating.addition(record)])

    assert repeating.claim(record)
    assert not repeating.claim(record)


UNREADABLE: Mapping[str, Mapping[str, Any]] = {
    "no JSON": {"messages": "{"},
    "another shape": {"messages": '{"kind": "note"}'},
    "no messages": {},
    "messages of no text": {"messages": 7},
    "a message of no object": {"messages": '[["fact", "text"]]'},
    "attempts of no number": {"messages": "[]", "attempts": "1"},
    "never claimed": {"messages": "[[]]", "claimed_until": None},
}


@pytest.mark.parametrize("row", UNREADABLE)
def test_given_an_unreadable_record_when_pending_ones_are_read_then_it_is_counted_and_the_others_are_found(
    account: AwsServer, create_table: Callable[[], str], now: Clock, row: str
) -> None:
    client, table = account.clients.dynamodb, create_table()
    outbox, good = DynamoOutbox(client, table, now), a_record()
    written = {"traceparent": "x", "attempts": 0, "claimed_until": "", **UNREADABLE[row]}
    for partition in range(4):
        bad = {"pk": f"OUTBOX#{partition}", "sk": f"bad-{partition}"}
        item = {name: value for name, value in {**bad, **written}.items() if value is not None}
        client.put_item(TableName=table, Item=dynamo.pack(item))
    client.transact_write_items(TransactItems=[outbox.addition(good)])
    counter = metrics.UNREADABLE_ROWS.labels("outbox")
    before = counter._value.get()

    assert pending(outbox) == pending(outbox) == [good.id]
    assert counter._value.get() == before + 4

    now.at += timedelta(seconds=65)
    assert pending(outbox) == [good.id]
    assert counter._value.get() == before + 8


def test_given_an_unavailable_outbox_when_readiness_is_checked_a_minute_later_then_the_relay_is_not_ready(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_limit: int) -> list[OutboxRecord]:
        raise ConnectionError("away")

    relay, stop = Relay(outbox, {}), threading.Event()
    stop.set()
    monkeypatch.setattr(outbox, "pending", away)
    relay._read(stop)
    relay.ready()

    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)

    with pytest.raises(progress.NoProgress, match="away"):
        relay.ready()


@pytest.mark.parametrize(("kind", "is_ready"), [("note", False), ("of a later version", True)])
def test_given_records_that_cannot_be_sent_when_readiness_is_checked_then_only_known_kinds_count(
    kind: str, is_ready: bool, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_payloads: Sequence[Mapping[str, Any]]) -> None:
        raise ConnectionError("away")

    outbox = MemoryOutbox(now)
    relay = Relay(outbox, {"note": away})
    for _ in range(2):
        record = OutboxRecord((OutboxMessage(kind, {}),))
        outbox.add(record)
        assert not relay.relay(record)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)

    with nullcontext() if is_ready else pytest.raises(progress.NoProgress, match="away"):
        relay.ready()
    assert outbox.pending(10) == [], "they are tried again after a pause"


def test_given_postponed_records_when_the_oldest_age_is_read_then_it_includes_them(
    outbox: Outbox, add: Add
) -> None:
    assert outbox.oldest() == 0.0
    old = OutboxRecord((OutboxMessage("note", {"n": 1}),), id=ids.first_of(clock.now() - timedelta(hours=1)))
    for record in (old, a_record(2)):
        add(record)
        assert outbox.claim(record)
        outbox.postpone(record, timedelta(seconds=64))

    assert pending(outbox) == []
    assert 3599 < outbox.oldest() < 3700

    outbox.done(old)
    assert outbox.oldest() < 60


def test_given_a_record_that_cannot_be_sent_when_the_relay_runs_then_the_gauge_shows_its_age(
    now: Clock, told: "Told", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that failed is postponed, so that hardly ever one of them is free."""
    monkeypatch.setattr("services.common.messaging.relay.MEASURED_EVERY", 0.0)
    kept, record = MemoryOutbox(now), replace(a_record(1), id=ids.first_of(clock.now() - timedelta(hours=1)))
    kept.add(record)
    told.refused = {1}
    relay, stop = Relay(kept, {"note": told}), threading.Event()

    (failing,) = relay._read(stop)
    assert not relay.relay(failing)
    assert relay._read(stop) == []

    assert 3599 < metrics.OUTBOX_AGE._value.get() < 3700
    kept.done(record)
    relay._read(stop)
    assert metrics.OUTBOX_AGE._value.get() == 0.0


def test_given_an_outbox_when_it_is_pinged_then_it_responds(outbox: Outbox) -> None:
    outbox.ping()


def test_given_a_record_in_an_unexpected_partition_when_the_relay_runs_then_it_is_sent_and_deleted(
    account: AwsServer, create_table: Callable[[], str], now: Clock, told: "Told"
) -> None:
    """A version with another number of partitions wrote it."""
    client, table = account.clients.dynamodb, create_table()
    outbox, record = DynamoOutbox(client, table, now), a_record(1)
    usual = dynamo.unpack(outbox.addition(record)["Put"]["Item"])
    other = f"OUTBOX#{(int(usual['pk'][-1]) + 1) % 4}"
    client.put_item(TableName=table, Item=dynamo.pack({**usual, "pk": other}))
    relay = Relay(outbox, {"note": told})

    told.refused = {1}
    (found,) = outbox.pending(10)
    assert not relay.relay(found)
    assert pending(outbox) == []

    told.refused = set()
    now.at += timedelta(seconds=2)
    (found,) = outbox.pending(10)
    assert relay.relay(found)
    assert (told.numbers, client.scan(TableName=table)["Items"]) == ([1], [])


class Told:
    """Records the messages that it receives, and fails on some."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.refused: set[int] = set()

    def __call__(self, payloads: Sequence[Mapping[str, Any]]) -> None:
        for payload in payloads:
            if payload["n"] in self.refused:
                raise ConnectionError
            self.numbers.append(payload["n"])


@pytest.fixture
def told() -> Told:
    return Told()


def test_given_a_record_of_several_messages_when_it_is_relayed_then_they_are_sent_in_order(
    outbox: Outbox, add: Add, told: Told
) -> None:
    record = a_record(1, 2, 3)
    add(record)

    assert Relay(outbox, {"note": told}).relay(record)

    assert told.numbers == [1, 2, 3]
    assert pending(outbox) == []


def test_given_messages_of_two_kinds_when_they_are_relayed_then_adjacent_ones_share_a_call_and_order_is_kept(
    outbox: Outbox, add: Add
) -> None:
    kinds = ("note", "note", "fact", "note")
    record = OutboxRecord(tuple(OutboxMessage(kind, {"n": number}) for number, kind in enumerate(kinds)))
    add(record)
    calls: list[tuple[str, list[int]]] = []

    def teller(kind: str) -> Sender:
        return lambda payloads: calls.append((kind, [payload["n"] for payload in payloads]))

    assert Relay(outbox, {kind: teller(kind) for kind in kinds}).relay(record)

    assert calls == [("note", [0, 1]), ("fact", [2]), ("note", [3])]


def test_given_a_partially_sent_record_when_it_is_retried_then_all_its_messages_are_sent_again(
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


def test_given_a_record_claimed_by_another_relay_when_the_relay_runs_then_it_is_skipped(
    outbox: Outbox, add: Add, told: Told
) -> None:
    record = a_record()
    add(record)
    outbox.claim(record)

    assert not Relay(outbox, {"note": told}).relay(record)

    assert told.numbers == []


def test_given_a_record_that_always_fails_when_the_relay_runs_then_it_is_retried_without_limit(
    now: Clock, told: Told
) -> None:
    outbox, record = MemoryOutbox(now), a_record(1)
    outbox.add(record)
    told.refused = {1}
    relay = Relay(outbox, {"note": told})

    for _ in range(20):
        (again,) = outbox.pending(1)
        relay.relay(again)
        now.at += timedelta(seconds=65)

    assert outbox.records[record.id].attempts == 20


class Topic:
    """Records the events of each call. An event of `poison` cannot be published, and fails all events of its call."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.poison: set[int] = set()
        self.error: Exception = NotPublished("1 of 2")

    def __call__(self, payloads: Sequence[Mapping[str, Any]]) -> None:
        numbers = [payload["n"] for payload in payloads]
        self.calls.append(numbers)
        if self.poison & set(numbers):
            raise self.error


def a_fact(number: int) -> OutboxRecord:
    return OutboxRecord((OutboxMessage(FACT, {"n": number}),))


def run_once(relay: Relay) -> None:
    """Runs a relay as in a shutdown: it sends what there is."""
    stop = threading.Event()
    stop.set()
    relay.run(stop)


def test_given_events_of_several_records_when_the_relay_runs_then_they_are_published_together(
    outbox: Outbox, add: Add
) -> None:
    topic = Topic()
    for number in range(TOGETHER + 2):
        add(a_fact(number))

    run_once(Relay(outbox, {FACT: topic}))

    assert topic.calls == [list(range(TOGETHER)), [TOGETHER, TOGETHER + 1]]
    assert pending(outbox) == []


def test_given_a_message_before_the_events_of_a_record_when_the_relay_runs_then_it_is_sent_first_and_alone(
    outbox: Outbox, add: Add, told: Told
) -> None:
    topic = Topic()
    for number in range(2):
        add(OutboxRecord((OutboxMessage("note", {"n": number}), OutboxMessage(FACT, {"n": number}))))
    told.refused = {1}

    run_once(Relay(outbox, {"note": told, FACT: topic}))

    assert (told.numbers, topic.calls) == ([0], [[0]])


@pytest.mark.parametrize("error", [NotPublished("1 of 3"), ValueError("no time")], ids=repr)
def test_given_a_record_with_an_event_that_is_refused_when_it_is_sent_with_others_then_only_it_is_put_off(
    outbox: Outbox, add: Add, now: Clock, error: Exception
) -> None:
    topic, records = Topic(), [a_fact(number) for number in range(3)]
    topic.poison, topic.error = {1}, error
    for record in records:
        add(record)

    run_once(Relay(outbox, {FACT: topic}))

    assert topic.calls == [[0, 1, 2], [0], [1], [2]]
    now.at += timedelta(seconds=65)
    assert pending(outbox) == [records[1].id]


def test_given_an_unavailable_topic_when_records_are_sent_together_then_it_is_asked_once_and_all_are_put_off(
    outbox: Outbox, add: Add, now: Clock
) -> None:
    topic, records = Topic(), [a_fact(number) for number in range(3)]
    topic.poison, topic.error = {1}, ConnectionError("away")
    for record in records:
        add(record)

    run_once(Relay(outbox, {FACT: topic}))

    assert topic.calls == [[0, 1, 2]]
    assert pending(outbox) == []
    now.at += timedelta(seconds=65)
    assert pending(outbox) == [record.id for record in records]


def test_given_records_that_the_process_writes_when_the_relay_runs_then_it_sends_them_without_a_claim(
    eventually: Eventually, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, topic, claims = MemoryOutbox(), Topic(), list[str]()
    monkeypatch.setattr(outbox, "claim", lambda record: claims.append(record.id))
    thread = threading.Thread(target=Relay(outbox, {FACT: topic}).run, args=(stop,))
    thread.start()
    eventually(lambda: outbox._arrived)

    outbox.add(a_fact(1))

    eventually(lambda: outbox.records == {})
    stop.set()
    thread.join(10)
    assert (topic.calls, claims) == ([[1]], [])


def test_given_a_record_of_the_process_that_fails_when_its_pause_ends_then_it_is_found_in_the_outbox(
    now: Clock,
) -> None:
    outbox, topic = MemoryOutbox(now), Topic()
    topic.poison, topic.error = {1}, ConnectionError("away")
    relay = Relay(outbox, {FACT: topic})
    run_once(relay)
    record = a_fact(1)
    outbox.add(record)
    run_once(relay)
    assert (topic.calls, pending(outbox)) == ([[1]], [])

    topic.poison = set()
    now.at += timedelta(seconds=2)
    run_once(relay)

    assert (topic.calls, outbox.records) == ([[1], [1]], {})


class Endless(threading.Event):
    """Lets the first pause of a loop last until it is stopped."""

    def wait(self, _timeout: float | None = None) -> bool:
        return super().wait()


def test_given_a_record_of_the_process_that_is_more_than_events_when_it_is_written_then_it_is_sent_without_a_pause(
    eventually: Eventually, told: Told
) -> None:
    outbox, topic, stop = MemoryOutbox(), Topic(), Endless()
    thread = threading.Thread(target=Relay(outbox, {"note": told, FACT: topic}).run, args=(stop,))
    thread.start()
    eventually(lambda: outbox._arrived)

    for number in range(20):
        record = a_record(number)
        outbox.add(replace(record, messages=(*record.messages, *a_fact(number).messages)))

    eventually(lambda: sorted(told.numbers) == list(range(20)))
    assert topic.calls == []
    stop.set()
    thread.join(10)
    assert sorted(number for call in topic.calls for number in call) == list(range(20))
    assert outbox.records == {}


def test_given_a_record_of_the_process_that_waited_longer_than_its_claim_when_it_is_sent_then_it_is_claimed_again(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, claims = MemoryOutbox(), list[str]()
    monkeypatch.setattr(outbox, "claim", lambda record: claims.append(record.id))
    record = replace(a_record(1), is_claimed=True)
    monkeypatch.setattr(ids, "age", lambda _: 31.0)

    assert not Relay(outbox, {"note": told}).relay(record)

    assert (told.numbers, claims) == ([], [record.id])


class Pauses(threading.Event):
    """Records the pauses of a loop, and is set after a few of them."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.noted.append(timeout)
        if len(self.noted) == 5:
            self.set()
        return self.is_set()


@pytest.mark.parametrize("failure", ["no right to write", "another relay is faster", "no records"])
def test_given_a_relay_that_sends_nothing_when_it_runs_then_it_reads_the_outbox_less_often(
    failure: str, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses, looks = Pauses(), list[int]()

    class Refusing(MemoryOutbox):
        def pending(self, limit: int) -> list[OutboxRecord]:
            looks.append(limit)
            if len(looks) == 100:
                pauses.set()
            return super().pending(limit)

        def claim(self, record: OutboxRecord) -> bool:
            if failure == "no right to write":
                self.postpone(record, timedelta())
            return False

        def postpone(self, _record: OutboxRecord, _pause: timedelta) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "UpdateItem")

    outbox = Refusing()
    for _ in range(0 if failure == "no records" else 2):
        outbox.add(a_record())

    Relay(outbox, {"note": told}, shortest=0.05, longest=0.3).run(pauses)

    assert pauses.noted == [0.05, 0.1, 0.2, 0.3, 0.3]
    assert len(looks) == 5 + 1, "one before each pause, and the last one of the shutdown"
    assert "Traceback" not in capsys.readouterr().out


def test_given_a_running_relay_when_an_outage_ends_then_it_sends_new_records(
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


def test_given_records_of_the_last_messages_when_the_relay_shuts_down_then_it_sends_them_first(
    told: Told, stop: threading.Event
) -> None:
    """With no replicas, nothing sends them before the next message arrives."""
    outbox = MemoryOutbox()
    for number in range(BATCH + 1):
        outbox.add(a_record(number))
    stop.set()

    Relay(outbox, {"note": told}).run(stop)

    assert sorted(told.numbers) == list(range(BATCH + 1))
    assert outbox.records == {}


def test_given_a_receiver_that_fails_when_the_relay_shuts_down_then_it_ends_and_the_records_stay(
    told: Told, stop: threading.Event
) -> None:
    outbox = MemoryOutbox()
    outbox.add(a_record())
    told.refused = {1}
    stop.set()

    Relay(outbox, {"note": told}).run(stop)

    assert told.numbers == []
    assert len(outbox.records) == 1
