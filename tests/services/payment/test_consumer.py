"""The tasks for payments: results, events and charges, also when tasks are repeated, late or out of order."""

from typing import Any

import pytest

from services.common.telemetry import logs
from services.common.values.money import Money
from services.payment.domain import Charge, Contradiction, State
from services.payment.ports import NotAsked, Unreachable
from services.payment.provider import GuardedProvider, Sandbox
from tests.services.payment.world import NOTHING, PRICE, QUICK, World, charge, refund

TOKENS = ("tok_approve", "tok_decline", "tok_timeout", "tok_charge_then_timeout")


def test_given_an_approved_charge_when_its_task_is_repeated_then_one_charge_is_made_and_one_event_published(
    world: World,
) -> None:
    first = world.do(charge("tok_approve"))

    assert world.do(charge("tok_approve")) == first

    assert world.kept() == PRICE["amount"]
    assert world.published() == ["shop.payment.charged.v1"]
    assert world.told[0].data == {
        "order_id": "order-1",
        "payment_id": first["payment_id"],
        "amount": PRICE,
    }


def test_given_a_new_charge_when_it_is_made_then_its_payment_is_not_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    monkeypatch.setattr(world.payments, "get", reads.append)

    assert "payment_id" in world.do(charge("tok_approve"))

    assert reads == []


@pytest.mark.parametrize("token", ["tok_decline", "tok_of_nobody"])
def test_given_a_declined_charge_when_its_task_is_repeated_then_it_stays_declined_and_no_money_is_charged(
    world: World, token: str
) -> None:
    assert world.do(charge(token)) == "PaymentDeclined"
    assert world.do(charge("tok_approve")) == "PaymentDeclined"

    assert world.kept() == 0
    assert set(world.published()) == {"shop.payment.declined.v1"}


def test_given_a_lost_first_response_when_a_charge_is_made_then_it_is_retried_and_charged_once(
    world: World,
) -> None:
    assert "payment_id" in world.do(charge("tok_charge_then_timeout"))

    assert world.kept() == PRICE["amount"]


def test_given_an_unresponsive_provider_when_a_charge_is_made_then_it_is_unknown_and_stays_unknown(
    world: World,
) -> None:
    assert world.do(charge("tok_timeout")) == "PaymentUnknown"
    assert world.do(charge("tok_approve")) == "PaymentUnknown"

    assert world.kept() == 0
    assert world.published() == []


@pytest.mark.parametrize("token", TOKENS)
def test_given_a_charge_of_any_outcome_when_it_is_refunded_twice_then_results_are_equal_and_no_money_is_kept(
    world: World, token: str
) -> None:
    is_charged = isinstance(world.do(charge(token)), dict)

    first = world.do(refund())

    assert world.do(refund()) == first == {"refunded": PRICE if is_charged else NOTHING}
    assert world.kept() == 0
    assert world.published().count("shop.payment.refunded.v1") == (1 if is_charged else 0)


def test_given_a_charge_whose_responses_are_lost_when_it_is_refunded_then_the_full_amount_is_returned() -> (
    None
):
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


def test_given_a_refunded_order_when_a_charge_arrives_then_it_is_rejected(world: World) -> None:
    refunded = world.do(refund())["refunded"]

    assert refunded["amount"] == 0
    assert world.do(charge("tok_approve")) == "OrderClosed"
    assert world.kept() == 0
    assert world.published() == []


@pytest.mark.parametrize("is_refund_first", [True, False])
def test_given_a_charge_and_a_refund_when_they_run_concurrently_then_no_money_is_kept(
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


def test_given_a_crash_during_the_call_of_the_provider_when_the_task_is_redelivered_then_it_is_charged_once(
    world: World,
) -> None:
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


def test_given_an_open_circuit_when_a_charge_arrives_then_the_provider_is_not_called_and_the_charge_waits(
    world: World,
) -> None:
    for number in range(QUICK.failures):
        assert world.do(charge("tok_timeout", f"silent-{number}")) == "PaymentUnknown"

    with pytest.raises(NotAsked):
        world.do(charge("tok_approve"))

    payment = world.payments.get("order-1")
    assert payment is not None
    assert payment.state is State.PENDING


def test_given_a_lost_result_when_the_task_is_redelivered_then_it_is_reported_again_without_another_event(
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


def test_given_a_charged_order_when_a_different_amount_is_charged_then_a_contradiction_is_raised(
    world: World,
) -> None:
    world.do(charge("tok_approve"))

    with pytest.raises(Contradiction):
        world.do({**charge("tok_approve"), "amount": {"amount": 1, "currency": "EUR"}})


@pytest.mark.parametrize("token", TOKENS)
def test_given_a_payment_token_when_it_is_charged_and_refunded_then_no_log_event_or_record_contains_it(
    world: World, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("payment", "DEBUG")
    world.do(charge(token))
    world.do(refund())

    stored: list[Any] = [world.payments.get("order-1"), world.ledger.entries, world.told]
    assert token not in repr(stored) + capsys.readouterr().out


def test_given_a_payment_token_when_the_charge_is_decided_then_the_token_is_deleted(world: World) -> None:
    for order_id, token in (("order-1", "tok_approve"), ("order-2", "tok_decline")):
        world.do(charge(token, order_id))

    assert world.tokens.secrets == {}


def test_given_a_charge_that_waits_for_the_provider_then_its_token_stays_until_the_order_is_closed() -> None:
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


def test_given_a_charge_that_has_not_begun_when_its_token_is_withdrawn_then_it_is_rejected(
    world: World,
) -> None:
    assert world.do(without_token()) == "OrderClosed"

    assert world.ledger.entries == {}
    assert world.payments.get("order-1") is None
    assert world.do(refund()) == {"refunded": {"amount": 0, "currency": "XXX"}}
    assert world.published() == []


def test_given_a_charge_that_has_begun_when_its_token_is_withdrawn_then_it_is_unknown(world: World) -> None:
    """The provider may have been called before: only a refund finds out."""
    calm, world.provider = world.provider, Refusing()
    with pytest.raises(NotAsked):
        world.do(charge("tok_approve"))
    world.provider = calm
    world.tokens.forget("order-1")

    assert world.do(without_token()) == "PaymentUnknown"

    assert "order-1" not in world.ledger.entries
    assert world.do(refund()) == {"refunded": NOTHING}


def test_given_a_completed_charge_when_its_task_is_repeated_without_the_token_then_it_succeeds(
    world: World,
) -> None:
    first = world.do(charge("tok_approve"))
    assert world.tokens.secrets == {}

    assert world.do(without_token()) == first


class Refusing:
    """A provider behind a circuit that is open for charges."""

    def charge(self, key: str, amount: Money, token: str) -> Charge:  # noqa: ARG002 - as ports.Provider
        raise NotAsked("payment-provider is not called")

    def refund(self, key: str) -> Charge | None:  # noqa: ARG002 - as ports.Provider
        return None
