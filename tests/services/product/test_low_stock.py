"""Low stock: one event for each time that a product runs low, whatever the stream delivers."""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

import services.product
from services.common.aws import dynamo
from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.events import Event
from services.common.values.errors import Stale, UnreadableRow
from services.product import handlers, low_stock, watch_function
from services.product.domain import Item
from services.product.dynamo import DynamoCatalogue, DynamoStock
from services.product.levels import DynamoLevels
from services.product.low_stock import Change, Level, Levels
from services.product.watch_function import Dependencies, Unreadable
from shopdev.cloudformation import stacks
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER, new_table
from tests.services.memory import MemoryPublisher
from tests.services.product.fakes import MemoryLevels
from tests.services.product.world import NOW, product

CONTRACT = Path(services.product.__file__).parent / "contracts" / "shop.stock.low.v1.json"
LOW = 10


def change(available: int, sequence: int, sku: str = "TEA") -> Change:
    return Change(sku, available, str(sequence).zfill(40), NOW)


def record(available: Any, sequence: int, sku: str = "TEA", name: str = "MODIFY") -> dict[str, Any]:
    return {
        "eventName": name,
        "dynamodb": {
            "Keys": {"pk": {"S": f"PRODUCT#{sku}"}, "sk": {"S": "PRODUCT"}},
            "NewImage": {"available": {"N": str(available)}},
            "SequenceNumber": str(sequence),
            "ApproximateCreationDateTime": 1767225600.0,
        },
    }


class Failing(MemoryPublisher):
    """Fails a number of times, before or after it accepts the event."""

    def __init__(self, times: int, *, taken: bool) -> None:
        super().__init__()
        self.times, self.taken = times, taken

    def publish(self, events: Sequence[Event]) -> None:
        if self.times:
            self.times -= 1
            if self.taken:
                super().publish(events)
            raise ConnectionError
        super().publish(events)


@pytest.fixture(params=["memory", *EITHER])
def levels(request: pytest.FixtureRequest) -> Levels:
    if request.param == "memory":
        return MemoryLevels()
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.dynamodb
    return DynamoLevels(client, new_table(account.clients))


def count(changes: Sequence[Change], levels: Levels, publisher: MemoryPublisher) -> list[str]:
    for each in changes:
        low_stock.count(each, threshold=LOW, levels=levels, publisher=publisher)
    return [event.id for event in publisher.events]


def test_given_falling_stock_when_it_reaches_the_threshold_then_one_event_is_published(
    levels: Levels,
) -> None:
    publisher = MemoryPublisher()

    assert count([change(50, 1), change(11, 2), change(10, 3), change(4, 4)], levels, publisher) == [
        "TEA-low-1"
    ]
    (event,) = publisher.events
    jsonschema.validate(event.to_dict(), orjson.loads(CONTRACT.read_bytes()))
    assert event.data == {"sku": "TEA", "available": 10, "threshold": 10}
    assert levels.find("TEA") == Level("TEA", 4, change(0, 4).sequence, low=True, episodes=1)


def test_given_a_new_product_with_low_stock_when_it_is_counted_then_an_event_is_published(
    levels: Levels,
) -> None:
    assert count([change(3, 1)], levels, MemoryPublisher()) == ["TEA-low-1"]


def test_given_a_restocked_product_when_its_stock_falls_again_then_a_second_event_is_published(
    levels: Levels,
) -> None:
    changes = [change(5, 1), change(11, 2), change(5, 3), change(20, 4), change(10, 5)]

    assert count(changes, levels, MemoryPublisher()) == ["TEA-low-1", "TEA-low-2"]


