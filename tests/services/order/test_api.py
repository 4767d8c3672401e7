"""The HTTP API of the order service."""

from http import HTTPStatus
from typing import Any

import jsonschema
import orjson
import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from services.common.http.idempotency import InFlight
from services.common.values import clock
from services.common.values.caller import Caller
from services.order.ports import RelatedResource
from services.order.reconciliation import Finding, FindingKind
from tests.services.callers import ALICE, BOB, MACHINE, OPERATOR
from tests.services.order.fakes import MemoryProducts
from tests.services.order.world import World, wish


def place(client: FlaskClient, body: Any = None, key: str = "key-1") -> TestResponse:
    return client.post("/orders", json=wish() if body is None else body, headers={"Idempotency-Key": key})


def is_problem(response: TestResponse, status: HTTPStatus) -> dict[str, Any]:
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    problem: dict[str, Any] = orjson.loads(response.data)
    assert problem["status"] == status
    return problem


def test_when_an_order_is_placed_then_it_is_accepted_at_stored_prices_and_readable_at_its_location(
    client: FlaskClient,
) -> None:
    response = place(client)

    assert response.status_code == HTTPStatus.ACCEPTED
    order = orjson.loads(response.data)
    assert order["state"] == "PENDING"
    assert order["total"] == {"amount": 2598, "currency": "EUR"}
    assert order["items"] == [
        {"sku": "TEA", "name": "Earl Grey", "quantity": 2, "price": {"amount": 1299, "currency": "EUR"}}
    ]
    assert response.headers["Location"] == f"/orders/{order['id']}"
    shown = orjson.loads(client.get(response.headers["Location"]).data)
    assert order.items() <= shown.items()
    assert [step["state"] for step in shown["timeline"]] == ["PENDING"]


def test_given_a_placed_order_when_its_request_is_repeated_then_the_response_is_repeated_and_no_order_added(
    client: FlaskClient,
) -> None:
    first = place(client)

    again = place(client)

    assert (again.status_code, again.data, again.headers["Location"]) == (
        first.status_code,
        first.data,
        first.headers["Location"],
    )
    assert len(orjson.loads(client.get("/orders").data)["items"]) == 1


def test_given_an_order_that_has_progressed_when_its_request_is_retried_then_the_response_is_the_same(
    client: FlaskClient, world: World
) -> None:
    first = place(client)
    world.task("CheckOrder", orjson.loads(first.data)["id"], reserved_at=clock.rfc3339(world.now()))

    assert place(client).data == first.data


def test_given_a_placed_order_when_the_body_members_are_reordered_then_the_response_is_the_same(
    client: FlaskClient,
) -> None:
    first = place(client)

    assert place(client, dict(reversed(wish().items()))).data == first.data


def test_given_a_used_key_when_another_body_is_sent_then_the_response_is_422(client: FlaskClient) -> None:
    place(client)

    is_problem(place(client, wish(("CUP", 1))), HTTPStatus.UNPROCESSABLE_ENTITY)


def test_given_a_used_key_when_another_payment_token_is_sent_then_the_response_is_422(
    client: FlaskClient,
) -> None:
    place(client)

    is_problem(place(client, wish(token="tok_decline")), HTTPStatus.UNPROCESSABLE_ENTITY)


def test_given_a_placed_order_when_its_product_is_removed_then_a_retry_gets_the_same_response(
    world: World,
) -> None:
    first = place(world.client(ALICE))

    world.products = MemoryProducts()

    assert place(world.client(ALICE)).data == first.data


