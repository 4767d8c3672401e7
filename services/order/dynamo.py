"""Orders and the view of products in DynamoDB.

| item | pk | sk | gsi1pk | gsi1sk |
|---|---|---|---|---|
| an order | ORDER#<id> | ORDER | CUSTOMER#<customer> | <id> |
| a product's name and price | PRODUCT#<sku> | PRODUCT | | |
| an Idempotency-Key | see `common.idempotency` | | | |
| something to tell | see `common.outbox` | | | |
"""

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from services.common import clock, dynamo
from services.common.errors import Unavailable
from services.common.idempotency import Answer, Claim, ClaimLost, DynamoIdempotency
from services.common.money import Money
from services.common.outbox import DynamoOutbox, OutboxRecord
from services.order.domain import Address, Line, Order, Product, State, Step
from services.order.ports import Page, Stale

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

REFUSED = "ConditionalCheckFailed"
CONTENDED_TRIES = 3
# How often products that DynamoDB left out of a batch are asked for again, and the first pause in seconds.
BATCH_TRIES = 5
BATCH_PAUSE = 0.02


class DynamoOrders:
    """Orders in the service's table.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        idempotency: in the same table.
        outbox: in the same table.
    """

    def __init__(
        self, client: "DynamoDBClient", table: str, idempotency: DynamoIdempotency, outbox: DynamoOutbox
    ) -> None:
        self._client = client
        self._table = table
        self._idempotency = idempotency
        self._outbox = outbox

    def accept(self, order: Order, told: OutboxRecord, claim: Claim, answer: Answer) -> None:
        """As `ports.Orders.accept`."""
        creation: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table,
                "Item": dynamo.pack(_to_item(order)),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }
        completion = self._idempotency.completion(claim, answer)
        try:
            self._write([completion, creation, self._outbox.addition(told)])
        except ClientError as error:
            if dynamo.refusals(error)[:1] == [REFUSED]:
                raise ClaimLost from error
            raise

    def get(self, order_id: str) -> Order | None:
        """As `ports.Orders.get`."""
        answer = self._client.get_item(
            TableName=self._table, Key=dynamo.pack(_order_key(order_id)), ConsistentRead=True
        )
        return _to_order(dynamo.unpack(answer["Item"])) if "Item" in answer else None

    def save(self, order: Order, told: OutboxRecord | None) -> Order:
        """As `ports.Orders.save`."""
        item = _to_item(order) | {"version": order.version + 1}
        unchanged: dict[str, Any] = {
            "TableName": self._table,
            "Item": dynamo.pack(item),
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": dynamo.pack({":version": order.version}),
        }
        try:
            if told is None:
                self._client.put_item(**unchanged)
            else:
                self._client.transact_write_items(
                    TransactItems=[{"Put": unchanged}, self._outbox.addition(told)]  # type: ignore[typeddict-item]  # the same shape as put_item's
                )
        except ClientError as error:
            if dynamo.is_refused(error) or REFUSED in dynamo.refusals(error) or dynamo.is_contended(error):
                raise Stale(order.id) from error
            raise
        return _to_order(item)

    def page(self, customer_id: str, after: str | None, limit: int) -> Page:
        """As `ports.Orders.page`."""
        customer = f"CUSTOMER#{customer_id}"
        start: dict[str, Any] = (
            {"ExclusiveStartKey": dynamo.pack({**_order_key(after), "gsi1pk": customer, "gsi1sk": after})}
            if after
            else {}
        )
        answer = self._client.query(
            TableName=self._table,
            IndexName="gsi1",
            KeyConditionExpression="gsi1pk = :customer",
            ExpressionAttributeValues=dynamo.pack({":customer": customer}),
            ScanIndexForward=False,
            Limit=limit + 1,
            **start,
        )
        orders = tuple(_to_order(dynamo.unpack(item)) for item in answer["Items"])
        return Page(orders[:limit], orders[limit - 1].id if len(orders) > limit else None)

    def ping(self) -> None:
        """As `ports.Orders.ping`."""
        self._client.get_item(TableName=self._table, Key=dynamo.pack(_order_key("ping")))

    def _write(self, writes: "list[TransactWriteItemTypeDef]") -> None:
        """All of the writes or none; a repeat of the request that reads the same key meanwhile does not stop them."""
        for _ in range(CONTENDED_TRIES - 1):
            try:
                self._client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                if not dynamo.is_contended(error):
                    raise
            else:
                return
        self._client.transact_write_items(TransactItems=writes)


