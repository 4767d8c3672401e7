"""The HTTP APIs: the OpenAPI document of each service is valid and contains the public paths and schemas."""

from collections.abc import Mapping
from typing import Any

import pytest
from openapi_spec_validator import validate

from shopdev.checkout import SERVICES
from shopdev.codegen.apigateway.documents import document
from shopdev.processes.edge import declared_routes

PUBLIC: dict[str, dict[tuple[str, str], Mapping[str, set[str]]]] = {
    "product": {
        ("get", "/products"): {"200": {"items", "next"}},
        ("get", "/products/{sku}"): {"200": {"sku", "name", "category", "price", "available"}, "404": set()},
        ("get", "/inventory/{sku}"): {"200": {"sku", "available", "reserved", "sold"}, "404": set()},
    },
    "order": {
        ("post", "/orders"): {
            "202": {"id", "state", "items", "total", "created_at"},
            "400": set(),
            "422": set(),
        },
        ("get", "/orders"): {"200": {"items", "next"}},
        ("get", "/orders/{order_id}"): {
            "200": {"id", "state", "items", "total", "created_at", "timeline"},
            "404": set(),
        },
        ("get", "/orders/{order_id}/details"): {
            "200": {"order", "payment", "shipment", "missing"},
            "401": set(),
            "403": set(),
            "404": set(),
        },
        ("get", "/orders/attention"): {"200": {"items", "next", "checked_at"}, "401": set(), "403": set()},
        ("post", "/orders/{order_id}/cancel"): {"202": set(), "404": set(), "409": set()},
    },
    "payment": {
        ("get", "/payments/{order_id}"): {
            "200": {"order_id", "state", "charged", "refunded", "attempts"},
            "404": set(),
        },
    },
    "shipping": {
        ("get", "/shipments/{order_id}"): {"200": {"order_id", "state", "tracking_number"}, "404": set()},
    },
}
# Accepted callers by operation; an operation that is not listed is public.
CLOSED: dict[tuple[str, str], list[dict[str, list[str]]]] = {
    ("post", "/orders"): [{"customer": ["orders:write"]}],
    ("post", "/orders/{order_id}/cancel"): [{"customer": ["orders:write"]}],
    ("get", "/orders"): [{"customer": ["orders:read"]}],
    ("get", "/orders/attention"): [{"customer": ["ops:read"]}],
    ("get", "/orders/{order_id}"): [{"customer": ["orders:read"]}],
    ("get", "/orders/{order_id}/details"): [{"customer": ["orders:read"]}],
    ("get", "/payments/{order_id}"): [{"customer": ["orders:read"]}, {"machine": []}],
    ("get", "/shipments/{order_id}"): [{"customer": ["orders:read"]}, {"machine": []}],
}
for each in SERVICES:
    listed, redriven = ("get", f"/dead-letters/{each}"), ("post", f"/dead-letters/{each}/redrive")
    PUBLIC[each] |= {
        listed: {"200": {"items", "total"}, "401": set(), "403": set()},
        redriven: {"200": {"redriven", "missing"}, "401": set(), "403": set()},
    }
    CLOSED |= {listed: [{"customer": ["ops:read"]}], redriven: [{"customer": ["ops:write"]}]}
ANSWERS = [
    (service, operation, status, members)
    for service, operations in PUBLIC.items()
    for operation, answers in operations.items()
    for status, members in answers.items()
]
PROBLEM = {"type", "title", "status", "detail"}


def schema_of(service: str, operation: tuple[str, str], status: str) -> Mapping[str, Any]:
    method, path = operation
    described = document(service)
    (content,) = described["paths"][path][method]["responses"][status]["content"].values()
    schema: Mapping[str, Any] = content["schema"]
    while "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_service_then_its_openapi_document_is_valid(service: str) -> None:
    validate(dict(document(service)))


@pytest.mark.parametrize("service", SERVICES)
def test_given_the_openapi_document_of_a_service_then_it_describes_exactly_its_public_operations(
    service: str,
) -> None:
    described = {
        (method, path)
        for path, operations in document(service)["paths"].items()
        for method in operations
        if method in {"get", "post", "put", "patch", "delete"}
    }
    operations = {each for each in described if each[1] not in {"/healthz", "/readyz", "/metrics"}}
    assert operations == set(PUBLIC[service])


@pytest.mark.parametrize("service", SERVICES)
def test_given_an_operation_then_its_description_states_the_required_scopes(service: str) -> None:
    for method, path in PUBLIC[service]:
        security = document(service)["paths"][path][method].get("security", [])
        assert security == CLOSED.get((method, path), []), f"{method} {path}"


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_described_operation_then_a_route_of_the_chart_exposes_it(
    service: str,
) -> None:
    for method, path in PUBLIC[service]:
        assert [
            route
            for route in declared_routes(service)
            if (path == route["path"] or path.startswith(route["path"] + "/"))
            and method.upper() in route["methods"]
        ], f"{method} {path}"


@pytest.mark.parametrize(("service", "operation", "status", "members"), ANSWERS)
def test_given_a_public_operation_then_its_responses_are_described(
    service: str,
    operation: tuple[str, str],
    status: str,
    members: set[str],
) -> None:
    properties = schema_of(service, operation, status)["properties"]
    expected = PROBLEM if int(status) >= 400 else members
    assert expected <= set(properties)


def test_given_the_operation_post_orders_then_its_idempotency_key_is_required() -> None:
    parameters = document("order")["paths"]["/orders"]["post"]["parameters"]
    (key,) = [each for each in parameters if each["name"] == "Idempotency-Key"]
    assert key["in"] == "header"
    assert key["required"] is True
