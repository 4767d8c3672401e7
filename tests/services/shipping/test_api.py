"""The shipping service over HTTP."""

from http import HTTPStatus
from typing import Any

import orjson
import pytest

from services.shipping import api
from tests.services.shipping.world import World, cancel, create


def get(world: World, path: str, status: HTTPStatus = HTTPStatus.OK) -> Any:
    response = api.create(world.shipments).test_client().get(path)
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


def test_no_shipment_is_not_found(world: World) -> None:
    assert "none" in get(world, "/shipments/none", HTTPStatus.NOT_FOUND)["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_the_service_says_how_it_is(world: World, path: str) -> None:
    assert get(world, path)
