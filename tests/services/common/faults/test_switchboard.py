"""The contract of the fault switchboard: each test runs against the real adapter and the fake."""

import pytest

from services.common.aws.faults import DynamoSwitchboard
from services.common.faults.switches import Fault, Switchboard
from services.common.values.errors import Unavailable
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER, new_table
from tests.services.memory import MemorySwitchboard


@pytest.fixture(params=["memory", *EITHER])
def switchboard(request: pytest.FixtureRequest) -> Switchboard:
    if request.param == "memory":
        return MemorySwitchboard()
    account: AwsServer = request.getfixturevalue(request.param)
    return DynamoSwitchboard(account.clients.dynamodb, new_table(account.clients))


def test_given_a_new_switchboard_then_every_fault_is_off(switchboard: Switchboard) -> None:
    assert switchboard.on() == frozenset()


def test_given_faults_when_they_are_switched_then_each_has_the_last_position(
    switchboard: Switchboard,
) -> None:
    for fault in (Fault.PAYMENT_AWAY, Fault.EVENTS_LATE, Fault.PAYMENT_AWAY):
        switchboard.turn_on(fault)
    switchboard.turn_off(Fault.EVENTS_LATE)
    switchboard.turn_off(Fault.CARRIER_REFUSES)

    assert switchboard.on() == {Fault.PAYMENT_AWAY}


def test_given_every_fault_when_all_are_undone_then_none_is_on(switchboard: Switchboard) -> None:
    for fault in Fault:
        switchboard.turn_on(fault)
    assert switchboard.on() == set(Fault)

    switchboard.turn_off(*Fault)

    assert switchboard.on() == frozenset()


@pytest.mark.emulator
def test_given_no_table_when_the_switchboard_is_used_then_it_is_unavailable(account: AwsServer) -> None:
    switchboard = DynamoSwitchboard(account.clients.dynamodb, "no-such-table")

    with pytest.raises(Unavailable):
        switchboard.on()
    with pytest.raises(Unavailable):
        switchboard.turn_on(Fault.PAYMENT_SLOW)
