"""Orders and the copies of products in DynamoDB.

| item | pk | sk | gsi1pk | gsi1sk |
|---|---|---|---|---|
| order | ORDER#<id> | ORDER | CUSTOMER#<customer> | <id> |
| name and price of a product | PRODUCT#<sku> | PRODUCT | | |
| recorded response | see `common.aws.idempotency` | | | |
| order to check | see `watchlist` | | | |
| order that needs attention | see `findings` | | | |
| outbox record | see `common.aws.outbox` | | | |
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.aws.idempotency import DynamoIdempotency
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.aws.versioned import VersionedTable
from services.common.http.idempotency import Answer, InFlight, KeyedRequest, KeyTaken
from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock, typed
from services.common.values.money import Money
from services.order import domain
from services.order.domain import Address, Line, Order, Product, State, Step
from services.order.ports import Page
from services.order.watchlist import Watchlist

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


class DynamoOrders(VersionedTable[Order]):
    """Orders in the service's table, as `ports.Orders`.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        idempotency: recorded responses, in the same table.
        outbox: outbox records, in the same table.
        tokens: payment tokens for the payment service.
    """

    kind = "order"
    first_version = 0

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        idempotency: DynamoIdempotency,
        outbox: DynamoOutbox,
        tokens: DynamoVault,
    ) -> None:
        super().__init__(client, table, outbox)
        self._idempotency = idempotency
        self._tokens = tokens
        self._watchlist = Watchlist(client, table)

    def accept(
        self,
        order: Order,
        payment_token: str,
        outbox_record: OutboxRecord,
        request: KeyedRequest,
        answer: Answer,
    ) -> None:
        """As `ports.Orders.accept`."""
        creation: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table,
                "Item": dynamo.pack(self.to_item(order, order.version)),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }
        record = self._idempotency.record(request, answer)
        try:
            self._outbox.transact(
                [
                    record,
                    creation,
                    self._watchlist.addition(order.id),
                    self._tokens.addition(order.id, payment_token),
                ],
                outbox_record,
                # A retry of the same request may conflict with it.
                again=dynamo.is_passing,
            )
        except ClientError as error:
            if dynamo.refusals(error)[:1] == [dynamo.CONDITION_FAILED]:
                raise KeyTaken from error
            if dynamo.is_contended(error):
                raise InFlight from error
            raise

    def save(self, order: Order, outbox_record: OutboxRecord | None) -> Order:
        """As `ports.Orders.save`."""
        return self._save(order, order.version, outbox_record)

    def withdraw(self, order: Order, outbox_record: OutboxRecord | None) -> Order:
        """As `ports.Orders.withdraw`."""
        return self._save(order, order.version, outbox_record, self._tokens.removal(order.id))

    def page(self, customer_id: str, after: str | None, limit: int) -> Page:
        """As `ports.Orders.page`."""
        customer = f"CUSTOMER#{customer_id}"
        start: dict[str, Any] = (
            {"ExclusiveStartKey": dynamo.pack({**self.key(after), "gsi1pk": customer, "gsi1sk": after})}
            if after
            else {}
        )
        found: list[Any] = []
        # DynamoDB limits a page to 1 MB, so it may return fewer items than requested.
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
        orders = tuple(dynamo.readable(found[:limit], self.from_item, self.kind))
        return Page(orders, dynamo.unpack(found[limit - 1])["gsi1sk"] if len(found) > limit else None)

    def find_all(self, order_ids: Collection[str]) -> Mapping[str, Order]:
        """As `ports.Orders.find_all`."""
        rows = self._find_all([self.key(each) for each in order_ids], is_consistent=False)
        return {order.id: order for order in dynamo.readable(rows, self.from_item, self.kind)}

    def key(self, name: str) -> dict[str, str]:
        """As `VersionedTable.key`, for the ID of an order."""
        return {"pk": f"ORDER#{name}", "sk": "ORDER"}

    def to_item(self, row: Order, version: int) -> dict[str, Any]:
        """As `VersionedTable.to_item`."""
        moments = {"confirmed_at": row.confirmed_at, "cancel_requested_at": row.cancel_requested_at}
        return {
            **self.key(row.id),
            "gsi1pk": f"CUSTOMER#{row.customer_id}",
            "gsi1sk": row.id,
            "id": row.id,
            "customer_id": row.customer_id,
            # For readers of the table; the service derives the state from the timeline.
            "state": row.state.value,
            "lines": [line.to_dict() for line in row.lines],
            "total": row.total.to_dict(),
            "address": row.address.to_dict(),
            "created_at": clock.rfc3339(row.created_at),
            "timeline": [step.to_dict() for step in row.timeline],
            "version": version,
            **{name: clock.rfc3339(at) for name, at in moments.items() if at is not None},
            **({"tracking_number": row.tracking_number} if row.tracking_number else {}),
            **({"refunded": row.refunded.to_dict()} if row.refunded else {}),
        }

    def from_item(self, item: Mapping[str, Any]) -> Order:
        """As `VersionedTable.from_item`."""
        if not item["timeline"]:
            raise ValueError("the timeline is empty")
        return Order(
            id=typed.text(item["id"]),
            customer_id=typed.text(item["customer_id"]),
            lines=tuple(
                Line(
                    typed.text(line["sku"]),
                    typed.text(line["name"]),
                    typed.whole(line["quantity"]),
                    Money.from_dict(line["price"]),
                )
                for line in item["lines"]
            ),
            total=Money.from_dict(item["total"]),
            address=_to_address(item["address"]),
            created_at=clock.parse(item["created_at"]),
            timeline=tuple(
                Step(State(step["state"]), clock.parse(step["at"]), typed.text(step["cause"]))
                for step in item["timeline"]
            ),
            version=typed.whole(item["version"]),
            confirmed_at=clock.parse(item["confirmed_at"]) if "confirmed_at" in item else None,
            cancel_requested_at=clock.parse(item["cancel_requested_at"])
            if "cancel_requested_at" in item
            else None,
            tracking_number=typed.optional_text(item, "tracking_number"),
            refunded=Money.from_dict(item["refunded"]) if "refunded" in item else None,
        )


class DynamoProducts(dynamo.Table):
    """The copies of products in the service's table, as `ports.Products`."""

    def find(self, skus: Collection[str]) -> Mapping[str, Product]:
        """As `ports.Products.find`; at most 100 (AWS limit)."""
        rows = self._find_all([_product_key(sku) for sku in skus], is_consistent=False)
        products = [dynamo.parsed(row, _to_product, "product") for row in rows]
        return {product.sku: product for product in products}

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
        """The condition that no later version is stored. Writing the same version again repairs a damaged row."""
        if not product.version:
            return {"ConditionExpression": "attribute_not_exists(pk)"}
        return {
            # An earlier version of this service wrote rows without a version, in the order of their times.
            "ConditionExpression": "attribute_not_exists(version) OR NOT attribute_type(version, :number) "
            "OR version <= :version OR version > :latest",
            "ExpressionAttributeValues": dynamo.pack(
                {":number": "N", ":version": product.version, ":latest": domain.latest_version(self._now())}
            ),
        }


def _product_key(sku: str) -> dict[str, str]:
    return {"pk": f"PRODUCT#{sku}", "sk": "PRODUCT"}


def _to_product(item: Mapping[str, Any]) -> Product:
    return Product(
        item["pk"].removeprefix("PRODUCT#"),
        typed.text(item["name"]),
        Money.from_dict(item["price"]),
        typed.whole(item.get("version", 0)),
    )


def _to_address(address: Mapping[str, Any]) -> Address:
    # Ignores members that a later version of this service has added.
    return Address(**{name: typed.text(address[name]) for name in Address.__dataclass_fields__})
