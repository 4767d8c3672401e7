"""The ledger: each test runs against DynamoDB and against the fake in memory."""

import pytest

from services.common.aws.ledger import DynamoLedger
from services.common.values.ledger import Ledger
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER, new_table
from tests.services.memory import MemoryLedger


@pytest.fixture(params=["memory", *EITHER])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "memory":
        return MemoryLedger()
    account: AwsServer = request.getfixturevalue(request.param)
    return DynamoLedger(account.clients.dynamodb, new_table(account.clients))


def test_given_a_recorded_entry_when_another_has_the_same_key_then_the_first_is_kept(ledger: Ledger) -> None:
    first = {"what": "CHARGED", "amount": {"amount": 1}}

    assert ledger.record("key", first) is None
    assert ledger.record("key", {"what": "CLOSED"}) == first
    assert ledger.record("key", {"what": "CLOSED"}) == first
    assert ledger.record("other", {"what": "CLOSED"}) is None


def test_when_keys_are_counted_then_each_key_has_its_own_count(ledger: Ledger) -> None:
    assert [ledger.count("key"), ledger.count("key"), ledger.count("other")] == [1, 2, 1]


def test_given_a_counted_attempt_when_an_entry_is_recorded_then_no_earlier_entry_exists(
    ledger: Ledger,
) -> None:
    ledger.count("key")

    assert ledger.record("key", {"what": "BOOKED"}) is None
