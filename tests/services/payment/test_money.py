"""No money is lost, for any order of tasks and any lost responses."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.common.runtime.breaker import Limits
from services.common.values.errors import Unanswered
from services.common.values.money import Money
from services.payment.domain import Charge, State
from services.payment.ports import Unreachable
from services.payment.provider import GuardedProvider, Sandbox
from tests.services.payment.world import PRICE, World, charge, refund

ORDERS = [f"order-{number}" for number in range(4)]
TOKENS = ["tok_approve", "tok_decline", "tok_timeout", "tok_charge_then_timeout"]
PATIENT = Limits(deadline=5, tries=2, longest_pause=0.0001, failures=10_000)


class Lossy(Sandbox):
    """Performs every call, but loses a given number of its responses."""

    lost = 0

    def charge(self, key: str, amount: Money, token: str) -> Charge:
        return self._sent(super().charge(key, amount, token))

    def refund(self, key: str) -> Charge | None:
        answer = super().refund(key)
        return self._sent(answer) if answer else None

    def _sent(self, answer: Charge) -> Charge:
        if self.lost:
            self.lost -= 1
            raise Unreachable("lost")
        return answer


class Payments(RuleBasedStateMachine):
    """Tasks for a few orders, each at any time and any number of times."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.sandbox = Lossy(self.world.ledger)
        self.world.provider = GuardedProvider(self.sandbox, PATIENT)
        self.closed: set[str] = set()
        self.refunded: dict[str, int] = {}

    @rule(lost=st.integers(0, 3))
    def lose_answers(self, lost: int) -> None:
        self.sandbox.lost = lost

    @rule(order_id=st.sampled_from(ORDERS), token=st.sampled_from(TOKENS))
    def charge(self, order_id: str, token: str) -> None:
        answer = self.world.do(charge(token, order_id))
        assert (answer == "OrderClosed") == (order_id in self.closed)
        if isinstance(answer, dict) or answer == "PaymentDeclined":
            assert self.world.kept(order_id) == (PRICE["amount"] if isinstance(answer, dict) else 0)

    @rule(order_id=st.sampled_from(ORDERS))
    def refund(self, order_id: str) -> None:
        before = self.world.kept(order_id)
        self.closed.add(order_id)
        try:
            refunded = self.world.do(refund(order_id))["refunded"]["amount"]
        except Unanswered:
            return  # the task comes again
        if order_id in self.refunded:
            assert refunded == self.refunded[order_id]
        assert before in {0, refunded}
        self.refunded[order_id] = refunded

    @invariant()
    def what_is_shown_as_charged_and_refunded_is_what_the_provider_did(self) -> None:
        for order_id in ORDERS:
            payment = self.world.payments.get(order_id)
            if payment is not None and payment.state in {State.CHARGED, State.DECLINED, State.REFUNDED}:
                shown = payment.money_charged.amount - payment.money_refunded.amount
                assert self.world.kept(order_id) == shown

    @invariant()
    def nothing_is_kept_after_a_refund(self) -> None:
        assert not any(self.world.kept(order_id) for order_id in self.refunded)


Payments.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestPayments = Payments.TestCase
