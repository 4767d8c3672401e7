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


def test_a_ledger_keeps_the_first_entry_of_each_key(ledger: Ledger) -> None:
    first = {"what": "CHARGED", "amount": {"amount": 1}}

    assert ledger.record("key", first) is None
    assert ledger.record("key", {"what": "CLOSED"}) == first
    assert ledger.record("key", {"what": "CLOSED"}) == first
    assert ledger.record("other", {"what": "CLOSED"}) is None


def test_a_ledger_counts_each_key(ledger: Ledger) -> None:
    assert [ledger.count("key"), ledger.count("key"), ledger.count("other")] == [1, 2, 1]


def test_an_attempt_is_not_an_entry(ledger: Ledger) -> None:
    ledger.count("key")

    assert ledger.record("key", {"what": "BOOKED"}) is None
