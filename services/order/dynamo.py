"""Orders and the view of products in DynamoDB.

| item | pk | sk | gsi1pk | gsi1sk |
|---|---|---|---|---|
| an order | ORDER#<id> | ORDER | CUSTOMER#<customer> | <id> |
| a product's name and price | PRODUCT#<sku> | PRODUCT | | |
| an Idempotency-Key | see `common.aws.idempotency` | | | |
| that an order is to be reconciled | see `watch` | | | |
| something to tell | see `common.aws.outbox` | | | |
"""

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.aws.idempotency import DynamoIdempotency
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.http.idempotency import Answer, InFlight, KeyedRequest, KeyTaken
from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.errors import Unavailable
from services.common.values.money import Money
from services.order import domain
from services.order.domain import Address, Line, Order, Product, State, Step
from services.order.ports import Page, Stale
from services.order.watch import Watchlist

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

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
        tokens: where the payment service finds what pays.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        idempotency: DynamoIdempotency,
        outbox: DynamoOutbox,
        tokens: DynamoVault,
    ) -> None:
        self._client = client
        self._table = table
        self._idempotency = idempotency
        self._outbox = outbox
        self._tokens = tokens
        self._watchlist = Watchlist(client, table)

    def accept(
        self, order: Order, payment_token: str, told: OutboxRecord, request: KeyedRequest, answer: Answer
    ) -> None:
        """As `ports.Orders.accept`."""
        creation: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table,
                "Item": dynamo.pack(_to_item(order)),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }
        record = self._idempotency.record(request, answer)
        try:
            self._write(
                [
                    record,
                    creation,
                    self._outbox.addition(told),
                    self._watchlist.addition(order.id),
                    self._tokens.addition(order.id, payment_token),
                ]
            )
        except ClientError as error:
            if dynamo.refusals(error)[:1] == [dynamo.CONDITION_FAILED]:
                raise KeyTaken from error
            if dynamo.is_contended(error):
                raise InFlight from error
            raise

    def get(self, order_id: str) -> Order | None:
        """As `ports.Orders.get`."""
        return dynamo.find(self._client, self._table, _order_key(order_id), _to_order, "order")

    def save(self, order: Order, told: OutboxRecord | None) -> Order:
        """As `ports.Orders.save`."""
        item = _to_item(order) | {"version": order.version + 1}
        saved = _to_order(item)  # what could not be read is not written
        withdrawn = [self._tokens.removal(order.id)] if order.is_undone else []
        try:
            self._outbox.put(item, dynamo.unchanged_since(order.version, is_there=True), told, *withdrawn)
        except ClientError as error:
            if dynamo.is_overtaken(error):
                raise Stale(order.id) from error
            raise
        return saved

    def page(self, customer_id: str, after: str | None, limit: int) -> Page:
        """As `ports.Orders.page`."""
        customer = f"CUSTOMER#{customer_id}"
        start: dict[str, Any] = (
            {"ExclusiveStartKey": dynamo.pack({**_order_key(after), "gsi1pk": customer, "gsi1sk": after})}
            if after
            else {}
        )
        found: list[Any] = []
        # DynamoDB ends a page of its own at 1 MB, full or not.
        while len(found) <= limit:
            answer = self._client.query(
                TableName=self._table,
                IndexName="gsi1",
                KeyConditionExpression="gsi1pk = :customer",
                ExpressionAttributeValues=dynamo.pack({":customer": customer}),
                ScanIndexForward=False,
                Limit=limit + 1 - len(found),
                **start,
            )
            found += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        orders = tuple(dynamo.readable(found[:limit], _to_order, "order"))
        return Page(orders, dynamo.unpack(found[limit - 1])["gsi1sk"] if len(found) > limit else None)

    def ping(self) -> None:
        """As `ports.Orders.ping`."""
        self._client.get_item(TableName=self._table, Key=dynamo.pack(_order_key("ping")))

    def _write(self, writes: "list[TransactWriteItemTypeDef]") -> None:
        """All of the writes or none, also when they meet those of a repeat of the same request."""
        for _ in range(CONTENDED_TRIES - 1):
            try:
                dynamo.transact(self._client, writes)
            except ClientError as error:
                if not dynamo.is_contended(error):
                    raise
            else:
                return
        dynamo.transact(self._client, writes)


