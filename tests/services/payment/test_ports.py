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


@pytest.fixture(params=["memory", *EITHER])
def stored(request: pytest.FixtureRequest) -> Stored:
    if request.param == "memory":
        outbox = MemoryOutbox()
        return Stored(MemoryPayments(outbox), MemoryLedger(), outbox)
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.dynamodb
    table = new_table(account.clients)
    told = DynamoOutbox(client, table)
    return Stored(DynamoPayments(client, table, told), DynamoLedger(client, table), told)


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


def test_a_token_is_found_until_it_is_forgotten(tokens: Tokens) -> None:
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
        domain.begun("order-1", None, None).refund(None, NOW),
    ],
    ids=["begun", "charged", "declined", "refunding", "refunded", "closed"],
)
def test_a_payment_is_read_as_it_was_written(stored: Stored, payment: Payment) -> None:
    assert stored.payments.get("order-1") is None

    written = stored.payments.save(payment, None)

    assert written == replace(payment, version=1)
    assert stored.payments.get("order-1") == written


def test_a_stale_payment_is_not_written(stored: Stored) -> None:
    first = stored.payments.save(BEGUN, None)
    second = stored.payments.save(first.charged(CHARGE, NOW), None)

    for stale in (BEGUN, first.declined("no money", NOW)):
        with pytest.raises(Stale):
            stored.payments.save(stale, None)

    assert stored.payments.get("order-1") == second


def test_an_outbox_record_is_written_in_the_transaction_of_its_payment(stored: Stored) -> None:
    tables.check_that_a_fact_is_written_with_its_state_or_not_at_all(
        lambda told: stored.payments.save(BEGUN, told), stored.outbox, Stale
    )


def test_a_row_that_only_rejects_a_late_task_expires_and_others_do_not(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client = account.clients.dynamodb
    ends = []
    for written in (
        domain.begun("order-1", None, None).refund(None, NOW),
        BEGUN.charged(CHARGE, NOW).refund(CHARGE, NOW),
    ):
        table = create_table()
        DynamoPayments(client, table, DynamoOutbox(client, table)).save(written, None)
        ends.append(tables.end_of(client, table, {"pk": "PAYMENT#order-1", "sk": "PAYMENT"}))

    assert ends == [tables.end_of_tombstone(NOW), None]


def test_payments_can_be_pinged(stored: Stored) -> None:
    stored.payments.ping()


def test_the_sandbox_charges_a_key_once(sandbox: Sandbox) -> None:
    first = sandbox.charge("key", PRICE, "tok_approve")

    assert sandbox.charge("key", PRICE, "tok_approve") == first
    assert first.amount == PRICE
    assert sandbox.charge("other", PRICE, "tok_approve").payment_id != first.payment_id


def test_the_sandbox_answers_a_retry_when_its_first_response_is_lost(sandbox: Sandbox) -> None:
    with pytest.raises(Unreachable):
        sandbox.charge("key", PRICE, "tok_charge_then_timeout")

    assert sandbox.charge("key", PRICE, "tok_charge_then_timeout").amount == PRICE


@pytest.mark.parametrize(
    ("token", "error"),
    [("tok_decline", Declined), ("4242424242424242", Declined), ("tok_timeout", Unreachable)],
)
def test_the_sandbox_charges_nothing_for_a_timeout(
    sandbox: Sandbox, token: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        sandbox.charge("key", PRICE, token)

    assert sandbox.refund("key") is None


def test_the_sandbox_refunds_its_charge_and_returns_the_same_when_repeated(sandbox: Sandbox) -> None:
    charge = sandbox.charge("key", PRICE, "tok_approve")

    assert sandbox.refund("key") == charge
    assert sandbox.refund("key") == charge


def test_the_sandbox_charges_nothing_after_a_refund(sandbox: Sandbox) -> None:
    assert sandbox.refund("key") is None

    with pytest.raises(KeyClosed):
        sandbox.charge("key", PRICE, "tok_approve")
