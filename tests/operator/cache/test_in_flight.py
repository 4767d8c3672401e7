"""Events of an object that is being written wait for the response, and are then shown in order."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from shop_operator.cache.in_flight import InFlight
from shop_operator.names import ChildId, Key

KEY = Key("ns", "web")
SERVICE = ChildId("Service", "web")

Shown = list[tuple[str | None, str]]


def obj(version: int, *, kind: str = "Service", namespace: str = "ns", uid: str = "u") -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": "web", "uid": uid, "resourceVersion": str(version)}
    return {"kind": kind, "metadata": metadata}


@pytest.fixture
def shown() -> Shown:
    return []


@pytest.fixture
def in_flight(shown: Shown) -> InFlight:
    def show(event: str | None, of: Mapping[str, Any]) -> None:
        shown.append((event, of["metadata"]["resourceVersion"]))

    return InFlight(show)


def test_given_no_write_of_an_object_then_its_event_does_not_wait(in_flight: InFlight) -> None:
    assert not in_flight.waits("MODIFIED", obj(1))

    with in_flight.writing(KEY, SERVICE):
        assert not in_flight.waits("MODIFIED", obj(1, kind="Deployment"))
        assert not in_flight.waits("MODIFIED", obj(1, namespace="elsewhere"))
        assert not in_flight.waits("MODIFIED", {"kind": "Service"})


def test_given_a_write_in_flight_when_its_object_has_an_event_then_it_is_shown_after_the_answer(
    in_flight: InFlight, shown: Shown
) -> None:
    with in_flight.writing(KEY, SERVICE):
        assert in_flight.waits("MODIFIED", obj(7))
        assert shown == []

    assert shown == [("MODIFIED", "7")]
    assert not in_flight.waits("MODIFIED", obj(8))


def test_given_a_write_in_flight_when_it_fails_then_the_waiting_event_is_shown(
    in_flight: InFlight, shown: Shown
) -> None:
    with suppress(TimeoutError), in_flight.writing(KEY, SERVICE):
        in_flight.waits("MODIFIED", obj(7))
        raise TimeoutError

    assert shown == [("MODIFIED", "7")]


def test_given_several_events_during_a_write_then_the_last_one_of_each_uid_is_shown_in_order(
    in_flight: InFlight, shown: Shown
) -> None:
    with in_flight.writing(KEY, SERVICE):
        for event in (
            ("MODIFIED", obj(7)),
            ("MODIFIED", obj(8)),
            ("DELETED", obj(9)),
            ("ADDED", obj(10, uid="v")),
        ):
            assert in_flight.waits(*event)

    assert shown == [("DELETED", "9"), ("ADDED", "10")]


def test_given_a_status_write_in_flight_then_only_events_of_its_shopservice_wait(
    in_flight: InFlight, shown: Shown
) -> None:
    with in_flight.writing(KEY):
        assert in_flight.waits("MODIFIED", obj(7, kind="ShopService"))
        assert not in_flight.waits("MODIFIED", obj(7))

    assert shown == [("MODIFIED", "7")]


def test_given_two_writes_of_one_object_then_its_event_is_shown_after_the_last_answer(
    in_flight: InFlight, shown: Shown
) -> None:
    with in_flight.writing(KEY, SERVICE):
        assert in_flight.waits("MODIFIED", obj(7))
        with in_flight.writing(KEY, SERVICE):
            assert in_flight.waits("MODIFIED", obj(8))
        assert shown == []

    assert shown == [("MODIFIED", "8")]
