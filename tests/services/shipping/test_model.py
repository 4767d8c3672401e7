"""The shipping service agrees with its carrier, for any order of tasks and any lost responses."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.common.runtime.breaker import Limits
from services.shipping.carrier import GuardedCarrier, Sandbox
from services.shipping.domain import Booking, Parcel, State
from services.shipping.ports import CarrierDown
from tests.services.shipping.world import World, cancel, create

ORDERS = [f"order-{number}" for number in range(4)]
CODES = {ORDERS[0]: "10115", ORDERS[1]: "10115", ORDERS[2]: "00000", ORDERS[3]: "99999"}
PATIENT = Limits(deadline=5, tries=2, longest_pause=0.0001, failures=10_000)


class Lossy(Sandbox):
    """Performs every call, but loses a given number of its responses."""

    lost = 0

    def book(self, key: str, parcel: Parcel) -> Booking:
        booking = super().book(key, parcel)
        self._lose()
        return booking

    def cancel(self, key: str) -> Booking | None:
        booking = super().cancel(key)
        self._lose()
        return booking

    def _lose(self) -> None:
        if self.lost:
            self.lost -= 1
            raise CarrierDown("lost")


class Shipments(RuleBasedStateMachine):
    """Tasks for a few orders, each at any time and any number of times."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.carrier = Lossy(self.world.ledger)
        self.world.carrier = GuardedCarrier(self.carrier, PATIENT)
        self.asked_to_cancel: set[str] = set()
        self.cancelled: dict[str, bool] = {}
        self.tracked: dict[str, str] = {}

    @rule(lost=st.integers(0, 3))
    def lose_answers(self, lost: int) -> None:
        self.carrier.lost = lost

    @rule(order_id=st.sampled_from(ORDERS))
    def create(self, order_id: str) -> None:
        try:
            answer = self.world.do(create(CODES[order_id], order_id))
        except CarrierDown:
            return  # the task comes again
        if order_id in self.asked_to_cancel:
            assert answer == "OrderClosed"
        elif CODES[order_id] == "00000":
            assert answer == "ShipmentRefused"
        else:
            number = answer["tracking_number"]
            assert self.tracked.setdefault(order_id, number) == number

    @rule(order_id=st.sampled_from(ORDERS))
    def cancel(self, order_id: str) -> None:
        self.asked_to_cancel.add(order_id)
        try:
            was_booked = self.world.do(cancel(order_id))["cancelled"]
        except CarrierDown:
            return  # the task comes again
        assert self.cancelled.setdefault(order_id, was_booked) == was_booked
        assert was_booked or order_id not in self.tracked

    @invariant()
    def what_is_shown_is_what_the_carrier_does(self) -> None:
        for order_id in ORDERS:
            shipment = self.world.shipments.get(order_id)
            if shipment is not None and shipment.state not in {State.PENDING, State.CANCELLING}:
                assert self.world.is_booked(order_id) == (shipment.state is State.BOOKED)

    @invariant()
    def nothing_is_booked_after_a_cancellation(self) -> None:
        assert not any(self.world.is_booked(order_id) for order_id in self.cancelled)

    @invariant()
    def each_fact_is_told_once(self) -> None:
        facts = [event.id for event in self.world.told]
        assert len(facts) == len(set(facts))


Shipments.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestShipments = Shipments.TestCase
