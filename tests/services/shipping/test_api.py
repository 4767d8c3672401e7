"""The HTTP API of the shipping service."""

from http import HTTPStatus
from typing import Any

import orjson
import pytest

from services.common.values import clock
from services.common.values.caller import Caller
from services.shipping import api, domain
from tests.services.callers import ALICE, BOB, CUSTOMER, MACHINE, OPERATOR, As
from tests.services.shipping.world import World, cancel, create


def get(world: World, path: str, status: HTTPStatus = HTTPStatus.OK, caller: Caller = ALICE) -> Any:
    response = api.create(world.shipments, As(caller)).test_client().get(path)
    assert response.status_code == status
    return orjson.loads(response.data)


def test_a_booked_shipment_is_shown_with_its_tracking_number(world: World) -> None:
    booked = world.do(create())

    assert get(world, "/shipments/order-1") == {
        "order_id": "order-1",
        "state": "BOOKED",
        **booked,
        "cause": None,
    }


def test_a_refused_shipment_is_shown_with_its_cause(world: World) -> None:
    world.do(create("00000"))

    shown = get(world, "/shipments/order-1")

    assert (shown["state"], shown["tracking_number"]) == ("REFUSED", None)
    assert "00000" in shown["cause"]


def test_a_cancelled_shipment_is_shown(world: World) -> None:
    world.do(create())
    world.do(cancel())

    assert get(world, "/shipments/order-1")["state"] == "CANCELLED"


@pytest.mark.parametrize("caller", [ALICE, OPERATOR, MACHINE])
def test_a_shipment_is_visible_to_its_customer_to_operators_and_to_machines(
    world: World, caller: Caller
) -> None:
    world.do(create())

    assert get(world, "/shipments/order-1", caller=caller)["order_id"] == "order-1"


@pytest.mark.parametrize("caller", [BOB, Caller("mallory", CUSTOMER | {"ops:read"})])
def test_a_shipment_of_another_customer_is_not_found(world: World, caller: Caller) -> None:
    world.do(create())

    others = get(world, "/shipments/order-1", HTTPStatus.NOT_FOUND, caller)

    none = get(world, "/shipments/order-2", HTTPStatus.NOT_FOUND, caller)
    assert {**others, "trace_id": ""} == {
        **none,
        "detail": none["detail"].replace("order-2", "order-1"),
        "trace_id": "",
    }


def test_a_shipment_that_was_closed_before_it_began_belongs_to_its_customer(world: World) -> None:
    world.do(cancel())

    assert get(world, "/shipments/order-1")["order_id"] == "order-1"
    get(world, "/shipments/order-1", HTTPStatus.NOT_FOUND, BOB)


def test_a_shipment_without_a_customer_is_not_visible_to_customers(world: World) -> None:
    world.shipments.save(domain.begun("order-1", None, clock.now()), None)

    get(world, "/shipments/order-1", HTTPStatus.NOT_FOUND)
    assert get(world, "/shipments/order-1", caller=OPERATOR)["order_id"] == "order-1"


def test_no_shipment_is_not_found(world: World) -> None:
    assert "none" in get(world, "/shipments/none", HTTPStatus.NOT_FOUND)["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_the_service_reports_its_health(world: World, path: str) -> None:
    assert get(world, path)