def test_given_a_concurrent_request_with_the_same_key_when_an_order_is_placed_then_it_can_be_retried(
    client: FlaskClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contended(*_: object) -> None:
        raise InFlight

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(world.orders, "accept", contended)
        response = place(client)

    is_problem(response, HTTPStatus.CONFLICT)
    assert response.headers["Retry-After"] == "1"
    assert place(client).status_code == HTTPStatus.ACCEPTED


def test_given_no_idempotency_key_when_an_order_is_placed_then_the_response_is_400_and_names_the_header(
    client: FlaskClient,
) -> None:
    problem = is_problem(client.post("/orders", json=wish()), HTTPStatus.BAD_REQUEST)

    assert [error["field"] for error in problem["errors"]] == ["Idempotency-Key"]


def test_given_an_unknown_product_when_an_order_is_placed_then_it_is_named_and_the_key_stays_unused(
    client: FlaskClient,
) -> None:
    problem = is_problem(place(client, wish(("UNICORN", 1), ("TEA", 1))), HTTPStatus.UNPROCESSABLE_ENTITY)

    assert problem["skus"] == ["UNICORN"]
    assert place(client).status_code == HTTPStatus.ACCEPTED


@pytest.mark.parametrize(
    ("amount", "currency", "status"),
    [
        (2598, "EUR", HTTPStatus.ACCEPTED),
        (2597, "EUR", HTTPStatus.CONFLICT),
        (2598, "USD", HTTPStatus.CONFLICT),
        (0, "EUR", HTTPStatus.CONFLICT),
        (-1, "EUR", HTTPStatus.BAD_REQUEST),
        ("2598", "EUR", HTTPStatus.BAD_REQUEST),
        (2598, "euros", HTTPStatus.BAD_REQUEST),
    ],
)
def test_given_an_expected_total_when_an_order_is_placed_then_it_is_accepted_only_at_that_total(
    client: FlaskClient, amount: object, currency: str, status: HTTPStatus
) -> None:
    body = {**wish(), "expected_total": {"amount": amount, "currency": currency}}

    response = place(client, body)

    assert response.status_code == status
    if status == HTTPStatus.CONFLICT:
        problem = is_problem(response, status)
        assert problem["total"] == {"amount": 2598, "currency": "EUR"}
        assert "2598 EUR" in problem["detail"]


def test_given_a_changed_price_when_an_order_expects_the_old_total_then_it_is_rejected_with_its_key_unused(
    client: FlaskClient, world: World
) -> None:
    expected = {"expected_total": {"amount": 2598, "currency": "EUR"}}
    price = {"amount": 9900, "currency": "EUR"}
    world.fact(
        "shop.product.upserted.v1",
        {"sku": "TEA", "version": 2, "name": "Earl Grey", "category": "tea", "price": price},
    )

    problem = is_problem(place(client, {**wish(), **expected}), HTTPStatus.CONFLICT)

    assert problem["total"] == {"amount": 19800, "currency": "EUR"}
    assert orjson.loads(client.get("/orders").data)["items"] == []
    accepted = place(client, {**wish(), "expected_total": problem["total"]})
    assert accepted.status_code == HTTPStatus.ACCEPTED
    assert orjson.loads(accepted.data)["total"] == problem["total"]


def test_given_products_in_two_currencies_when_an_order_is_placed_then_the_response_is_422(
    client: FlaskClient,
) -> None:
    problem = is_problem(place(client, wish(("TEA", 1), ("MUG", 1))), HTTPStatus.UNPROCESSABLE_ENTITY)

    assert "EUR and USD" in problem["detail"]


def test_given_two_items_of_the_same_product_when_an_order_is_placed_then_they_are_merged(
    client: FlaskClient,
) -> None:
    order = orjson.loads(place(client, wish(("TEA", 1), ("TEA", 2))).data)

    assert [(item["sku"], item["quantity"]) for item in order["items"]] == [("TEA", 3)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (wish(("TEA", 0)), "items.0.quantity"),
        (wish(("TEA", 100)), "items.0.quantity"),
        (wish(("TEA", True)), "items.0.quantity"),
        (wish(("TEA", "2")), "items.0.quantity"),
        (wish(("TEA", 1.5)), "items.0.quantity"),
        (wish(("../etc", 1)), "items.0.sku"),
        (wish() | {"items": []}, "items"),
        (wish(*[("TEA", 1)] * 51), "items"),
        (wish() | {"price": 1}, "price"),
        (wish(country="XX"), "shipping_address.country"),
        (wish(country="gb"), "shipping_address.country"),
        (wish(name=" "), "shipping_address.name"),
        (wish(line1="x" * 201), "shipping_address.line1"),
        (wish(token=""), "payment.token"),
        (wish(token="x" * 257), "payment.token"),
        ({}, "items"),
        ([], "body"),
        ("text", "body"),
    ],
)
def test_given_an_invalid_body_when_an_order_is_placed_then_the_error_names_the_field(
    client: FlaskClient, body: Any, field: str
) -> None:
    problem = is_problem(place(client, body), HTTPStatus.BAD_REQUEST)

    assert field in [error["field"] for error in problem["errors"]]


def test_given_an_invalid_body_when_an_order_is_placed_then_the_error_does_not_contain_the_payment_token(
    client: FlaskClient,
) -> None:
    body = wish(token="tok_secret" + "x" * 256) | {"items": []}

    assert b"tok_secret" not in place(client, body).data


def test_given_a_body_that_is_not_json_when_an_order_is_placed_then_it_is_rejected(
    client: FlaskClient,
) -> None:
    headers = {"Idempotency-Key": "key-1"}

    is_problem(
        client.post("/orders", data=b"{", content_type="application/json", headers=headers),
        HTTPStatus.BAD_REQUEST,
    )
    is_problem(
        client.post("/orders", data=b"a=b", content_type="text/plain", headers=headers),
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    )


