"""The payment service over HTTP."""

from http import HTTPStatus
from typing import Any

import orjson
import pytest

from services.payment import api
from tests.services.payment.world import NOTHING, PRICE, World, charge, refund


def get(world: World, path: str, status: HTTPStatus = HTTPStatus.OK) -> Any:
    response = api.create(world.payments).test_client().get(path)
    assert response.status_code == status
    return orjson.loads(response.data)


@pytest.mark.parametrize(
    ("token", "state", "charged", "outcomes"),
    [
        ("tok_approve", "CHARGED", PRICE, ["CHARGED"]),
        ("tok_decline", "DECLINED", NOTHING, ["DECLINED"]),
        ("tok_timeout", "UNKNOWN", NOTHING, ["UNANSWERED"]),
        ("tok_charge_then_timeout", "CHARGED", PRICE, ["CHARGED"]),
    ],
)
def test_a_payment_is_shown_as_far_as_it_is_known(
    world: World, token: str, state: str, charged: dict[str, Any], outcomes: list[str]
) -> None:
    world.do(charge(token))

    shown = get(world, "/payments/order-1")

    assert (shown["order_id"], shown["state"]) == ("order-1", state)
    assert (shown["charged"], shown["refunded"]) == (charged, NOTHING)
    assert [attempt["outcome"] for attempt in shown["attempts"]] == outcomes
    assert all(attempt["at"] and attempt["cause"] for attempt in shown["attempts"])


def test_a_refunded_payment_shows_both_amounts(world: World) -> None:
    world.do(charge("tok_approve"))
    world.do(refund())

    shown = get(world, "/payments/order-1")

    assert (shown["state"], shown["charged"], shown["refunded"]) == ("REFUNDED", PRICE, PRICE)


def test_no_payment_is_not_found(world: World) -> None:
    assert "none" in get(world, "/payments/none", HTTPStatus.NOT_FOUND)["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_the_service_says_how_it_is(world: World, path: str) -> None:
    assert get(world, path)