class DynamoProducts:
    """The view of products in the service's table.

    Args:
        client: a DynamoDB client.
        table: the table's name.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def find(self, skus: Collection[str]) -> Mapping[str, Product]:
        """As `ports.Products.find`; at most 100 (AWS limit)."""
        request: Mapping[str, Any] = {self._table: {"Keys": [dynamo.pack(_product_key(sku)) for sku in skus]}}
        found: list[Mapping[str, Any]] = []
        for attempt in range(BATCH_TRIES):
            answer = self._client.batch_get_item(RequestItems=request)
            found += answer["Responses"].get(self._table, [])
            request = answer.get("UnprocessedKeys", {})
            if not request:
                return {product.sku: product for product in map(_to_product, found)}
            time.sleep(BATCH_PAUSE * 2**attempt)
        raise Unavailable("prices cannot be read just now; send the same request again")

    def put(self, product: Product) -> bool:
        """As `ports.Products.put`."""
        item = {
            **_product_key(product.sku),
            "name": product.name,
            "price": product.price.to_dict(),
            "as_of": product.as_of,
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=dynamo.pack(item),
                ConditionExpression="attribute_not_exists(pk) OR as_of < :as_of",
                ExpressionAttributeValues=dynamo.pack({":as_of": product.as_of}),
            )
        except ClientError as error:
            if dynamo.is_refused(error):
                return False
            raise
        return True


def _order_key(order_id: str) -> dict[str, str]:
    return {"pk": f"ORDER#{order_id}", "sk": "ORDER"}


def _product_key(sku: str) -> dict[str, str]:
    return {"pk": f"PRODUCT#{sku}", "sk": "PRODUCT"}


def _to_product(item: Mapping[str, Any]) -> Product:
    known = dynamo.unpack(item)
    return Product(
        known["pk"].removeprefix("PRODUCT#"), known["name"], Money.from_dict(known["price"]), known["as_of"]
    )


def _to_item(order: Order) -> dict[str, Any]:
    moments = {"confirmed_at": order.confirmed_at, "cancel_requested_at": order.cancel_requested_at}
    return {
        **_order_key(order.id),
        "gsi1pk": f"CUSTOMER#{order.customer_id}",
        "gsi1sk": order.id,
        "id": order.id,
        "customer_id": order.customer_id,
        # For whoever reads the table; the service goes by the timeline.
        "state": order.state.value,
        "lines": [line.to_dict() for line in order.lines],
        "total": order.total.to_dict(),
        "address": order.address.to_dict(),
        "created_at": clock.rfc3339(order.created_at),
        "timeline": [step.to_dict() for step in order.timeline],
        "version": order.version,
        **{name: clock.rfc3339(at) for name, at in moments.items() if at is not None},
        **({"tracking_number": order.tracking_number} if order.tracking_number else {}),
        **({"refunded": order.refunded.to_dict()} if order.refunded else {}),
    }


def _to_order(item: Mapping[str, Any]) -> Order:
    return Order(
        id=item["id"],
        customer_id=item["customer_id"],
        lines=tuple(
            Line(line["sku"], line["name"], line["quantity"], Money.from_dict(line["price"]))
            for line in item["lines"]
        ),
        total=Money.from_dict(item["total"]),
        address=Address(**item["address"]),
        created_at=clock.parse(item["created_at"]),
        timeline=tuple(
            Step(State(step["state"]), clock.parse(step["at"]), step["cause"]) for step in item["timeline"]
        ),
        version=item["version"],
        confirmed_at=clock.parse(item["confirmed_at"]) if "confirmed_at" in item else None,
        cancel_requested_at=clock.parse(item["cancel_requested_at"])
        if "cancel_requested_at" in item
        else None,
        tracking_number=item.get("tracking_number"),
        refunded=Money.from_dict(item["refunded"]) if "refunded" in item else None,
    )