def test_given_a_body_over_64_kib_when_an_order_is_placed_then_the_response_is_413(
    client: FlaskClient,
) -> None:
    is_problem(place(client, wish(name="x" * 65536)), HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def test_given_five_orders_when_they_are_listed_in_pages_then_the_newest_come_first(
    client: FlaskClient,
) -> None:
    placed = [orjson.loads(place(client, key=f"key-{i}").data)["id"] for i in range(5)]

    first = orjson.loads(client.get("/orders?limit=3").data)
    second = orjson.loads(client.get(f"/orders?limit=3&cursor={first['next']}").data)

    assert [order["id"] for order in first["items"] + second["items"]] == placed[::-1]
    assert second["next"] is None


def test_given_a_full_last_page_when_orders_are_listed_then_there_is_no_next_cursor(
    client: FlaskClient,
) -> None:
    place(client)

    assert orjson.loads(client.get("/orders?limit=1").data)["next"] is None


@pytest.mark.parametrize(
    "query", ["cursor=nonsense", "cursor=e30", "limit=0", "limit=101", "limit=x", "cursor=!"]
)
def test_given_an_invalid_cursor_or_limit_when_orders_are_listed_then_the_response_is_400(
    client: FlaskClient, query: str
) -> None:
    is_problem(client.get(f"/orders?{query}"), HTTPStatus.BAD_REQUEST)


def test_given_an_unknown_order_or_one_of_another_customer_when_it_is_requested_then_it_is_not_found(
    client: FlaskClient, world: World
) -> None:
    order_id = orjson.loads(place(client).data)["id"]
    stranger = world.client(BOB)

    is_problem(client.get("/orders/none"), HTTPStatus.NOT_FOUND)
    is_problem(stranger.get(f"/orders/{order_id}"), HTTPStatus.NOT_FOUND)
    is_problem(stranger.post(f"/orders/{order_id}/cancel"), HTTPStatus.NOT_FOUND)
    assert orjson.loads(stranger.get("/orders").data) == {"items": [], "next": None}


def test_given_an_idempotency_key_of_one_customer_when_another_customer_uses_it_then_a_new_order_is_accepted(
    client: FlaskClient, world: World
) -> None:
    place(client)
    stranger = world.client(BOB)

    assert place(stranger, wish(("CUP", 1))).status_code == HTTPStatus.ACCEPTED


def test_given_an_order_when_an_operator_and_a_machine_request_it_then_only_the_operator_has_access(
    client: FlaskClient, world: World
) -> None:
    order_id = orjson.loads(place(client).data)["id"]

    operator, machine = world.client(OPERATOR), world.client(MACHINE)

    assert operator.get(f"/orders/{order_id}").status_code == HTTPStatus.OK
    assert operator.post(f"/orders/{order_id}/cancel").status_code == HTTPStatus.ACCEPTED
    is_problem(machine.get(f"/orders/{order_id}"), HTTPStatus.FORBIDDEN)


def test_given_a_read_only_token_when_an_order_is_placed_or_cancelled_then_it_is_forbidden(
    client: FlaskClient, world: World
) -> None:
    order_id = orjson.loads(place(client).data)["id"]
    reader = world.client(Caller("alice", frozenset({"orders:read"})))

    refused = [place(reader, key="other"), reader.post(f"/orders/{order_id}/cancel")]

    for answer in refused:
        is_problem(answer, HTTPStatus.FORBIDDEN)
        challenge = answer.headers["WWW-Authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="shop/orders:write"' in challenge


def test_given_an_unavailable_related_resource_when_details_are_requested_then_they_contain_all_other_parts(
    client: FlaskClient, world: World
) -> None:
    order = orjson.loads(place(client).data)
    world.related_resources.known = {
        "payment": RelatedResource({"state": "CHARGED"}),
        "shipment": RelatedResource(reason="no answer within 1 s"),
    }

    details = orjson.loads(
        client.get(f"/orders/{order['id']}/details", headers={"Authorization": "Bearer mine"}).data
    )

    assert details["order"] == orjson.loads(client.get(f"/orders/{order['id']}").data)
    assert details["payment"] == {"state": "CHARGED"}
    assert details["shipment"] is None
    assert details["missing"] == [{"part": "shipment", "reason": "no answer within 1 s"}]
    assert world.related_resources.shown == [(order["id"], {"Authorization": "Bearer mine"})], (
        "by the caller's own right"
    )


def test_given_an_order_of_another_customer_when_its_details_are_requested_then_no_related_resource_is_loaded(
    client: FlaskClient, world: World
) -> None:
    order_id = orjson.loads(place(client).data)["id"]

    is_problem(world.client(BOB).get(f"/orders/{order_id}/details"), HTTPStatus.NOT_FOUND)

    assert world.related_resources.shown == []


def test_given_a_pending_and_a_confirmed_order_when_they_are_cancelled_then_the_confirmed_one_conflicts(
    client: FlaskClient, world: World
) -> None:
    early, late = (orjson.loads(place(client, key=key).data)["id"] for key in ("a", "b"))
    world.task("ConfirmOrder", late)

    cancelled = client.post(f"/orders/{early}/cancel")

    assert cancelled.status_code == HTTPStatus.ACCEPTED
    assert orjson.loads(cancelled.data)["cancel_requested_at"]
    assert client.post(f"/orders/{early}/cancel").data == cancelled.data
    is_problem(client.post(f"/orders/{late}/cancel"), HTTPStatus.CONFLICT)


def test_given_an_unknown_path_or_method_when_a_request_is_sent_then_it_is_rejected(
    client: FlaskClient,
) -> None:
    is_problem(client.delete("/orders"), HTTPStatus.METHOD_NOT_ALLOWED)
    is_problem(client.get("/orders/1/cancel"), HTTPStatus.METHOD_NOT_ALLOWED)
    is_problem(client.get("/"), HTTPStatus.NOT_FOUND)


def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(client.get("/openapi.json").data)
    return found


def test_when_the_openapi_document_is_requested_then_it_is_valid_and_contains_every_path(
    client: FlaskClient,
) -> None:
    spec = document(client)

    validate(spec)
    operations = {(path, method) for path, item in spec["paths"].items() for method in item}
    assert operations == {
        ("/orders", "post"),
        ("/orders", "get"),
        ("/orders/attention", "get"),
        ("/orders/{order_id}", "get"),
        ("/orders/{order_id}/details", "get"),
        ("/orders/{order_id}/cancel", "post"),
    }
    placing = spec["paths"]["/orders"]["post"]
    assert {"202", "400", "409", "415", "422", "default"} <= placing["responses"].keys()
    assert placing["responses"]["202"]["headers"].keys() == {"Location"}
    assert "<br/>" not in placing["description"]
    assert [(p["name"], p["in"], p["required"]) for p in placing["parameters"]] == [
        ("Idempotency-Key", "header", True)
    ]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("AcceptedOrder", None),
        ("OrderDetails", "/orders/{id}"),
        ("OrderList", "/orders"),
        ("Problem", "/orders/x"),
    ],
)
def test_given_a_response_when_it_is_validated_then_it_matches_the_openapi_document(
    client: FlaskClient, model: str, path: str | None
) -> None:
    placed = place(client)
    answer = placed if path is None else client.get(path.format(id=orjson.loads(placed.data)["id"]))

    spec = document(client)

    schema = {"$ref": f"#/components/schemas/{model}", "components": spec["components"]}
    jsonschema.validate(orjson.loads(answer.data), schema, format_checker=jsonschema.FormatChecker())


