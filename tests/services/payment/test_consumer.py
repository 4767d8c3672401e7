"""The tasks for payments: results, events and charges, also when tasks are repeated, late or out of order."""

from typing import Any

import pytest

from services.common.runtime import telemetry
from services.common.values.money import Money
from services.payment.domain import Charge, Contradiction, State
from services.payment.ports import NotAsked, Unreachable
from services.payment.provider import GuardedProvider, Sandbox
from tests.services.payment.world import NOTHING, PRICE, QUICK, World, charge, refund

TOKENS = ("tok_approve", "tok_decline", "tok_timeout", "tok_charge_then_timeout")


def test_an_approved_charge_is_taken_once_and_told(world: World) -> None:
    first = world.do(charge("tok_approve"))

    assert world.do(charge("tok_approve")) == first

    assert world.kept() == PRICE["amount"]
    assert world.published() == ["shop.payment.charged.v1"]
    assert world.told[0].data == {
        "order_id": "order-1",
        "payment_id": first["payment_id"],
        "amount": PRICE,
    }


@pytest.mark.parametrize("token", ["tok_decline", "tok_of_nobody"])
def test_a_declined_charge_takes_nothing_and_stays_declined(world: World, token: str) -> None:
    assert world.do(charge(token)) == "PaymentDeclined"
    assert world.do(charge("tok_approve")) == "PaymentDeclined"

    assert world.kept() == 0
    assert set(world.published()) == {"shop.payment.declined.v1"}


def test_a_charge_whose_first_response_is_lost_is_retried_and_made_once(world: World) -> None:
    assert "payment_id" in world.do(charge("tok_charge_then_timeout"))

    assert world.kept() == PRICE["amount"]


def test_a_charge_without_an_answer_is_unknown_and_stays_unknown(world: World) -> None:
    assert world.do(charge("tok_timeout")) == "PaymentUnknown"
    assert world.do(charge("tok_approve")) == "PaymentUnknown"

    assert world.kept() == 0
    assert world.published() == []


@pytest.mark.parametrize("token", TOKENS)
def test_a_refund_returns_the_charge_and_prevents_later_charges(world: World, token: str) -> None:
    is_charged = isinstance(world.do(charge(token)), dict)

    first = world.do(refund())

    assert world.do(refund()) == first == {"refunded": PRICE if is_charged else NOTHING}
    assert world.kept() == 0
    assert world.published().count("shop.payment.refunded.v1") == (1 if is_charged else 0)


def test_a_refund_covers_a_charge_whose_response_was_lost() -> None:
    """The provider charges, but all its responses are lost."""

    class Deaf(Sandbox):
        def charge(self, key: str, amount: Money, token: str) -> Charge:
            super().charge(key, amount, token)
            raise Unreachable("lost")

    world = World()
    world.provider = GuardedProvider(Deaf(world.ledger), QUICK)
    assert world.do(charge("tok_approve")) == "PaymentUnknown"
    assert world.kept() == PRICE["amount"]

    assert world.do(refund()) == {"refunded": PRICE}

    assert world.kept() == 0


def test_a_charge_after_its_refund_is_rejected(world: World) -> None:
    refunded = world.do(refund())["refunded"]

    assert refunded["amount"] == 0
    assert world.do(charge("tok_approve")) == "OrderClosed"
    assert world.kept() == 0
    assert world.published() == []


@pytest.mark.parametrize("is_refund_first", [True, False])
def test_a_charge_that_runs_concurrently_with_a_refund_keeps_no_money(
    world: World, is_refund_first: bool
) -> None:
    calm = world.provider

    class Interrupted(Sandbox):
        """Whichever of the two comes first at the provider."""

        def charge(self, key: str, amount: Money, token: str) -> Charge:
            world.provider = calm
            if is_refund_first:
                world.do(refund())
            answer = super().charge(key, amount, token)
            if not is_refund_first:
                world.do(refund())
            return answer

    world.provider = GuardedProvider(Interrupted(world.ledger), QUICK)

    assert world.do(charge("tok_approve")) == "OrderClosed"

    payment = world.payments.get("order-1")
    assert payment is not None
    assert payment.state is State.REFUNDED
    assert world.kept() == 0


