"""The HTTP API of the shipping service."""

from http import HTTPStatus
from typing import Any

import orjson
import pytest

from services.common.values.caller import Caller
from services.shipping import api
from tests.services.callers import ALICE, BOB, CUSTOMER, MACHINE, OPERATOR, As
from tests.services.shipping.world import World, cancel, create


def get(world: World, path: str, status: HTTPStatus = HTTPStatus.OK, caller: Caller = ALICE) -> Any:
    response = api.create(world.shipments, As(caller)).test_client().get(path)
    assert response.status_code == status
    return orjson.loads(response.data)


def test_given_a_booked_shipment_when_it_is_requested_then_its_tracking_number_is_returned(
    world: World,
) -> None:
    booked = world.do(create())

    assert get(world, "/shipments/order-1") == {
        "order_id": "order-1",
        "state": "BOOKED",
        **booked,
        "cause": None,
    }


def test_given_a_refused_shipment_when_it_is_requested_then_its_cause_is_returned(world: World) -> None:
    world.do(create("00000"))

    shown = get(world, "/shipments/order-1")

    assert (shown["state"], shown["tracking_number"]) == ("REFUSED", None)
    assert "00000" in shown["cause"]


def test_given_a_cancelled_shipment_when_it_is_requested_then_its_state_is_cancelled(world: World) -> None:
    world.do(create())
    world.do(cancel())

    assert get(world, "/shipments/order-1")["state"] == "CANCELLED"


@pytest.mark.parametrize("caller", [ALICE, OPERATOR, MACHINE])
def test_given_a_shipment_when_its_customer_an_operator_or_a_machine_requests_it_then_it_is_returned(
    world: World, caller: Caller
) -> None:
    world.do(create())

    assert get(world, "/shipments/order-1", caller=caller)["order_id"] == "order-1"


@pytest.mark.parametrize("caller", [BOB, Caller("mallory", CUSTOMER | {"ops:read"})])
def test_given_a_shipment_when_another_customer_requests_it_then_it_is_not_found(
    world: World, caller: Caller
) -> None:
    world.do(create())

    others = get(world, "/shipments/order-1", HTTPStatus.NOT_FOUND, caller)

    none = get(world, "/shipments/order-2", HTTPStatus.NOT_FOUND, caller)
    assert {**others, "trace_id": ""} == {
        **none,
        "detail": none["detail"].replace("order-2", "order-1"),
        "trace_id": "",
    }


def test_given_a_shipment_closed_before_its_booking_when_it_is_requested_then_only_its_customer_sees_it(
    world: World,
) -> None:
    world.do(cancel())

    assert get(world, "/shipments/order-1")["order_id"] == "order-1"
    get(world, "/shipments/order-1", HTTPStatus.NOT_FOUND, BOB)


def test_given_no_shipment_when_it_is_requested_then_it_is_not_found(world: World) -> None:
    assert "not found" in get(world, "/shipments/none", HTTPStatus.NOT_FOUND)["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_given_a_service_when_its_health_or_openapi_document_is_requested_then_it_responds(
    world: World, path: str
) -> None:
    assert get(world, path)