def test_given_orders_that_need_attention_when_staff_lists_them_then_each_has_its_reason_and_its_order(
    client: FlaskClient, world: World
) -> None:
    order = orjson.loads(place(client).data)
    world.findings.put(Finding(order["id"], FindingKind.STANDING_STILL, "PENDING since noon", world.now()))
    gone = "f0000000-0000-7000-8000-000000000000"
    world.findings.put(Finding(gone, FindingKind.DISAGREEING, "the row is missing", world.now()))
    world.findings.note_run(world.now())
    staff = world.client(OPERATOR)

    first = orjson.loads(staff.get("/orders/attention?limit=1").data)
    second = orjson.loads(staff.get(f"/orders/attention?limit=1&cursor={first['next']}").data)

    (standing,), (missing,) = first["items"], second["items"]
    assert (standing["order_id"], standing["finding"]) == (order["id"], "STANDING_STILL")
    assert (standing["reason"], standing["since"]) == ("PENDING since noon", clock.rfc3339(world.now()))
    assert standing["order"] == {name: order[name] for name in standing["order"]}
    assert (missing["order_id"], missing["order"]) == (gone, None)
    assert first["checked_at"] == clock.rfc3339(world.now())
    assert second["next"] is None


@pytest.mark.parametrize("caller", [ALICE, MACHINE, Caller("alice", frozenset({"orders:read", "ops:read"}))])
def test_given_a_caller_who_is_not_staff_when_orders_that_need_attention_are_listed_then_it_is_refused(
    world: World, caller: Caller
) -> None:
    is_problem(world.client(caller).get("/orders/attention"), HTTPStatus.FORBIDDEN)