@pytest.mark.parametrize("seed", range(5))
def test_given_repeated_or_late_records_when_they_are_counted_then_the_events_are_the_same(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a sequence of changes, not a secret
    changes = [change(chance.randrange(40), number) for number in range(200)]
    once = count(changes, MemoryLevels(), MemoryPublisher())
    # A stream brings what came after the last checkpoint again, in its order.
    replayed: list[Change] = []
    for at in range(0, 200, 10):
        replayed += changes[max(0, at - chance.randrange(30)) : at + 10]
    levels = MemoryLevels()

    assert count(replayed, levels, MemoryPublisher()) == once
    assert levels.known["TEA"].available == changes[-1].available


@pytest.mark.parametrize("taken", [True, False])
def test_given_a_failing_topic_when_the_record_is_redelivered_then_the_event_is_published_under_the_same_id(
    levels: Levels, *, taken: bool
) -> None:
    publisher = Failing(2, taken=taken)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            count([change(5, 1)], levels, publisher)

    assert set(count([change(5, 1)], levels, publisher)) == {"TEA-low-1"}
    known = levels.find("TEA")
    assert known
    assert known.untold is None


def test_given_an_unpublished_event_when_the_next_change_arrives_then_that_event_is_published_first(
    levels: Levels,
) -> None:
    publisher = Failing(1, taken=False)
    with pytest.raises(ConnectionError):
        count([change(5, 1)], levels, publisher)

    assert count([change(50, 2), change(5, 3)], levels, publisher) == ["TEA-low-1", "TEA-low-2"]


def test_given_two_concurrent_runs_when_one_saves_first_then_the_other_is_stale(levels: Levels) -> None:
    before = levels.find("TEA")
    count([change(50, 1)], levels, MemoryPublisher())

    with pytest.raises(Stale):
        levels.save(Level("TEA", 3, change(0, 2).sequence), before)


# ---- the function


def stream(account: AwsServer, table: str) -> list[dict[str, Any]]:
    """The records of a table's changes, as Lambda hands them to a function: times are seconds of Unix time."""
    streams = account.clients.dynamodbstreams
    arn = account.clients.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    found: list[dict[str, Any]] = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        start = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for each in streams.get_records(ShardIterator=start)["Records"]:
            change = each["dynamodb"]
            if change.get("NewImage") == change["Keys"]:
                continue  # moto tells twice of an item that UpdateItem makes, first with nothing but its keys
            at = change["ApproximateCreationDateTime"].timestamp()
            found.append({**each, "dynamodb": {**change, "ApproximateCreationDateTime": at}})
    return found


def test_given_stock_moves_of_a_product_when_the_stream_of_its_table_is_read_then_every_change_is_parsed(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    outbox, levels = DynamoOutbox(client, table), DynamoLevels(client, create_table())
    stock = DynamoStock(client, table, outbox)
    handlers.put_product(product("TEA"), 50, catalogue=DynamoCatalogue(client, table, outbox))
    handlers.reserve_stock("order-1", [Item("TEA", 45)], stock=stock)
    handlers.release_stock("order-1", stock=stock)
    handlers.reserve_stock("order-2", [Item("TEA", 41)], stock=stock)
    publisher, aside = MemoryPublisher(), list[str]()

    answer = watch_function.work(
        {"Records": stream(account, table)}, Dependencies(levels, publisher, LOW, aside.append)
    )

    assert answer == {"batchItemFailures": []}
    assert aside == []
    assert [event.id for event in publisher.events] == ["TEA-low-1", "TEA-low-2"]
    known = levels.find("TEA")
    assert known
    assert known.available == 9


def dependencies(publisher: MemoryPublisher, aside: list[str]) -> Dependencies:
    return Dependencies(MemoryLevels(), publisher, LOW, aside.append)


POISON = [
    {},
    {"dynamodb": {}},
    {**record(5, 1), "dynamodb": {**record(5, 1)["dynamodb"], "NewImage": {}}},
    record("many", 1),
    {"eventName": "MODIFY", "dynamodb": None},
]


@pytest.mark.parametrize("poison", POISON)
def test_given_an_unreadable_record_in_a_batch_when_it_is_handled_then_only_that_record_is_set_aside(
    poison: dict[str, Any],
) -> None:
    publisher, aside = MemoryPublisher(), list[str]()

    answer = watch_function.work(
        {"Records": [record(5, 1), poison, record(5, 2, "CUP")]}, dependencies(publisher, aside)
    )

    assert answer == {"batchItemFailures": []}
    assert [event.subject for event in publisher.events] == ["TEA", "CUP"]
    (text,) = aside
    assert orjson.loads(text)["record"] == poison
    assert orjson.loads(text)["cause"]


def test_given_another_kind_of_row_or_a_removed_product_when_its_record_arrives_then_it_is_not_counted() -> (
    None
):
    other = record(5, 1)
    other["dynamodb"]["Keys"]["sk"]["S"] = "RESERVATION"

    assert watch_function.change(other) is None
    assert watch_function.change(record(5, 1, name="REMOVE")) is None
    with pytest.raises(Unreadable):
        watch_function.change(record("", 1))


def test_given_sequence_numbers_of_different_lengths_when_they_are_compared_then_they_are_compared_as_numbers() -> (
    None
):
    first, second = watch_function.change(record(5, 99)), watch_function.change(record(5, 100))

    assert first
    assert second
    assert first.sequence < second.sequence


SOURCE = stacks.document("functions-catalogue")["Resources"]["ChangesSource"]["Properties"]


def lambda_delivers(records: list[dict[str, Any]], given: Dependencies) -> list[str]:
    """Process a shard as AWS Lambda does with ReportBatchItemFailures, according to its documentation: it continues
    from the lowest sequence number that failed, and halves the batch there. Answers what is given up on, after the
    template's number of attempts or at its age; all records are of the same moment.
    """
    attempts, oldest = SOURCE["MaximumRetryAttempts"], SOURCE["MaximumRecordAgeInSeconds"]
    given_up: list[str] = []
    waiting, retries, age = [records], 0, 0
    while waiting:
        batch = waiting.pop(0)
        if age > oldest:
            given_up += [each["dynamodb"]["SequenceNumber"] for each in batch]
            continue
        failures: list[Mapping[str, str]] = watch_function.work({"Records": batch}, given)[
            "batchItemFailures"
        ]
        if not failures:
            retries = 0
            continue
        lowest = [each["dynamodb"]["SequenceNumber"] for each in batch].index(failures[0]["itemIdentifier"])
        rest = batch[lowest:]
        age += 2**retries  # Lambda retries with exponential backoff
        if len(rest) > 1:
            middle = len(rest) // 2
            waiting[:0] = [rest[:middle], rest[middle:]]
        elif retries == attempts:
            given_up += [each["dynamodb"]["SequenceNumber"] for each in rest]
            retries = 0
        else:
            retries += 1
            waiting.insert(0, rest)
    return given_up


class Broken(MemoryLevels):
    """Fails for one product.

    Args:
        error: why.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def find(self, sku: str) -> Level | None:
        if sku == "BROKEN":
            raise self.error
        return super().find(sku)


def nine(broken_at: int) -> list[dict[str, Any]]:
    """Records of as many products, one of them BROKEN."""
    records = [record(5, number, f"SKU-{number}") for number in range(9)]
    records[broken_at] = record(5, broken_at, "BROKEN")
    return records


@pytest.mark.parametrize("place", range(9))
def test_given_an_unreadable_level_when_lambda_delivers_the_batch_then_all_other_records_are_counted_once(
    place: int,
) -> None:
    publisher, aside = MemoryPublisher(), list[str]()
    given = Dependencies(Broken(UnreadableRow("no level")), publisher, LOW, aside.append)

    assert watch_function.work({"Records": nine(place)}, given) == {"batchItemFailures": []}
    assert lambda_delivers(nine(place), given) == []

    assert [orjson.loads(text)["cause"] for text in aside] == ["no level"] * 2
    assert orjson.loads(aside[0])["record"] == nine(place)[place]
    assert len(publisher.events) == 8
    assert len({event.id for event in publisher.events}) == 8


def test_given_an_unreadable_level_in_the_table_when_its_product_changes_then_only_its_record_is_set_aside(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    levels, publisher, aside = DynamoLevels(client, table), MemoryPublisher(), list[str]()
    levels.save(Level("TEA", 50), None)
    client.update_item(
        TableName=table,
        Key=dynamo.pack({"pk": "PRODUCT#TEA", "sk": "LEVEL"}),
        UpdateExpression="REMOVE episodes",
    )

    answer = watch_function.work(
        {"Records": [record(5, 1), record(5, 2, "CUP")]}, Dependencies(levels, publisher, LOW, aside.append)
    )

    assert answer == {"batchItemFailures": []}
    assert [event.subject for event in publisher.events] == ["CUP"]
    (text,) = aside
    assert "PRODUCT#TEA LEVEL" in orjson.loads(text)["cause"]


@pytest.mark.parametrize("place", range(9))
def test_given_a_table_that_fails_for_one_product_when_lambda_retries_then_preceding_records_are_counted_once(
    place: int,
) -> None:
    publisher = MemoryPublisher()
    given = Dependencies(Broken(ConnectionError()), publisher, LOW, list[str]().append)

    given_up = lambda_delivers(nine(place), given)

    assert given_up == [str(number) for number in range(place, 9)], "what follows is as old as what failed"
    assert [event.subject for event in publisher.events] == [f"SKU-{number}" for number in range(place)]


def test_given_an_unavailable_topic_when_lambda_retries_the_batch_then_every_event_is_published() -> None:
    publisher = Failing(5, taken=False)
    records = [record(5, number, f"SKU-{number}") for number in range(20)]

    assert lambda_delivers(records, dependencies(publisher, [])) == []
    assert {event.id for event in publisher.events} == {f"SKU-{number}-low-1" for number in range(20)}
