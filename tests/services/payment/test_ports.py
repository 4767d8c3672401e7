"""The contract of the payment service's ports: each test runs against the real adapters and the fakes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from services.common.aws.ledger import DynamoLedger
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.messaging.outbox import Outbox
from services.common.values.errors import Stale
from services.common.values.ledger import Ledger
from services.common.values.money import Money
from services.payment import domain
from services.payment.domain import Charge, Payment
from services.payment.dynamo import DynamoPayments
from services.payment.ports import Declined, KeyClosed, Payments, Tokens, Unreachable
from services.payment.provider import Sandbox
from shopdev.processes.emulator import AwsServer
from tests.services import tables
from tests.services.accounts import EITHER, new_table
from tests.services.memory import MemoryLedger, MemoryOutbox
from tests.services.payment.fakes import MemoryPayments, MemoryVault

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PRICE = Money(1299, "EUR")
CHARGE = Charge("pay_1", PRICE, NOW)
BEGUN = domain.begun("order-1", "alice", PRICE)


@dataclass(frozen=True)
class Stored:
    payments: Payments
    ledger: Ledger
    outbox: Outbox
    tokens: Tokens


@pytest.fixture(params=["memory", *EITHER])
def stored(request: pytest.FixtureRequest) -> Stored:
    if request.param == "memory":
        outbox, memory = MemoryOutbox(), MemoryVault()
        memory.secrets["order-1"] = "tok_approve"
        return Stored(MemoryPayments(outbox, memory), MemoryLedger(), outbox, memory)
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.dynamodb
    table = new_table(account.clients)
    told = DynamoOutbox(client, table)
    vault = DynamoVault(client, new_table(account.clients))
    client.transact_write_items(TransactItems=[vault.addition("order-1", "tok_approve")])
    return Stored(DynamoPayments(client, table, told, vault), DynamoLedger(client, table), told, vault)


@pytest.fixture(params=["memory", *EITHER])
def tokens(request: pytest.FixtureRequest) -> Tokens:
    """Contains the token of one order."""
    if request.param == "memory":
        vault = MemoryVault()
        vault.secrets["order-1"] = "tok_approve"
        return vault
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.dynamodb
    kept = DynamoVault(client, new_table(account.clients))
    client.transact_write_items(TransactItems=[kept.addition("order-1", "tok_approve")])
    return kept


def test_given_a_charge_that_is_decided_when_it_is_written_then_its_token_is_deleted_in_the_same_transaction(
    stored: Stored,
) -> None:
    begun = stored.payments.save(BEGUN, None)
    assert stored.tokens.find("order-1") == "tok_approve"
    with pytest.raises(Stale):
        stored.payments.decide(BEGUN, None)
    assert stored.tokens.find("order-1") == "tok_approve"

    decided = stored.payments.decide(begun.declined("no money", NOW), None)

    assert stored.payments.get("order-1") == decided
    assert stored.tokens.find("order-1") is None


def test_given_a_stored_token_when_it_is_deleted_then_it_is_no_longer_found(tokens: Tokens) -> None:
    assert tokens.find("order-1") == "tok_approve"
    assert tokens.find("order-2") is None

    for _ in range(2):
        tokens.forget("order-1")

    assert tokens.find("order-1") is None


@pytest.fixture
def sandbox(stored: Stored) -> Sandbox:
    return Sandbox(stored.ledger, lambda: NOW)


@pytest.mark.parametrize(
    "payment",
    [
        BEGUN,
        BEGUN.charged(CHARGE, NOW),
        BEGUN.declined("no money", NOW),
        BEGUN.charged(CHARGE, NOW).closed(),
        BEGUN.unanswered("silence", NOW).refund(CHARGE, NOW),
        domain.begun("order-1", "alice", None).refund(None, NOW),
    ],
    ids=["begun", "charged", "declined", "refunding", "refunded", "closed"],
)
def test_given_a_payment_when_it_is_saved_and_read_then_it_is_the_same(
    stored: Stored, payment: Payment
) -> None:
    assert stored.payments.get("order-1") is None

    written = stored.payments.save(payment, None)

    assert written == replace(payment, version=1)
    assert stored.payments.get("order-1") == written


def test_given_a_stale_payment_when_it_is_saved_then_it_is_not_written(stored: Stored) -> None:
    first = stored.payments.save(BEGUN, None)
    second = stored.payments.save(first.charged(CHARGE, NOW), None)

    for stale in (BEGUN, first.declined("no money", NOW)):
        with pytest.raises(Stale):
            stored.payments.save(stale, None)

    assert stored.payments.get("order-1") == second


def test_given_a_payment_when_it_is_saved_then_its_outbox_record_is_in_the_same_transaction(
    stored: Stored,
) -> None:
    tables.check_that_a_fact_is_written_with_its_state_or_not_at_all(
        lambda told: stored.payments.save(BEGUN, told), stored.outbox, Stale
    )


def test_given_a_row_that_only_rejects_late_tasks_when_it_is_saved_then_it_expires_and_others_do_not(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client = account.clients.dynamodb
    ends = []
    for written in (
        domain.begun("order-1", "alice", None).refund(None, NOW),
        BEGUN.charged(CHARGE, NOW).refund(CHARGE, NOW),
    ):
        table = create_table()
        DynamoPayments(client, table, DynamoOutbox(client, table), DynamoVault(client, table)).save(
            written, None
        )
        ends.append(tables.end_of(client, table, {"pk": "PAYMENT#order-1", "sk": "PAYMENT"}))

    assert ends == [tables.end_of_tombstone(NOW), None]


def test_given_the_payment_storage_when_it_is_pinged_then_it_responds(stored: Stored) -> None:
    stored.payments.ping()


def test_given_a_charged_key_when_the_sandbox_charges_it_again_then_the_charge_is_the_same(
    sandbox: Sandbox,
) -> None:
    first = sandbox.charge("key", PRICE, "tok_approve")

    assert sandbox.charge("key", PRICE, "tok_approve") == first
    assert first.amount == PRICE
    assert sandbox.charge("other", PRICE, "tok_approve").payment_id != first.payment_id


def test_given_a_charge_whose_first_response_is_lost_when_it_is_retried_then_the_sandbox_returns_it(
    sandbox: Sandbox,
) -> None:
    with pytest.raises(Unreachable):
        sandbox.charge("key", PRICE, "tok_charge_then_timeout")

    assert sandbox.charge("key", PRICE, "tok_charge_then_timeout").amount == PRICE


@pytest.mark.parametrize(
    ("token", "error"),
    [("tok_decline", Declined), ("4242424242424242", Declined), ("tok_timeout", Unreachable)],
)
def test_given_a_declined_or_silent_token_when_the_sandbox_charges_it_then_there_is_nothing_to_refund(
    sandbox: Sandbox, token: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        sandbox.charge("key", PRICE, token)

    assert sandbox.refund("key") is None


def test_given_a_charge_when_the_sandbox_refunds_it_twice_then_both_results_are_the_same(
    sandbox: Sandbox,
) -> None:
    charge = sandbox.charge("key", PRICE, "tok_approve")

    assert sandbox.refund("key") == charge
    assert sandbox.refund("key") == charge


def test_given_a_refunded_key_when_the_sandbox_charges_it_then_the_key_is_closed(sandbox: Sandbox) -> None:
    assert sandbox.refund("key") is None

    with pytest.raises(KeyClosed):
        sandbox.charge("key", PRICE, "tok_approve")
