"""The HTTP API of the payment service."""

from http import HTTPStatus
from typing import Any

import orjson
import pytest

from services.common.values.caller import Caller
from services.payment import api
from tests.services.callers import ALICE, BOB, CUSTOMER, MACHINE, OPERATOR, As
from tests.services.payment.world import NOTHING, PRICE, World, charge, refund


def get(world: World, path: str, status: HTTPStatus = HTTPStatus.OK, caller: Caller = ALICE) -> Any:
    response = api.create(world.payments, As(caller)).test_client().get(path)
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
def test_given_a_payment_when_it_is_requested_then_its_state_amounts_and_attempts_are_returned(
    world: World, token: str, state: str, charged: dict[str, Any], outcomes: list[str]
) -> None:
    world.do(charge(token))

    shown = get(world, "/payments/order-1")

    assert (shown["order_id"], shown["state"]) == ("order-1", state)
    assert (shown["charged"], shown["refunded"]) == (charged, NOTHING)
    assert [attempt["outcome"] for attempt in shown["attempts"]] == outcomes
    assert all(attempt["at"] and attempt["cause"] for attempt in shown["attempts"])


def test_given_a_refunded_payment_when_it_is_requested_then_both_amounts_are_returned(world: World) -> None:
    world.do(charge("tok_approve"))
    world.do(refund())

    shown = get(world, "/payments/order-1")

    assert (shown["state"], shown["charged"], shown["refunded"]) == ("REFUNDED", PRICE, PRICE)


@pytest.mark.parametrize("caller", [ALICE, OPERATOR, MACHINE])
def test_given_a_payment_when_its_customer_an_operator_or_a_machine_requests_it_then_it_is_returned(
    world: World, caller: Caller
) -> None:
    world.do(charge("tok_approve"))

    assert get(world, "/payments/order-1", caller=caller)["order_id"] == "order-1"


@pytest.mark.parametrize("caller", [BOB, Caller("mallory", CUSTOMER | {"ops:read"})])
def test_given_a_payment_when_another_customer_requests_it_then_it_is_not_found(
    world: World, caller: Caller
) -> None:
    world.do(charge("tok_approve"))

    others = get(world, "/payments/order-1", HTTPStatus.NOT_FOUND, caller)

    none = get(world, "/payments/order-2", HTTPStatus.NOT_FOUND, caller)
    assert {**others, "trace_id": ""} == {
        **none,
        "detail": none["detail"].replace("order-2", "order-1"),
        "trace_id": "",
    }


def test_given_a_payment_closed_before_its_charge_when_it_is_requested_then_only_its_customer_sees_it(
    world: World,
) -> None:
    world.do(refund())

    assert get(world, "/payments/order-1")["order_id"] == "order-1"
    get(world, "/payments/order-1", HTTPStatus.NOT_FOUND, BOB)


def test_given_no_payment_when_it_is_requested_then_it_is_not_found(world: World) -> None:
    assert "not found" in get(world, "/payments/none", HTTPStatus.NOT_FOUND)["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_given_a_service_when_its_health_or_openapi_document_is_requested_then_it_responds(
    world: World, path: str
) -> None:
    assert get(world, path)
