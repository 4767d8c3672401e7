"""The tasks for shipments: results, events and bookings, also when tasks are repeated, late or out of order."""

import pytest

from services.shipping.carrier import GuardedCarrier, Sandbox
from services.shipping.domain import Booking, Parcel, State
from services.shipping.ports import CarrierDown
from tests.services.shipping.world import QUICK, World, cancel, create


def test_a_parcel_is_booked_once_and_its_event_is_published(world: World) -> None:
    first = world.do(create())

    assert world.do(create()) == first

    assert world.is_booked()
    assert world.published() == ["shop.shipment.booked.v1"]
    assert world.told[0].data["tracking_number"] == first["tracking_number"]


def test_two_orders_have_two_tracking_numbers(world: World) -> None:
    first, second = world.do(create()), world.do(create(order_id="order-2"))

    assert first["tracking_number"] != second["tracking_number"]


def test_a_refused_parcel_stays_refused(world: World) -> None:
    assert world.do(create("00000")) == "ShipmentRefused"
    assert world.do(create("10115")) == "ShipmentRefused"

    assert not world.is_booked()
    assert set(world.published()) == {"shop.shipment.refused.v1"}


def test_a_carrier_that_answers_at_the_third_attempt_is_called_three_times(world: World) -> None:
    assert "tracking_number" in world.do(create("99999"))

    assert world.ledger.count("order-1") == 4


def test_a_carrier_that_does_not_answer_leaves_the_shipment_pending_for_a_retry(world: World) -> None:
    class Away(Sandbox):
        def book(self, key: str, parcel: Parcel) -> Booking:
            raise CarrierDown(f"no answer about {key}, {len(parcel.items)} items")

    alive, world.carrier = world.carrier, GuardedCarrier(Away(world.ledger), QUICK)
    with pytest.raises(CarrierDown):
        world.do(create())
    shipment = world.shipments.get("order-1")
    assert shipment is not None
    assert shipment.state is State.PENDING
    world.carrier = alive

    assert "tracking_number" in world.do(create())


def test_a_booking_whose_responses_are_lost_is_found_by_its_key(world: World) -> None:
    class Deaf(Sandbox):
        def book(self, key: str, parcel: Parcel) -> Booking:
            super().book(key, parcel)
            raise CarrierDown("lost")

    alive, world.carrier = world.carrier, GuardedCarrier(Deaf(world.ledger), QUICK)
    with pytest.raises(CarrierDown):
        world.do(create())
    world.carrier = alive

    assert world.do(cancel()) == {"cancelled": True}

    assert not world.is_booked()
    assert world.published() == ["shop.shipment.cancelled.v1"]


@pytest.mark.parametrize(("postal_code", "is_booked"), [("10115", True), ("00000", False), ("99999", True)])
def test_after_a_cancellation_nothing_is_booked(world: World, postal_code: str, is_booked: bool) -> None:
    world.do(create(postal_code))

    assert world.do(cancel()) == world.do(cancel()) == {"cancelled": is_booked}

    assert not world.is_booked()
    assert world.do(create("10115")) == "OrderClosed"
    assert not world.is_booked()
    assert world.published().count("shop.shipment.cancelled.v1") == (1 if is_booked else 0)


def test_an_order_is_closed_from_the_first_attempt_to_cancel_on(world: World) -> None:
    class Away(Sandbox):
        def cancel(self, key: str) -> Booking | None:
            raise CarrierDown(f"no answer about {key}")

    world.do(create())
    alive, world.carrier = world.carrier, GuardedCarrier(Away(world.ledger), QUICK)
    with pytest.raises(CarrierDown):
        world.do(cancel())
    world.carrier = alive

    assert world.do(create()) == "OrderClosed"
    assert world.do(cancel()) == {"cancelled": True}
    assert not world.is_booked()


def test_a_booking_after_its_cancellation_is_rejected(world: World) -> None:
    assert world.do(cancel()) == {"cancelled": False}

    assert world.do(create()) == "OrderClosed"

    assert not world.is_booked()
    assert world.published() == []


@pytest.mark.parametrize("is_cancelled_first", [True, False])
def test_a_booking_that_runs_concurrently_with_a_cancellation_books_nothing(
    world: World, is_cancelled_first: bool
) -> None:
    calm = world.carrier

    class Interrupted(Sandbox):
        """Whichever of the two comes first at the carrier."""

        def book(self, key: str, parcel: Parcel) -> Booking:
            world.carrier = calm
            if is_cancelled_first:
                world.do(cancel())
            booking = super().book(key, parcel)
            if not is_cancelled_first:
                world.do(cancel())
            return booking

    world.carrier = GuardedCarrier(Interrupted(world.ledger), QUICK)

    assert world.do(create()) == "OrderClosed"

    shipment = world.shipments.get("order-1")
    assert shipment is not None
    assert shipment.state is State.CANCELLED
    assert not world.is_booked()


def test_a_task_whose_result_was_lost_is_reported_again_and_publishes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise ConnectionError("the workflow does not answer")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(world.answers, "succeed", lost)
        with pytest.raises(ConnectionError):
            world.do(create())

    assert "tracking_number" in world.do(create())

    assert world.published() == ["shop.shipment.booked.v1"]
