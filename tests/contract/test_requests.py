"""Any request to an operation, valid or not, gets no 5xx, and only a response that the OpenAPI document describes."""

from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask_openapi3.blueprint import APIBlueprint
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.common.http import dead_letters
from services.order import api as order_api
from services.order.reconciliation import Finding, FindingKind
from services.payment import api as payment_api
from services.product import api as product_api
from services.shipping import api as shipping_api
from shopdev.checkout import SERVICES
from tests.services.callers import OPERATOR, As
from tests.services.common.messaging.dead_letters import TASK, MemoryPlace, letter
from tests.services.order.world import World as OrderWorld
from tests.services.order.world import wish
from tests.services.payment import world as payment
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import product
from tests.services.shipping import world as shipping

EXAMPLES = 25
# What is true of every answer.
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def dead_letters_of(service: str) -> list[APIBlueprint]:
    place = MemoryPlace([letter("m1", TASK), letter("m2", "no JSON")])
    return [dead_letters.blueprint(service, lambda: place)]


def products() -> tuple[Flask, Mapping[str, str]]:
    shop = MemoryShop()
    shop.put(product("CUP"), 3, None)
    return product_api.create(shop, verifier=As(OPERATOR), others=dead_letters_of("product")), {"sku": "CUP"}


def orders() -> tuple[Flask, Mapping[str, str]]:
    world = OrderWorld()
    reason = "a test"
    world.findings.put(
        Finding("0190f3b2-7c1e-7cc3-98c4-dc0c0c07398f", FindingKind.DISAGREEING, reason, world.now())
    )
    app = order_api.create(
        world.orders,
        world.products,
        world.idempotency,
        world.related_resources,
        world.findings,
        As(OPERATOR),
        dead_letters_of("order"),
    )
    placed = app.test_client().post("/orders", json=wish(), headers={"Idempotency-Key": "first"})
    return app, {"order_id": placed.get_json()["id"]}


def payments() -> tuple[Flask, Mapping[str, str]]:
    world = payment.World()
    world.do(payment.charge("tok_approve"))
    return payment_api.create(world.payments, As(OPERATOR), dead_letters_of("payment")), {
        "order_id": "order-1"
    }


def shipments() -> tuple[Flask, Mapping[str, str]]:
    world = shipping.World()
    world.do(shipping.create())
    return shipping_api.create(world.shipments, As(OPERATOR), dead_letters_of("shipping")), {
        "order_id": "order-1"
    }


# Service -> its application, and the variables of a path that leads to something.
APPLICATIONS = {"product": products, "order": orders, "payment": payments, "shipping": shipments}


def test_given_the_services_then_each_has_an_application_to_test() -> None:
    assert APPLICATIONS.keys() == set(SERVICES)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("service", APPLICATIONS)
def test_given_any_request_when_sent_then_the_response_matches_its_description(
    service: str, mode: GenerationMode
) -> None:
    app, there = APPLICATIONS[service]()
    for found in schemathesis.openapi.from_wsgi("/openapi.json", app).get_all_operations():
        assert isinstance(found, Ok)
        try_out(found.ok(), there, mode)


def try_out(operation: Any, there: Mapping[str, str], mode: GenerationMode) -> None:
    """Sends requests of an operation, about half of them to what is there."""

    @settings(max_examples=EXAMPLES)
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def check(case: Any, known: bool) -> None:
        if known:
            case.path_parameters.update({name: there[name] for name in case.path_parameters})
        case.call_and_validate(checks=CHECKS)

    check()
