"""The operations for dead letters: who may use them, and their responses."""

from http import HTTPStatus
from typing import Any

import pytest
from flask.testing import FlaskClient

from services.common.http import dead_letters, web
from services.common.values import clock
from services.common.values.caller import Caller
from tests.services.callers import ALICE, MACHINE, OPERATOR, As
from tests.services.common.messaging.dead_letters import NOW, TASK, MemoryPlace, letter

READER = Caller("rita", frozenset({"ops:read"}), frozenset({"ops"}))
INTRUDER = Caller("alice", ALICE.scopes | {"ops:read", "ops:write"})
PATH = "/dead-letters/payment"


@pytest.fixture
def place() -> MemoryPlace:
    return MemoryPlace([letter("m1", TASK), letter("m2", TASK)])


def client(place: MemoryPlace, caller: Caller) -> FlaskClient:
    operations = dead_letters.blueprint("payment", lambda: place)
    return web.create_app(
        name="payment", version="1", apis=[operations], ready={}, verifier=As(caller)
    ).test_client()


def test_given_dead_letters_when_staff_lists_them_then_the_response_has_their_cause_age_deliveries_and_body(
    place: MemoryPlace,
) -> None:
    response = client(place, READER).get(f"{PATH}?limit=1")

    assert response.status_code == HTTPStatus.OK
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json is not None
    (found,) = response.json["items"]
    assert response.json["total"] == 2
    assert (found["id"], found["queue"], found["kind"]) == ("m1", "shop-payment-tasks", "ChargePayment")
    assert (found["sent_at"], found["deliveries"]) == (clock.rfc3339(NOW), 5)
    assert "m1" in found["cause"]
    assert "(left out)" in found["body"]
    assert "tok_secret" not in response.text


@pytest.mark.parametrize("caller", [ALICE, INTRUDER, MACHINE], ids=["customer", "intruder", "machine"])
def test_given_another_caller_when_it_uses_the_operations_then_it_is_refused_and_nothing_changes(
    place: MemoryPlace, caller: Caller
) -> None:
    visitor = client(place, caller)

    assert visitor.get(PATH).status_code == HTTPStatus.FORBIDDEN
    assert visitor.post(f"{PATH}/redrive", json={"all": True}).status_code == HTTPStatus.FORBIDDEN
    assert (place.redriven, place.given_back) == ([], [])


def test_given_staff_that_may_only_read_when_it_redrives_then_it_is_refused(place: MemoryPlace) -> None:
    response = client(place, READER).post(f"{PATH}/redrive", json={"all": True})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert place.redriven == []


@pytest.mark.parametrize(
    ("body", "redriven", "missing"),
    [
        ({"ids": ["m2"]}, ["m2"], []),
        ({"ids": ["m2", "m2", "m9"]}, ["m2"], ["m9"]),
        ({"all": True}, ["m1", "m2"], []),
    ],
)
def test_given_dead_letters_when_staff_redrives_some_then_the_response_names_them(
    place: MemoryPlace, body: dict[str, Any], redriven: list[str], missing: list[str]
) -> None:
    response = client(place, OPERATOR).post(f"{PATH}/redrive", json=body)

    assert response.json == {"redriven": redriven, "missing": missing}
    assert place.redriven == redriven


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"all": False},
        {"ids": []},
        {"ids": ["m1"], "all": True},
        {"ids": ["m 1"]},
        {"all": 1},
        {"every": True},
    ],
)
def test_given_an_unclear_request_when_staff_redrives_then_nothing_is_redriven(
    place: MemoryPlace, body: dict[str, Any]
) -> None:
    response = client(place, OPERATOR).post(f"{PATH}/redrive", json=body)

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert place.redriven == []
