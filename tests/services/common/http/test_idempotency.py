"""Idempotency keys: one key, one effect, one response. Each test runs against DynamoDB and in memory."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from services.common.aws import dynamo
from services.common.aws.idempotency import DynamoIdempotency
from services.common.http.idempotency import (
    Answer,
    IdempotencyStore,
    InFlight,
    KeyedRequest,
    KeyReused,
    KeyTaken,
    fingerprint,
    once,
)
from services.common.values.errors import RuleBroken
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER, new_table
from tests.services.memory import MemoryIdempotency
from tests.services.order.world import Clock

REQUEST = KeyedRequest("guest POST /things", "key", fingerprint({"a": 1}))
ANSWER = Answer(201, {"id": "1"}, {"Location": "/things/1"})
OTHER = Answer(201, {"id": "2"})
Record = Callable[[KeyedRequest, Answer], None]


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", *EITHER])
def kept(request: pytest.FixtureRequest, now: Clock) -> tuple[IdempotencyStore, Record]:
    if request.param == "memory":
        memory = MemoryIdempotency(now)
        return memory, memory.record
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.dynamodb
    stored = DynamoIdempotency(client, new_table(account.clients), now)

    def record(keyed: KeyedRequest, answer: Answer) -> None:
        try:
            client.transact_write_items(TransactItems=[stored.record(keyed, answer)])
        except client.exceptions.TransactionCanceledException as refused:
            raise KeyTaken from refused

    return stored, record


@pytest.fixture
def store(kept: tuple[IdempotencyStore, Record]) -> IdempotencyStore:
    return kept[0]


@pytest.fixture
def record(kept: tuple[IdempotencyStore, Record]) -> Record:
    return kept[1]


def test_given_a_recorded_response_when_its_key_is_looked_up_then_the_response_is_returned(
    store: IdempotencyStore, record: Record
) -> None:
    assert store.find(REQUEST) is None

    record(REQUEST, ANSWER)

    assert store.find(REQUEST) == ANSWER


def test_given_a_recorded_response_when_another_is_recorded_under_the_key_then_the_first_is_kept(
    store: IdempotencyStore, record: Record
) -> None:
    record(REQUEST, ANSWER)

    with pytest.raises(KeyTaken):
        record(REQUEST, OTHER)

    assert store.find(REQUEST) == ANSWER


def test_given_a_used_key_when_a_different_request_uses_it_then_it_is_rejected(
    store: IdempotencyStore, record: Record
) -> None:
    record(REQUEST, ANSWER)
    another = replace(REQUEST, fingerprint=fingerprint({"a": 2}))

    with pytest.raises(KeyReused):
        store.find(another)
    with pytest.raises(KeyTaken):
        record(another, OTHER)


def test_given_a_recorded_response_when_a_day_has_passed_then_the_key_can_be_used_again(
    store: IdempotencyStore, record: Record, now: Clock
) -> None:
    record(REQUEST, ANSWER)
    another = replace(REQUEST, fingerprint=fingerprint({"a": 2}))

    now.at += timedelta(hours=24, seconds=1)

    assert store.find(another) is None
    record(another, OTHER)
    assert store.find(another) == OTHER


def test_given_a_key_in_one_scope_when_another_scope_uses_it_then_no_response_is_found(
    store: IdempotencyStore, record: Record
) -> None:
    record(REQUEST, ANSWER)

    assert store.find(replace(REQUEST, scope="another")) is None
    assert store.find(KeyedRequest("guest", "POST /things#key", "x")) is None
    assert store.find(KeyedRequest("guest#POST /things", "key", "x")) is None


def test_given_the_same_request_when_it_is_sent_twice_then_the_work_runs_once(
    store: IdempotencyStore, record: Record
) -> None:
    answers = iter([ANSWER, OTHER])

    def work() -> Answer:
        answer = next(answers)
        record(REQUEST, answer)
        return answer

    assert [once(store, REQUEST, work), once(store, REQUEST, work)] == [ANSWER, ANSWER]


def test_given_a_lost_response_of_the_commit_when_the_sdk_retries_it_then_the_work_succeeds_at_once(
    store: IdempotencyStore, record: Record
) -> None:
    """The SDK retries a write whose response was lost, and the retry fails because of the first attempt."""

    def work() -> Answer:
        record(REQUEST, ANSWER)
        record(REQUEST, ANSWER)
        return ANSWER

    assert once(store, REQUEST, work) == ANSWER


def test_given_rejected_work_when_its_key_is_used_again_then_a_response_can_be_recorded(
    store: IdempotencyStore, record: Record
) -> None:
    def refuse() -> Answer:
        raise RuleBroken("no")

    with pytest.raises(RuleBroken):
        once(store, REQUEST, refuse)

    record(REQUEST, ANSWER)


def test_given_a_recorded_response_when_a_retry_would_now_be_rejected_then_it_gets_the_recorded_response(
    store: IdempotencyStore, record: Record
) -> None:
    record(REQUEST, ANSWER)

    def refuse() -> Answer:
        raise RuleBroken("no longer")

    assert once(store, REQUEST, refuse) == ANSWER
    with pytest.raises(KeyReused):
        once(store, replace(REQUEST, fingerprint="another"), refuse)


def test_given_work_that_fails_after_its_commit_when_the_key_is_looked_up_then_the_response_is_found(
    store: IdempotencyStore, record: Record
) -> None:
    def lose_the_answer() -> Answer:
        record(REQUEST, ANSWER)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        once(store, REQUEST, lose_the_answer)

    assert store.find(REQUEST) == ANSWER


def test_given_a_record_that_expires_before_it_is_read_when_the_work_runs_then_the_request_can_be_retried(
    store: IdempotencyStore, record: Record, now: Clock
) -> None:
    def work() -> Answer:
        record(REQUEST, ANSWER)
        now.at += timedelta(hours=25)
        raise KeyTaken

    with pytest.raises(InFlight):
        once(store, REQUEST, work)


def test_given_a_claim_of_an_earlier_version_when_its_key_is_used_then_it_is_replaced_by_a_response(
    account: AwsServer, create_table: Callable[[], str], now: Clock
) -> None:
    client, table = account.clients.dynamodb, create_table()
    stored = DynamoIdempotency(client, table, now)
    claimed = {
        "pk": f"IDEMPOTENCY#{REQUEST.scope}#{REQUEST.key}",
        "sk": REQUEST.scope,
        "state": "in_flight",
        "fingerprint": REQUEST.fingerprint,
        "expires_at": int((now.at + timedelta(hours=24)).timestamp()),
    }
    client.put_item(TableName=table, Item=dynamo.pack(claimed))

    assert stored.find(REQUEST) is None
    client.transact_write_items(TransactItems=[stored.record(REQUEST, ANSWER)])

    assert stored.find(REQUEST) == ANSWER


def test_given_content_when_its_members_are_reordered_then_the_fingerprint_is_the_same() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": [1, 2]}) != fingerprint({"a": [2, 1]})
