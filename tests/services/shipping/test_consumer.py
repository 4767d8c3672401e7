"""The tasks for shipments: results, events and bookings, also when tasks are repeated, late or out of order."""

import pytest

from services.shipping.carrier import GuardedCarrier, Sandbox
from services.shipping.domain import Booking, Parcel, State
from services.shipping.ports import CarrierDown
from tests.services.shipping.world import QUICK, World, cancel, create


def test_given_a_booked_parcel_when_its_task_is_repeated_then_it_is_booked_once_and_one_event_is_published(
    world: World,
) -> None:
    first = world.do(create())

    assert world.do(create()) == first

    assert world.is_booked()
    assert world.published() == ["shop.shipment.booked.v1"]
    assert world.told[0].data["tracking_number"] == first["tracking_number"]


def test_given_a_new_order_when_its_parcel_is_booked_then_its_shipment_is_not_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    monkeypatch.setattr(world.shipments, "get", reads.append)

    assert "tracking_number" in world.do(create())

    assert reads == []


def test_given_two_orders_when_they_are_booked_then_their_tracking_numbers_differ(world: World) -> None:
    first, second = world.do(create()), world.do(create(order_id="order-2"))

    assert first["tracking_number"] != second["tracking_number"]


def test_given_a_refused_parcel_when_its_task_is_repeated_then_it_stays_refused(world: World) -> None:
    assert world.do(create("00000")) == "ShipmentRefused"
    assert world.do(create("10115")) == "ShipmentRefused"

    assert not world.is_booked()
    assert set(world.published()) == {"shop.shipment.refused.v1"}


def test_given_a_carrier_that_responds_at_the_third_attempt_when_a_parcel_is_booked_then_it_is_booked(
    world: World,
) -> None:
    assert "tracking_number" in world.do(create("99999"))

    assert world.ledger.count("order-1") == 4


def test_given_an_unavailable_carrier_when_it_recovers_then_the_pending_shipment_is_booked(
    world: World,
) -> None:
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


def test_given_a_booking_whose_responses_are_lost_when_it_is_cancelled_then_the_carrier_cancels_it_by_its_key(
    world: World,
) -> None:
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
def test_given_a_cancelled_shipment_when_its_booking_is_repeated_then_nothing_is_booked(
    world: World, postal_code: str, is_booked: bool
) -> None:
    world.do(create(postal_code))

    assert world.do(cancel()) == world.do(cancel()) == {"cancelled": is_booked}

    assert not world.is_booked()
    assert world.do(create("10115")) == "OrderClosed"
    assert not world.is_booked()
    assert world.published().count("shop.shipment.cancelled.v1") == (1 if is_booked else 0)


def test_given_a_cancellation_that_fails_at_the_carrier_when_a_booking_arrives_then_the_order_is_closed(
    world: World,
) -> None:
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


def test_given_a_cancelled_order_when_its_booking_arrives_late_then_it_is_rejected(world: World) -> None:
    assert world.do(cancel()) == {"cancelled": False}

    assert world.do(create()) == "OrderClosed"

    assert not world.is_booked()
    assert world.published() == []


@pytest.mark.parametrize("is_cancelled_first", [True, False])
def test_given_a_booking_and_a_cancellation_when_they_run_concurrently_then_nothing_is_booked(
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


def test_given_a_lost_result_when_the_task_is_redelivered_then_it_is_reported_again_without_another_event(
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