def test_a_charge_continues_after_a_crash_during_the_call_of_the_provider(world: World) -> None:
    """The state is written before the call, and the charge is found under the same key."""

    class Dying(Sandbox):
        def charge(self, key: str, amount: Money, token: str) -> Charge:
            super().charge(key, amount, token)
            payment = world.payments.get(key)
            assert payment is not None
            assert payment.state is State.PENDING
            raise SystemError("killed")

    alive, world.provider = world.provider, GuardedProvider(Dying(world.ledger), QUICK)
    with pytest.raises(SystemError):
        world.do(charge("tok_approve"))
    world.provider = alive

    assert "payment_id" in world.do(charge("tok_approve"))

    assert world.kept() == PRICE["amount"]


def test_an_unresponsive_provider_is_not_called_and_the_charge_waits(world: World) -> None:
    for number in range(QUICK.failures):
        assert world.do(charge("tok_timeout", f"silent-{number}")) == "PaymentUnknown"

    with pytest.raises(NotAsked):
        world.do(charge("tok_approve"))

    payment = world.payments.get("order-1")
    assert payment is not None
    assert payment.state is State.PENDING


def test_a_task_whose_result_was_lost_is_reported_again_and_publishes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise ConnectionError("the workflow does not answer")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(world.answers, "succeed", lost)
        with pytest.raises(ConnectionError):
            world.do(charge("tok_approve"))

    assert "payment_id" in world.do(charge("tok_approve"))

    assert world.published() == ["shop.payment.charged.v1"]
    assert world.kept() == PRICE["amount"]


def test_an_order_is_not_charged_two_amounts(world: World) -> None:
    world.do(charge("tok_approve"))

    with pytest.raises(Contradiction):
        world.do({**charge("tok_approve"), "amount": {"amount": 1, "currency": "EUR"}})


@pytest.mark.parametrize("token", TOKENS)
def test_a_payment_token_is_in_no_log_event_or_record(
    world: World, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("payment", "DEBUG")
    world.do(charge(token))
    world.do(refund())

    stored: list[Any] = [world.payments.get("order-1"), world.ledger.entries, world.told]
    assert token not in repr(stored) + capsys.readouterr().out


def test_a_token_is_deleted_after_the_charge_is_decided(world: World) -> None:
    for order_id, token in (("order-1", "tok_approve"), ("order-2", "tok_decline")):
        world.do(charge(token, order_id))

    assert world.tokens.secrets == {}


def test_a_token_stays_if_the_provider_is_not_called_and_is_deleted_when_the_order_is_closed() -> None:
    world = World(Refusing())
    with pytest.raises(NotAsked):
        world.do(charge("tok_approve"))
    assert world.tokens.secrets == {"order-1": "tok_approve"}

    World.do(world, refund())

    assert world.tokens.secrets == {}


def without_token() -> dict[str, Any]:
    task = charge("tok_approve")
    del task["token"]
    return task


def test_a_charge_that_has_not_begun_is_rejected_after_its_token_is_withdrawn(world: World) -> None:
    assert world.do(without_token()) == "OrderClosed"

    assert world.ledger.entries == {}
    assert world.payments.get("order-1") is None
    assert world.do(refund()) == {"refunded": {"amount": 0, "currency": "XXX"}}
    assert world.published() == []


def test_a_charge_that_has_begun_is_unknown_after_its_token_is_withdrawn(world: World) -> None:
    """The provider may have been called before: only a refund finds out."""
    calm, world.provider = world.provider, Refusing()
    with pytest.raises(NotAsked):
        world.do(charge("tok_approve"))
    world.provider = calm
    world.tokens.forget("order-1")

    assert world.do(without_token()) == "PaymentUnknown"

    assert "order-1" not in world.ledger.entries
    assert world.do(refund()) == {"refunded": NOTHING}


def test_a_repeated_task_of_a_completed_charge_succeeds_without_its_token(world: World) -> None:
    first = world.do(charge("tok_approve"))
    assert world.tokens.secrets == {}

    assert world.do(without_token()) == first


def test_an_order_of_a_workflow_with_the_token_in_its_input_is_charged(world: World) -> None:
    task = {**charge("tok_approve"), "payment": {"token": "tok_approve"}}
    del task["token"]

    assert "payment_id" in world.do(task)


class Refusing:
    """A provider behind a circuit that is open for charges."""

    def charge(self, key: str, amount: Money, token: str) -> Charge:  # noqa: ARG002 - as ports.Provider
        raise NotAsked("payment-provider is not called")

    def refund(self, key: str) -> Charge | None:  # noqa: ARG002 - as ports.Provider
        return None
