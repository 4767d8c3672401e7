"""Rows that cannot be parsed, because of a manual edit or another version of the service, in every API that reads them.

The row exists, so the response is not 404. The request did not cause the error, so the response is 503. Lists skip the row.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from flask import Flask

from services.common.aws import dynamo
from services.common.aws.idempotency import DynamoIdempotency
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.http.idempotency import Answer, KeyedRequest
from services.common.telemetry import metrics
from services.common.values.money import Money
from services.order import api as order_api
from services.order import domain as order_domain
from services.order import messages as order_messages
from services.order.dynamo import DynamoOrders
from services.payment import api as payment_api
from services.payment import domain as payment_domain
from services.payment.dynamo import DynamoPayments
from services.product import api as product_api
from services.product.domain import Product
from services.product.dynamo import DynamoCatalogue
from services.shipping import api as shipping_api
from services.shipping import domain as shipping_domain
from services.shipping.domain import Booking
from services.shipping.dynamo import DynamoShipments
from shopdev.processes.emulator import AwsServer
from tests.services.callers import ALICE, As
from tests.services.order.fakes import MemoryFindings, MemoryProducts, MemoryRelatedResources
from tests.services.order.world import TEA, wish

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PRICE = Money(1299, "EUR")
KEYED = KeyedRequest("alice POST /orders", "key", "fingerprint")


def product(client: "DynamoDBClient", table: str) -> Flask:
    catalogue = DynamoCatalogue(client, table, DynamoOutbox(client, table))
    for sku in ("CUP", "TEA"):
        catalogue.put(Product(sku, "Cup", "cups", PRICE, NOW, 1), 5, None)
    return product_api.create(catalogue)


def order(client: "DynamoDBClient", table: str) -> Flask:
    idempotency, outbox = DynamoIdempotency(client, table), DynamoOutbox(client, table)
    orders = DynamoOrders(client, table, idempotency, outbox, DynamoVault(client, table))
    for order_id in ("order-1", "order-2"):
        placed = order_domain.place(
            order_id,
            "alice",
            [order_domain.Item("TEA", 1)],
            {"TEA": TEA},
            order_domain.Address(**wish()["shipping_address"]),
            NOW,
        )
        keyed = KeyedRequest(KEYED.scope, order_id, KEYED.fingerprint)
        orders.accept(placed, "tok_approve", order_messages.acceptance(placed), keyed, Answer(202, {}))
    return order_api.create(
        orders, MemoryProducts(TEA), idempotency, MemoryRelatedResources(), MemoryFindings(), As(ALICE)
    )


def payment(client: "DynamoDBClient", table: str) -> Flask:
    payments = DynamoPayments(client, table, DynamoOutbox(client, table), DynamoVault(client, table))
    begun = payment_domain.begun("order-1", "alice", PRICE)
    payments.save(begun.charged(payment_domain.Charge("pay_1", PRICE, NOW), NOW), None)
    return payment_api.create(payments, As(ALICE))


def shipping(client: "DynamoDBClient", table: str) -> Flask:
    shipments = DynamoShipments(client, table, DynamoOutbox(client, table))
    begun = shipping_domain.begun("order-1", "alice", NOW)
    shipments.save(begun.booked(Booking("SBX1", NOW)), None)
    return shipping_api.create(shipments, As(ALICE))


@dataclass(frozen=True)
class Row:
    """A row and who answers of it.

    Args:
        app: makes the API of a service, with the row in its table.
        key: of the row.
        kind: of the row, for the metric.
        paths: that answer of it.
        wrong: attributes of which each makes it unreadable by a value of another type.
        missing: attributes of which each makes it unreadable by being absent.
        listed: the path of the list that has the row and another one.
    """

    app: Callable[["DynamoDBClient", str], Flask]
    key: tuple[str, str]
    kind: str
    paths: tuple[str, ...]
    wrong: tuple[str, ...]
    missing: tuple[str, ...]
    listed: str = ""


ROWS = {
    "product": Row(
        product,
        ("PRODUCT#CUP", "PRODUCT"),
        "product",
        ("/products/CUP", "/inventory/CUP"),
        ("name", "category", "price", "available", "reserved", "sold", "updated_at"),
        ("name", "price", "available"),
        "/products",
    ),
    "order": Row(
        order,
        ("ORDER#order-1", "ORDER"),
        "order",
        ("/orders/order-1", "/orders/order-1/details"),
        ("customer_id", "lines", "total", "address", "created_at", "timeline", "version", "tracking_number"),
        ("customer_id", "lines", "timeline", "version"),
        "/orders",
    ),
    "payment": Row(
        payment,
        ("PAYMENT#order-1", "PAYMENT"),
        "payment",
        ("/payments/order-1",),
        ("customer_id", "state", "amount", "charge", "attempts", "version"),
        ("customer_id", "state", "attempts", "version"),
    ),
    "shipping": Row(
        shipping,
        ("SHIPMENT#order-1", "SHIPMENT"),
        "shipment",
        ("/shipments/order-1",),
        ("customer_id", "state", "decided_at", "tracking_number", "version"),
        ("customer_id", "state", "decided_at", "version", "booked_at"),
    ),
}
BROKEN = [
    pytest.param(ROWS[service], change, id=f"{service} {change}")
    for service in ROWS
    for change in (
        *(f"SET #name = :wrong {name}" for name in ROWS[service].wrong),
        *(f"REMOVE #name {name}" for name in ROWS[service].missing),
    )
]


def broken(client: "DynamoDBClient", table: str, row: Row, change: str) -> None:
    expression, name = change.rsplit(" ", 1)
    values: Any = {"ExpressionAttributeValues": {":wrong": {"BOOL": True}}} if ":wrong" in expression else {}
    client.update_item(
        TableName=table,
        Key=dynamo.pack(dict(zip(("pk", "sk"), row.key, strict=True))),
        UpdateExpression=expression,
        ExpressionAttributeNames={"#name": name},
        **values,
    )


def unreadable(kind: str) -> float:
    return float(metrics.UNREADABLE_ROWS.labels(kind)._value.get())


@pytest.mark.parametrize(("row", "change"), BROKEN)
def test_given_an_unreadable_row_when_its_resource_is_requested_then_the_response_is_503_and_it_is_counted(
    account: AwsServer,
    create_table: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    row: Row,
    change: str,
) -> None:
    # A product is answered from memory for a second.
    monkeypatch.setattr("services.product.recent.KEPT", 0.0)
    client, table = account.clients.dynamodb, create_table()
    api = row.app(client, table).test_client()
    for path in row.paths:
        assert api.get(path).status_code == HTTPStatus.OK
    broken(client, table, row, change)
    before = unreadable(row.kind)

    answers = [api.get(path) for path in row.paths]

    assert {answer.status_code for answer in answers} == {HTTPStatus.SERVICE_UNAVAILABLE}
    assert {answer.headers["Retry-After"] for answer in answers} == {"60"}
    assert unreadable(row.kind) == before + len(row.paths)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.listed], ids=lambda row: row.kind)
def test_given_an_unreadable_row_when_resources_are_listed_then_the_others_are_returned(
    account: AwsServer, create_table: Callable[[], str], row: Row
) -> None:
    for name in row.wrong:
        client, table = account.clients.dynamodb, create_table()
        api = row.app(client, table).test_client()
        broken(client, table, row, f"SET #name = :wrong {name}")

        answer = api.get(row.listed)

        assert answer.status_code == HTTPStatus.OK, name
        assert len(orjson.loads(answer.data)["items"]) == 1, name


def test_given_an_unreadable_order_when_it_is_cancelled_then_nothing_is_written(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    api = order(client, table).test_client()
    broken(client, table, ROWS["order"], "REMOVE #name total")
    key = dynamo.pack(dict(zip(("pk", "sk"), ROWS["order"].key, strict=True)))
    before = client.get_item(TableName=table, Key=key)["Item"]

    answer = api.post("/orders/order-1/cancel")

    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert client.get_item(TableName=table, Key=key)["Item"] == before


def test_given_an_unreadable_idempotency_record_when_the_order_is_placed_again_then_no_second_order_is_stored(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    api = order(client, table).test_client()
    client.update_item(
        TableName=table,
        Key=dynamo.pack({"pk": f"IDEMPOTENCY#{KEYED.scope}#order-1", "sk": KEYED.scope}),
        UpdateExpression="REMOVE fingerprint",
    )

    answer = api.post("/orders", json=wish(), headers={"Idempotency-Key": "order-1"})

    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert len(orjson.loads(api.get("/orders").data)["items"]) == 2


WRONG: Any = 5


def an_order(client: "DynamoDBClient", table: str) -> None:
    order(client, table)
    orders = DynamoOrders(
        client,
        table,
        DynamoIdempotency(client, table),
        DynamoOutbox(client, table),
        DynamoVault(client, table),
    )
    placed = orders.get("order-1")
    assert placed
    orders.save(replace(placed, tracking_number=WRONG), None)


def a_payment(client: "DynamoDBClient", table: str) -> None:
    payments = DynamoPayments(client, table, DynamoOutbox(client, table), DynamoVault(client, table))
    payments.save(payment_domain.begun("order-1", WRONG, PRICE), None)


def a_shipment(client: "DynamoDBClient", table: str) -> None:
    shipments = DynamoShipments(client, table, DynamoOutbox(client, table))
    shipments.save(shipping_domain.begun("order-1", WRONG, NOW), None)


@pytest.mark.parametrize("write", [an_order, a_payment, a_shipment])
def test_given_a_value_of_the_wrong_type_when_its_row_is_written_then_the_write_fails_and_no_row_contains_it(
    account: AwsServer, create_table: Callable[[], str], write: Callable[["DynamoDBClient", str], None]
) -> None:
    client, table = account.clients.dynamodb, create_table()

    with pytest.raises(TypeError):
        write(client, table)

    values = [value for row in client.scan(TableName=table)["Items"] for value in row.values()]
    assert dynamo.pack({"wrong": WRONG})["wrong"] not in values
