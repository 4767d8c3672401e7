"""One key, one effect, one answer: the store in memory and the one in DynamoDB alike."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.common.errors import Unprocessable
from services.common.idempotency import (
    Answer,
    Claim,
    ClaimLost,
    DynamoIdempotency,
    IdempotencyStore,
    InFlight,
    KeyReused,
    MemoryIdempotency,
    fingerprint,
    once,
)

CLAIM = Claim("guest POST /things", "key", fingerprint({"a": 1}))
ANSWER = Answer(201, {"id": "1"}, {"Location": "/things/1"})
Complete = Callable[[Claim, Answer], None]


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", pytest.param("dynamodb", marks=pytest.mark.emulator)])
def kept(request: pytest.FixtureRequest, now: Clock) -> tuple[IdempotencyStore, Complete]:
    if request.param == "memory":
        memory = MemoryIdempotency(now)
        return memory, memory.complete
    client = request.getfixturevalue("emulator").clients.dynamodb
    dynamo = DynamoIdempotency(client, request.getfixturevalue("create_table")(), now)

    def complete(claim: Claim, answer: Answer) -> None:
        try:
            client.transact_write_items(TransactItems=[dynamo.completion(claim, answer)])
        except client.exceptions.TransactionCanceledException as refused:
            raise ClaimLost from refused

    return dynamo, complete


@pytest.fixture
def store(kept: tuple[IdempotencyStore, Complete]) -> IdempotencyStore:
    return kept[0]


@pytest.fixture
def complete(kept: tuple[IdempotencyStore, Complete]) -> Complete:
    return kept[1]


def again(claim: Claim = CLAIM) -> Claim:
    """The same request once more."""
    return replace(claim, owner="a repeat")


def test_a_completed_claim_answers_repeats(store: IdempotencyStore, complete: Complete) -> None:
    assert store.claim(CLAIM) is None
    complete(CLAIM, ANSWER)

    assert store.claim(again()) == ANSWER


def test_a_claim_in_flight_holds_off_repeats_until_it_lapses(store: IdempotencyStore, now: Clock) -> None:
    store.claim(CLAIM)
    with pytest.raises(InFlight):
        store.claim(again())

    now.at += timedelta(seconds=61)

    assert store.claim(again()) is None


def test_whoever_was_late_cannot_complete(store: IdempotencyStore, complete: Complete, now: Clock) -> None:
    store.claim(CLAIM)
    now.at += timedelta(seconds=61)
    store.claim(again())

    with pytest.raises(ClaimLost):
        complete(CLAIM, ANSWER)
    complete(again(), ANSWER)


@pytest.mark.parametrize("done", [True, False])
def test_another_request_cannot_have_the_key(
    store: IdempotencyStore,
    complete: Complete,
    now: Clock,
    done: bool,
) -> None:
    store.claim(CLAIM)
    if done:
        complete(CLAIM, ANSWER)
    now.at += timedelta(seconds=61)

    with pytest.raises(KeyReused):
        store.claim(replace(CLAIM, fingerprint=fingerprint({"a": 2})))


def test_a_key_is_forgotten_after_a_day(store: IdempotencyStore, complete: Complete, now: Clock) -> None:
    store.claim(CLAIM)
    complete(CLAIM, ANSWER)

    now.at += timedelta(hours=24, seconds=1)

    assert store.claim(replace(CLAIM, fingerprint=fingerprint({"a": 2}))) is None


def test_keys_of_two_scopes_are_two(store: IdempotencyStore) -> None:
    store.claim(CLAIM)

    assert store.claim(replace(CLAIM, scope="another")) is None
    assert store.claim(Claim("guest", "POST /things#key", "x")) is None
    assert store.claim(Claim("guest#POST /things", "key", "x")) is None


def test_a_released_key_is_free_for_any_request(store: IdempotencyStore) -> None:
    store.claim(CLAIM)

    store.release(CLAIM)

    assert store.claim(replace(CLAIM, fingerprint="another")) is None


def test_only_the_owner_releases_and_only_before_the_answer(
    store: IdempotencyStore, complete: Complete
) -> None:
    store.claim(CLAIM)
    store.release(again())
    with pytest.raises(InFlight):
        store.claim(again())

    complete(CLAIM, ANSWER)
    store.release(CLAIM)
    assert store.claim(again()) == ANSWER


def test_work_is_done_once(store: IdempotencyStore, complete: Complete) -> None:
    done = []

    def work() -> Answer:
        done.append(1)
        complete(CLAIM, ANSWER)
        return ANSWER

    assert [once(store, CLAIM, work), once(store, again(), work)] == [ANSWER, ANSWER]
    assert done == [1]


def test_refused_work_leaves_the_key_free(store: IdempotencyStore) -> None:
    def refuse() -> Answer:
        raise Unprocessable("no")

    with pytest.raises(Unprocessable):
        once(store, CLAIM, refuse)

    assert store.claim(again()) is None


def test_work_that_failed_after_its_commit_is_answered_to_the_repeat(
    store: IdempotencyStore, complete: Complete
) -> None:
    def lose_the_answer() -> Answer:
        complete(CLAIM, ANSWER)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        once(store, CLAIM, lose_the_answer)

    assert store.claim(again()) == ANSWER


def test_work_that_lost_its_claim_is_in_flight_elsewhere(store: IdempotencyStore) -> None:
    def too_late() -> Answer:
        raise ClaimLost

    with pytest.raises(InFlight):
        once(store, CLAIM, too_late)


def test_a_fingerprint_is_of_content_and_not_of_order() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": [1, 2]}) != fingerprint({"a": [2, 1]})
