"""The fault of the carrier."""

import pytest

from services.common.faults.switches import Fault
from services.shipping.carrier import Sandbox
from services.shipping.domain import Address, Item, Parcel
from services.shipping.faults import FaultyCarrier
from services.shipping.ports import KeyClosed, Refused
from tests.services.memory import MemoryLedger, MemorySwitchboard

PARCEL = Parcel((Item("CUP", 1),), Address("A. Customer", "Main Street 1", "Berlin", "10115", "DE"))


def test_given_no_fault_when_a_parcel_is_booked_and_cancelled_then_the_carrier_does_both() -> None:
    carrier = FaultyCarrier(Sandbox(MemoryLedger()), MemorySwitchboard())

    booking = carrier.book("order-1", PARCEL)

    assert carrier.cancel("order-1") == booking


def test_given_a_carrier_that_refuses_when_a_parcel_is_booked_then_it_stays_refused_also_after_the_fault() -> (
    None
):
    switchboard = MemorySwitchboard(Fault.CARRIER_REFUSES)
    carrier = FaultyCarrier(Sandbox(MemoryLedger()), switchboard)
    with pytest.raises(Refused, match="carrier-refuses is on"):
        carrier.book("order-1", PARCEL)

    switchboard.turn_off(*Fault)

    assert carrier.cancel("order-1") is None
    with pytest.raises(KeyClosed):
        carrier.book("order-1", PARCEL)
    assert carrier.book("order-2", PARCEL).tracking_number


def test_given_a_booked_parcel_when_the_carrier_refuses_its_repetition_then_nothing_stays_booked() -> None:
    switchboard, ledger = MemorySwitchboard(), MemoryLedger()
    carrier = FaultyCarrier(Sandbox(ledger), switchboard)
    carrier.book("order-1", PARCEL)

    switchboard.turn_on(Fault.CARRIER_REFUSES)
    with pytest.raises(Refused):
        carrier.book("order-1", PARCEL)

    assert "order-1-cancelled" in ledger.entries