class DynamoProducts:
    """The view of products in the service's table.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        now: the time.
    """

    def __init__(self, client: "DynamoDBClient", table: str, now: Clock = clock.now) -> None:
        self._client = client
        self._table = table
        self._now = now

    def find(self, skus: Collection[str]) -> Mapping[str, Product]:
        """As `ports.Products.find`; at most 100 (AWS limit)."""
        request: Mapping[str, Any] = {self._table: {"Keys": [dynamo.pack(_product_key(sku)) for sku in skus]}}
        found: list[Mapping[str, Any]] = []
        for attempt in range(BATCH_TRIES):
            answer = self._client.batch_get_item(RequestItems=request)
            found += answer["Responses"].get(self._table, [])
            request = answer.get("UnprocessedKeys", {})
            if not request:
                products = [dynamo.parsed(item, _to_product, "product") for item in found]
                return {product.sku: product for product in products}
            time.sleep(BATCH_PAUSE * 2**attempt)
        raise Unavailable("prices are temporarily unavailable; retry the same request")

    def put(self, product: Product) -> bool:
        """As `ports.Products.put`."""
        item = {
            **_product_key(product.sku),
            "name": product.name,
            "price": product.price.to_dict(),
            "version": product.version,
        }
        try:
            self._client.put_item(TableName=self._table, Item=dynamo.pack(item), **self._no_later(product))
        except ClientError as error:
            if dynamo.is_refused(error):
                return False
            raise
        return True

    def _no_later(self, product: Product) -> Any:
        """The condition that no later version is known. The same version is the same fact, and mends a damaged row."""
        if not product.version:
            return {"ConditionExpression": "attribute_not_exists(pk)"}
        return {
            # A row without a version was written by an earlier version of this service, by a clock's order.
            "ConditionExpression": "attribute_not_exists(version) OR NOT attribute_type(version, :number) "
            "OR version <= :version OR version > :latest",
            "ExpressionAttributeValues": dynamo.pack(
                {":number": "N", ":version": product.version, ":latest": domain.latest_version(self._now())}
            ),
        }


def _order_key(order_id: str) -> dict[str, str]:
    return {"pk": f"ORDER#{order_id}", "sk": "ORDER"}


def _product_key(sku: str) -> dict[str, str]:
    return {"pk": f"PRODUCT#{sku}", "sk": "PRODUCT"}


def _to_product(item: Mapping[str, Any]) -> Product:
    return Product(
        item["pk"].removeprefix("PRODUCT#"),
        dynamo.text(item["name"]),
        Money.from_dict(item["price"]),
        dynamo.whole(item.get("version", 0)),
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


def _to_address(address: Mapping[str, Any]) -> Address:
    # Members of a later version are passed over.
    return Address(**{name: dynamo.text(address[name]) for name in Address.__dataclass_fields__})


def _to_order(item: Mapping[str, Any]) -> Order:
    if not item["timeline"]:
        raise ValueError("the timeline is empty")
    return Order(
        id=dynamo.text(item["id"]),
        customer_id=dynamo.text(item["customer_id"]),
        lines=tuple(
            Line(
                dynamo.text(line["sku"]),
                dynamo.text(line["name"]),
                dynamo.whole(line["quantity"]),
                Money.from_dict(line["price"]),
            )
            for line in item["lines"]
        ),
        total=Money.from_dict(item["total"]),
        address=_to_address(item["address"]),
        created_at=clock.parse(item["created_at"]),
        timeline=tuple(
            Step(State(step["state"]), clock.parse(step["at"]), dynamo.text(step["cause"]))
            for step in item["timeline"]
        ),
        version=dynamo.whole(item["version"]),
        confirmed_at=clock.parse(item["confirmed_at"]) if "confirmed_at" in item else None,
        cancel_requested_at=clock.parse(item["cancel_requested_at"])
        if "cancel_requested_at" in item
        else None,
        tracking_number=dynamo.optional_text(item, "tracking_number"),
        refunded=Money.from_dict(item["refunded"]) if "refunded" in item else None,
    )
