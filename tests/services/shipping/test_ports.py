"""The contract of the shipping service's ports: each test runs against the real adapters and the fakes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from services.common.aws.ledger import DynamoLedger
from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.outbox import Outbox
from services.common.values.errors import Stale
from services.common.values.ledger import Ledger
from services.shipping import domain
from services.shipping.carrier import Sandbox
from services.shipping.domain import Address, Booking, Item, Parcel, Shipment
from services.shipping.dynamo import DynamoShipments
from services.shipping.ports import CarrierDown, KeyClosed, Refused, Shipments
from shopdev.processes.emulator import AwsServer
from tests.services import tables
from tests.services.accounts import EITHER, new_table
from tests.services.memory import MemoryLedger, MemoryOutbox
from tests.services.shipping.fakes import MemoryShipments

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
BOOKING = Booking("SBX1", NOW)
BEGUN = domain.begun("order-1", "alice", NOW)


@dataclass(frozen=True)
class Stored:
    shipments: Shipments
    ledger: Ledger
    outbox: Outbox


@pytest.fixture(params=["memory", *EITHER])
def stored(request: pytest.FixtureRequest) -> Stored:
    if request.param == "memory":
        outbox = MemoryOutbox()
        return Stored(MemoryShipments(outbox), MemoryLedger(), outbox)
    account: AwsServer = request.getfixturevalue(request.param)
    client = account.clients.dynamodb
    table = new_table(account.clients)
    told = DynamoOutbox(client, table)
    return Stored(DynamoShipments(client, table, told), DynamoLedger(client, table), told)


@pytest.fixture
def sandbox(stored: Stored) -> Sandbox:
    return Sandbox(stored.ledger, lambda: NOW)


def parcel(postal_code: str = "10115") -> Parcel:
    return Parcel((Item("CUP", 1),), Address("A. Customer", "Main Street 1", "Berlin", postal_code, "DE"))


@pytest.mark.parametrize(
    "shipment",
    [
        BEGUN,
        BEGUN.booked(BOOKING),
        BEGUN.refused("no delivery to this address", NOW),
        BEGUN.booked(BOOKING).closed(NOW),
        BEGUN.booked(BOOKING).cancelled(BOOKING, NOW),
        BEGUN.cancelled(None, NOW),
    ],
    ids=["begun", "booked", "refused", "cancelling", "cancelled", "closed"],
)
def test_given_a_shipment_when_it_is_saved_and_read_then_it_is_the_same(
    stored: Stored, shipment: Shipment
) -> None:
    assert stored.shipments.get("order-1") is None

    written = stored.shipments.save(shipment, None)

    assert written == replace(shipment, version=1)
    assert stored.shipments.get("order-1") == written


def test_given_a_stale_shipment_when_it_is_saved_then_it_is_not_written(stored: Stored) -> None:
    first = stored.shipments.save(BEGUN, None)
    second = stored.shipments.save(first.booked(BOOKING), None)

    for stale in (BEGUN, first.cancelled(None, NOW)):
        with pytest.raises(Stale):
            stored.shipments.save(stale, None)

    assert stored.shipments.get("order-1") == second


def test_given_a_shipment_when_it_is_saved_then_its_outbox_record_is_in_the_same_transaction(
    stored: Stored,
) -> None:
    tables.check_that_a_fact_is_written_with_its_state_or_not_at_all(
        lambda told: stored.shipments.save(BEGUN, told), stored.outbox, Stale
    )


def test_given_a_row_that_only_rejects_late_tasks_when_it_is_saved_then_it_expires_and_others_do_not(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client = account.clients.dynamodb
    ends = []
    for written in (BEGUN.cancelled(None, NOW), BEGUN.booked(BOOKING).cancelled(BOOKING, NOW)):
        table = create_table()
        DynamoShipments(client, table, DynamoOutbox(client, table)).save(written, None)
        ends.append(tables.end_of(client, table, {"pk": "SHIPMENT#order-1", "sk": "SHIPMENT"}))

    assert ends == [tables.end_of_tombstone(NOW), None]


def test_given_the_shipment_storage_when_it_is_pinged_then_it_responds(stored: Stored) -> None:
    stored.shipments.ping()


def test_given_a_booked_key_when_the_sandbox_books_it_again_then_the_booking_is_the_same(
    sandbox: Sandbox,
) -> None:
    first = sandbox.book("key", parcel())

    assert sandbox.book("key", parcel()) == first
    assert sandbox.book("other", parcel()).tracking_number != first.tracking_number


def test_given_postal_code_00000_when_the_sandbox_books_a_parcel_then_it_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(Refused):
        sandbox.book("key", parcel("00000"))

    assert sandbox.cancel("key") is None


def test_given_postal_code_99999_when_the_sandbox_books_a_parcel_then_it_succeeds_at_the_third_attempt(
    sandbox: Sandbox,
) -> None:
    for _ in range(2):
        with pytest.raises(CarrierDown):
            sandbox.book("key", parcel("99999"))

    assert sandbox.book("key", parcel("99999")).booked_at == NOW


def test_given_a_booking_when_the_sandbox_cancels_it_twice_then_both_results_are_the_same(
    sandbox: Sandbox,
) -> None:
    booking = sandbox.book("key", parcel())

    assert sandbox.cancel("key") == booking
    assert sandbox.cancel("key") == booking


def test_given_a_cancelled_key_when_the_sandbox_books_it_then_the_key_is_closed(sandbox: Sandbox) -> None:
    assert sandbox.cancel("key") is None

    with pytest.raises(KeyClosed):
        sandbox.book("key", parcel())
