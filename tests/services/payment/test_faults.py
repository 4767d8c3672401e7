"""The faults of the payment provider, and what the handlers make of them."""

import pytest

from services.common.faults.switches import Fault
from services.common.values.money import Money
from services.payment.faults import SLOW_SECONDS, FaultyProvider
from services.payment.ports import Declined, KeyClosed, NotAsked, Unreachable
from services.payment.provider import GuardedProvider, Sandbox
from tests.services.memory import MemoryLedger, MemorySwitchboard
from tests.services.payment.world import PRICE, QUICK, World, charge, refund

AMOUNT = Money.from_dict(PRICE)


class Faulty(World):
    """The payment service with a provider whose faults are switched by `switchboard`."""

    def __init__(self, *on: Fault) -> None:
        super().__init__()
        self.switchboard = MemorySwitchboard(*on)
        self.slept: list[float] = []
        self.faulty = FaultyProvider(Sandbox(self.ledger), self.switchboard, self.slept.append)
        self.provider = GuardedProvider(self.faulty, QUICK)

    def heals(self) -> None:
        self.switchboard.turn_off(*Fault)


def test_given_no_fault_when_an_order_is_charged_then_it_is_paid_without_a_pause() -> None:
    world = Faulty()

    assert "payment_id" in world.do(charge("tok_approve"))
    assert world.slept == []


def test_given_a_slow_provider_when_an_order_is_charged_then_it_is_paid_seconds_later() -> None:
    world = Faulty(Fault.PAYMENT_SLOW)

    assert "payment_id" in world.do(charge("tok_approve"))
    assert world.slept == [SLOW_SECONDS]
    assert world.kept() == PRICE["amount"]


def test_given_a_provider_that_declines_when_an_order_is_charged_then_it_is_declined_and_nothing_is_kept() -> (
    None
):
    world = Faulty(Fault.PAYMENT_DECLINED)

    assert world.do(charge("tok_approve")) == "PaymentDeclined"
    world.heals()
    assert world.do(charge("tok_approve")) == "PaymentDeclined"
    assert world.kept() == 0


def test_given_a_charge_without_an_answer_when_the_provider_declines_its_repetition_then_nothing_is_kept() -> (
    None
):
    ledger, switchboard = MemoryLedger(), MemorySwitchboard()
    provider = FaultyProvider(Sandbox(ledger), switchboard)
    with pytest.raises(Unreachable):
        provider.charge("order-1", AMOUNT, "tok_charge_then_timeout")

    switchboard.turn_on(Fault.PAYMENT_DECLINED)
    with pytest.raises(Declined):
        provider.charge("order-1", AMOUNT, "tok_charge_then_timeout")

    assert ledger.entries["order-1-refund"]["amount"] == PRICE


def test_given_a_declined_key_when_the_fault_is_undone_then_the_provider_charges_nothing_under_it() -> None:
    switchboard = MemorySwitchboard(Fault.PAYMENT_DECLINED)
    provider = FaultyProvider(Sandbox(MemoryLedger()), switchboard)
    with pytest.raises(Declined):
        provider.charge("order-1", AMOUNT, "tok_approve")

    switchboard.turn_off(*Fault)

    with pytest.raises(KeyClosed):
        provider.charge("order-1", AMOUNT, "tok_approve")


def test_given_a_provider_that_is_away_when_an_order_is_charged_then_the_task_waits_and_succeeds_later() -> (
    None
):
    world = Faulty(Fault.PAYMENT_AWAY)

    with pytest.raises(NotAsked):
        world.do(charge("tok_approve"))
    assert world.kept() == 0
    world.heals()

    assert "payment_id" in world.do(charge("tok_approve"))
    assert world.kept() == PRICE["amount"]


def test_given_a_provider_that_is_away_when_an_order_is_refunded_then_the_task_waits_and_succeeds_later() -> (
    None
):
    world = Faulty()
    world.do(charge("tok_approve"))
    world.switchboard.turn_on(Fault.PAYMENT_AWAY)

    with pytest.raises(NotAsked):
        world.do(refund())
    world.heals()

    assert world.do(refund()) == {"refunded": PRICE}
    assert world.kept() == 0


def test_given_a_provider_that_is_away_when_many_orders_are_charged_then_the_circuit_opens() -> None:
    world = Faulty(Fault.PAYMENT_AWAY)
    for number in range(QUICK.failures):
        with pytest.raises(NotAsked, match="payment-away is on"):
            world.do(charge("tok_approve", f"order-{number}"))

    with pytest.raises(NotAsked, match="was not called"):
        world.do(charge("tok_approve", "order-9"))
