"""The states of an order: they only move forward, and cancellation and confirmation exclude each other."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.common.values.money import Money
from services.order import domain
from services.order.domain import (
    Address,
    Contradiction,
    Item,
    MixedCurrencies,
    Order,
    OrderCancelled,
    Product,
    State,
    Step,
    TooLateToCancel,
    TooMany,
    UnknownProducts,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ADDRESS = Address("Ada", "1 Analytical Way", "London", "N1", "GB")
TEA = Product("TEA", "Earl Grey", Money(1299, "EUR"), 1)
CUP = Product("CUP", "A cup", Money(500, "EUR"), 1)
MUG = Product("MUG", "A mug", Money(700, "USD"), 1)
NOTHING = Money(0, "EUR")


def an_order(*items: Item) -> Order:
    known = {product.sku: product for product in (TEA, CUP)}
    return domain.place("order-1", "guest", items or (Item("TEA", 2),), known, ADDRESS, NOON)


def states(order: Order) -> list[State]:
    return [step.state for step in order.timeline]


def test_given_known_products_when_an_order_is_placed_then_it_is_pending_at_the_stored_prices() -> None:
    order = an_order(Item("TEA", 2), Item("CUP", 3))

    assert order.state is State.PENDING
    assert order.total == Money(2 * 1299 + 3 * 500, "EUR")
    assert [line.name for line in order.lines] == ["Earl Grey", "A cup"]


def test_given_an_unknown_product_when_an_order_is_placed_then_the_rejection_names_it() -> None:
    with pytest.raises(UnknownProducts) as refused:
        an_order(Item("TEA", 1), Item("UNICORN", 1))

    assert refused.value.extra == {"skus": ["UNICORN"]}


def test_given_prices_in_two_currencies_when_an_order_is_placed_then_it_is_rejected() -> None:
    with pytest.raises(MixedCurrencies, match="EUR and USD"):
        domain.place(
            "order-1", "guest", (Item("TEA", 1), Item("MUG", 1)), {"TEA": TEA, "MUG": MUG}, ADDRESS, NOON
        )


def test_given_items_of_the_same_product_when_they_are_merged_then_their_quantities_are_added() -> None:
    assert domain.merged([Item("TEA", 1), Item("CUP", 1), Item("TEA", 2)]) == (Item("TEA", 3), Item("CUP", 1))


def test_given_items_of_the_same_product_when_their_sum_exceeds_the_limit_then_they_are_rejected() -> None:
    with pytest.raises(TooMany, match="100 of TEA"):
        domain.merged([Item("TEA", 99), Item("TEA", 1)])


def test_given_events_in_the_wrong_sequence_when_they_are_applied_then_the_timeline_is_the_same() -> None:
    reserved, paid = Step(State.RESERVED, NOON, "stock reserved"), Step(State.PAID, NOON, "payment charged")

    assert an_order().reached(paid).reached(reserved) == an_order().reached(reserved).reached(paid)


def test_given_an_applied_event_when_it_is_repeated_then_the_order_does_not_change() -> None:
    order = an_order().reached(Step(State.RESERVED, NOON, "stock reserved"))

    assert order.reached(Step(State.RESERVED, NOON + timedelta(1), "stock reserved")) is order


def test_given_a_pending_order_when_it_is_shipped_then_every_missing_step_is_added() -> None:
    order = an_order().ship("T1", reserved_at=NOON, charged_at=NOON, booked_at=NOON)

    assert states(order) == [State.PENDING, State.RESERVED, State.PAID, State.SHIPPED]
    assert order.tracking_number == "T1"


def test_given_a_shipped_order_when_it_is_shipped_again_then_the_order_does_not_change() -> None:
    order = an_order().ship("T1", reserved_at=NOON, charged_at=NOON, booked_at=NOON)

    assert order.ship("T1", reserved_at=NOON, charged_at=NOON, booked_at=NOON) is order


def test_given_a_shipped_order_when_it_is_undone_then_a_contradiction_is_raised() -> None:
    order = an_order().ship("T1", reserved_at=NOON, charged_at=NOON, booked_at=NOON)

    with pytest.raises(Contradiction):
        order.undo("States.Timeout", "", NOTHING, NOON)


@pytest.mark.parametrize(
    ("error", "refunded", "state"),
    [
        ("PaymentDeclined", NOTHING, State.REJECTED),
        ("OutOfStock", NOTHING, State.REJECTED),
        ("OrderCancelled", NOTHING, State.CANCELLED),
        ("ShipmentRefused", Money(2598, "EUR"), State.CANCELLED),
    ],
)
def test_given_an_order_when_it_is_undone_then_a_refund_or_a_cancellation_makes_it_cancelled(
    error: str, refunded: Money, state: State
) -> None:
    order = an_order().undo(error, "why", refunded, NOON)

    assert order.state is state
    assert order.timeline[-1].cause == f"{error}: why"


def test_given_an_undone_order_when_a_late_event_arrives_then_the_timeline_grows_and_the_state_stays() -> (
    None
):
    order = an_order().undo("PaymentDeclined", "", NOTHING, NOON).reached(Step(State.RESERVED, NOON, "x"))

    assert states(order) == [State.PENDING, State.RESERVED, State.REJECTED]


def test_given_a_confirmed_order_when_it_is_cancelled_then_it_is_too_late() -> None:
    with pytest.raises(TooLateToCancel, match="being shipped"):
        an_order().confirm(NOON).cancel(NOON)


def test_given_a_cancelled_order_when_it_is_confirmed_then_it_is_refused() -> None:
    with pytest.raises(OrderCancelled, match="the customer cancelled"):
        an_order().cancel(NOON).confirm(NOON)


def test_given_an_order_cancelled_by_its_customer_then_it_is_cancelling_until_it_is_undone() -> None:
    cancelling = an_order().reached(Step(State.RESERVED, NOON, "stock reserved")).cancel(NOON)

    assert states(cancelling) == [State.PENDING, State.RESERVED, State.CANCELLING]
    assert cancelling.timeline[-1].cause == "cancelled by the customer"
    undone = cancelling.undo("OutOfStock", "not enough of TEA", NOTHING, NOON)
    assert states(undone)[-2:] == [State.CANCELLING, State.CANCELLED]


def test_given_an_order_when_the_workflow_turns_it_back_then_it_is_cancelling_with_the_reason() -> None:
    order = an_order().confirm(NOON).turn_back("ShipmentRefused", "no delivery to this address", NOON)

    assert order.state is State.CANCELLING
    assert order.timeline[-1].cause == "being undone: ShipmentRefused: no delivery to this address"
    assert order.cancel_requested_at is None
    assert order.turn_back("States.Timeout", "", NOON) is order


def test_given_an_order_that_is_being_undone_when_it_is_cancelled_then_no_error_reports_it_as_shipped() -> (
    None
):
    order = an_order().confirm(NOON).turn_back("ShipmentRefused", "", NOON)

    assert order.cancel(NOON) is order


def test_given_an_order_that_is_being_undone_when_it_is_checked_confirmed_or_shipped_then_an_error_is_raised() -> (
    None
):
    for order in (an_order().cancel(NOON), an_order().confirm(NOON).turn_back("States.Timeout", "", NOON)):
        with pytest.raises(OrderCancelled):
            order.check()
        with pytest.raises(OrderCancelled):
            order.confirm(NOON)
        with pytest.raises(Contradiction):
            order.ship("T1", reserved_at=NOON, charged_at=NOON, booked_at=NOON)


def test_given_a_cancelling_order_that_was_never_charged_when_it_is_undone_then_it_is_rejected() -> None:
    order = an_order().turn_back("PaymentUnknown", "", NOON).undo("PaymentUnknown", "", NOTHING, NOON)

    assert states(order) == [State.PENDING, State.CANCELLING, State.REJECTED]


def test_given_a_shipped_order_when_the_workflow_turns_it_back_then_a_contradiction_is_raised() -> None:
    order = an_order().ship("T1", reserved_at=NOON, charged_at=NOON, booked_at=NOON)

    with pytest.raises(Contradiction):
        order.turn_back("States.Timeout", "", NOON)
    assert order.check() is order


def test_given_a_rejected_order_when_it_is_cancelled_or_confirmed_then_an_error_is_raised() -> None:
    order = an_order().undo("OutOfStock", "", NOTHING, NOON)

    with pytest.raises(TooLateToCancel, match="rejected"):
        order.cancel(NOON)
    with pytest.raises(OrderCancelled):
        order.confirm(NOON)


def test_given_a_cancelled_or_confirmed_order_when_the_request_is_repeated_then_the_first_time_is_kept() -> (
    None
):
    later = NOON + timedelta(minutes=1)

    assert an_order().cancel(NOON).cancel(later).cancel_requested_at == NOON
    assert an_order().confirm(NOON).confirm(later).confirmed_at == NOON


moments = st.integers(0, 10**6).map(lambda seconds: NOON + timedelta(seconds=seconds))


class AnyNewsInAnyOrder(RuleBasedStateMachine):
    """Any sequence of requests, tasks and events, in any order and with repetitions."""

    def __init__(self) -> None:
        super().__init__()
        self.order = an_order()
        self.furthest = 0
        self.end: State | None = None

    @rule(at=moments)
    def stock_is_reserved(self, at: datetime) -> None:
        self.order = self.order.reached(Step(State.RESERVED, at, "stock reserved"))

    @rule(at=moments)
    def payment_is_charged(self, at: datetime) -> None:
        self.order = self.order.reached(Step(State.PAID, at, "payment charged"))

    @rule(at=moments)
    def customer_cancels(self, at: datetime) -> None:
        try:
            self.order = self.order.cancel(at)
        except TooLateToCancel:
            assert self.order.confirmed_at is not None or self.order.state.is_end

    @rule(at=moments)
    def workflow_turns_back(self, at: datetime) -> None:
        try:
            self.order = self.order.turn_back("States.Timeout", "", at)
        except Contradiction:
            assert self.order.state is State.SHIPPED

    @rule(at=moments)
    def workflow_confirms(self, at: datetime) -> None:
        try:
            self.order = self.order.confirm(at)
        except OrderCancelled:
            assert self.order.is_undone

    @rule(at=moments)
    def workflow_completes(self, at: datetime) -> None:
        if self.order.confirmed_at is None:
            return
        try:
            self.order = self.order.ship("T1", reserved_at=at, charged_at=at, booked_at=at)
        except Contradiction:
            assert self.order.is_undone

    @rule(
        at=moments,
        error=st.sampled_from(["OutOfStock", "OrderCancelled", "States.Timeout"]),
        amount=st.sampled_from([0, 2598]),
    )
    def workflow_undoes(self, at: datetime, error: str, amount: int) -> None:
        try:
            self.order = self.order.undo(error, "", Money(amount, "EUR"), at)
        except Contradiction:
            assert self.order.state is State.SHIPPED

    @invariant()
    def states_only_go_forward(self) -> None:
        assert self.order.state.rank >= self.furthest
        self.furthest = self.order.state.rank

    @invariant()
    def there_is_one_end_and_it_stays(self) -> None:
        if self.end is not None:
            assert self.order.state is self.end
        elif self.order.state.is_end:
            self.end = self.order.state

    @invariant()
    def every_state_is_there_once_and_in_order(self) -> None:
        ranks = [step.state.rank for step in self.order.timeline]
        assert ranks == sorted(set(ranks))

    @invariant()
    def an_order_that_was_cancelled_in_time_is_not_shipped(self) -> None:
        if self.order.cancel_requested_at is not None:
            assert self.order.confirmed_at is None
            assert self.order.state is not State.SHIPPED


TestAnyNewsInAnyOrder = AnyNewsInAnyOrder.TestCase


@given(st.lists(st.integers(1, 99), min_size=1, max_size=50))
def test_given_any_quantities_when_an_order_is_placed_then_its_total_is_the_sum_of_its_lines(
    quantities: list[int],
) -> None:
    products = {f"P{i}": Product(f"P{i}", "x", Money(i, "EUR"), 1) for i in range(len(quantities))}
    items = [Item(f"P{i}", quantity) for i, quantity in enumerate(quantities)]

    order = domain.place("order-1", "guest", items, products, ADDRESS, NOON)

    assert order.total.amount == sum(line.price.amount * line.quantity for line in order.lines)
