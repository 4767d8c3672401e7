"""The HTTP API of the fault switchboard, which exists in a demo only."""

from http import HTTPStatus

import orjson
import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from services.common.faults.switches import Fault
from services.common.values.caller import Caller
from services.order import api, faults
from tests.services.callers import ALICE, OPERATOR, As
from tests.services.memory import MemorySwitchboard
from tests.services.order.world import World


@pytest.fixture
def switchboard() -> MemorySwitchboard:
    return MemorySwitchboard()


def demo(switchboard: MemorySwitchboard, caller: Caller = ALICE) -> FlaskClient:
    world = World()
    return api.create(
        world.orders,
        world.products,
        world.idempotency,
        world.related_resources,
        world.findings,
        As(caller),
        [faults.create(switchboard)],
    ).test_client()


def positions(response: TestResponse) -> dict[Fault, bool]:
    assert response.status_code == HTTPStatus.OK
    return {Fault(each["key"]): each["on"] for each in orjson.loads(response.data)["items"]}


def test_given_no_switchboard_when_faults_are_requested_then_the_paths_do_not_exist(
    client: FlaskClient,
) -> None:
    assert client.get("/faults").status_code == HTTPStatus.NOT_FOUND
    assert client.put("/faults/payment-slow").status_code == HTTPStatus.NOT_FOUND
    assert client.delete("/faults").status_code == HTTPStatus.NOT_FOUND
    assert "/faults" not in client.get("/openapi.json").text


def test_given_a_switchboard_then_the_openapi_document_is_valid_and_describes_it(
    switchboard: MemorySwitchboard,
) -> None:
    document = orjson.loads(demo(switchboard).get("/openapi.json").data)

    validate(document)
    assert set(document["paths"]["/faults/{key}"]) == {"put", "delete"}
    assert set(document["paths"]["/faults"]) == {"get", "delete"}


@pytest.mark.parametrize("caller", [ALICE, OPERATOR], ids=["customer", "staff"])
def test_given_a_user_when_they_switch_faults_then_every_response_lists_all_faults(
    switchboard: MemorySwitchboard, caller: Caller
) -> None:
    client = demo(switchboard, caller)

    assert positions(client.put(f"/faults/{Fault.PAYMENT_AWAY}")) == {
        fault: fault is Fault.PAYMENT_AWAY for fault in Fault
    }
    client.put(f"/faults/{Fault.EVENTS_LATE}")
    off = positions(client.delete(f"/faults/{Fault.PAYMENT_AWAY}"))
    assert [fault for fault, is_on in off.items() if is_on] == [Fault.EVENTS_LATE]

    assert (
        positions(client.delete("/faults")) == positions(client.get("/faults")) == dict.fromkeys(Fault, False)
    )


def test_given_an_unknown_fault_when_switched_then_the_response_is_400(
    switchboard: MemorySwitchboard,
) -> None:
    client = demo(switchboard)

    assert client.put("/faults/meteorite").status_code == HTTPStatus.BAD_REQUEST
    assert client.delete("/faults/meteorite").status_code == HTTPStatus.BAD_REQUEST
