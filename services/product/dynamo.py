"""Products, stock and reservations in DynamoDB.

| item | pk | sk | gsi1pk | gsi1sk |
|---|---|---|---|---|
| a product and its stock | PRODUCT#<sku> | PRODUCT | CATALOGUE | <sku> |
| how often products were written | CATALOGUE | VERSION | | |
| an order's reservation | ORDER#<order> | RESERVATION | | |
"""

import random
import time
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from services.common import clock, dynamo
from services.common.money import Money
from services.product.domain import (
    Inventory,
    Item,
    Move,
    Product,
    Reservation,
    Shelf,
    State,
    Stocked,
)
from services.product.ports import Page, Search, Stale
from services.product.search import Entry, Searchable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

CATALOGUE = "CATALOGUE"
VERSION = {"pk": CATALOGUE, "sk": "VERSION"}
# How often products that DynamoDB left out of a batch are asked for again, and the first pause in seconds.
BATCH_TRIES = 5
BATCH_PAUSE = 0.02
# What a transaction is refused with when another was faster, or is not done yet.
_OVERTAKEN = {"ConditionalCheckFailed", "TransactionConflict"}


class DynamoCatalogue:
    """Products in the service's table.

    Args:
        client: a DynamoDB client.
        table: the table's name.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._searchable = Searchable(self._version, self._entries)

    def find(self, sku: str) -> Stocked | None:
        """As `ports.Catalogue.find`."""
        answer = self._client.get_item(
            TableName=self._table, Key=dynamo.pack(_product_key(sku)), ConsistentRead=True
        )
        return _to_stocked(answer["Item"]) if "Item" in answer else None

    def page(self, search: Search, after: str | None, limit: int) -> Page:
        """As `ports.Catalogue.page`."""
        found = self._searchable.index().find(search, after, limit)
        stocked = self.find_all(found.skus)
        return Page(tuple(stocked[sku] for sku in found.skus if sku in stocked), found.next_after)

    def find_all(self, skus: Collection[str]) -> Mapping[str, Stocked]:
        """Those of up to 100 products that there are, by SKU, as they were last written."""
        found: dict[str, Stocked] = {}
        rest = [dynamo.pack(_product_key(sku)) for sku in skus]
        for attempt in range(BATCH_TRIES):
            if not rest:
                return found
            if attempt:
                time.sleep(random.uniform(0, BATCH_PAUSE * 2**attempt))  # noqa: S311 - a pause, not a secret
            answer = self._client.batch_get_item(
                RequestItems={self._table: {"Keys": rest, "ConsistentRead": True}}
            )
            for stocked in map(_to_stocked, answer["Responses"].get(self._table, [])):
                found[stocked.product.sku] = stocked
            left = answer["UnprocessedKeys"].get(self._table)
            rest = list(left["Keys"]) if left else []
        raise TimeoutError(f"DynamoDB left {len(rest)} products out {BATCH_TRIES} times; try again")

    def put(self, product: Product, initial_stock: int) -> None:
        """As `ports.Catalogue.put`."""
        values = {
            "gsi1pk": CATALOGUE,
            "gsi1sk": product.sku,
            "name": product.name,
            "category": product.category,
            "price": product.price.to_dict(),
            "updated_at": clock.rfc3339(product.updated_at),
        }
        stock = {Shelf.AVAILABLE: initial_stock, Shelf.RESERVED: 0, Shelf.SOLD: 0}
        changes = [f"#{name} = :{name}" for name in values]
        beginnings = [f"#{shelf} = if_not_exists(#{shelf}, :{shelf})" for shelf in stock]
        self._client.update_item(
            TableName=self._table,
            Key=dynamo.pack(_product_key(product.sku)),
            UpdateExpression=f"SET {', '.join(changes + beginnings)}",
            ExpressionAttributeNames={f"#{name}": str(name) for name in (*values, *stock)},
            ExpressionAttributeValues=dynamo.pack(
                {f":{name}": value for name, value in (*values.items(), *stock.items())}
            ),
        )

        # Not in one transaction with the product, which would get into the way of orders for it; see `search.LONGEST`.
        self._client.update_item(
            TableName=self._table,
            Key=dynamo.pack(VERSION),
            UpdateExpression="ADD version :one",
            ExpressionAttributeValues=dynamo.pack({":one": 1}),
        )

    def restock(self, sku: str, available: int) -> None:
        """As `ports.Catalogue.restock`."""
        self._client.update_item(
            TableName=self._table,
            Key=dynamo.pack(_product_key(sku)),
            UpdateExpression="SET #available = :available",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={"#available": Shelf.AVAILABLE.value},
            ExpressionAttributeValues=dynamo.pack({":available": available}),
        )

    def ping(self) -> None:
        """As `ports.Catalogue.ping`."""
        self._client.get_item(TableName=self._table, Key=dynamo.pack(_product_key("ping")))

    def _version(self) -> int:
        answer = self._client.get_item(TableName=self._table, Key=dynamo.pack(VERSION), ConsistentRead=True)
        return int(dynamo.unpack(answer["Item"])["version"]) if "Item" in answer else 0

    def _entries(self) -> Iterator[Entry]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="gsi1",
            KeyConditionExpression="gsi1pk = :catalogue",
            ProjectionExpression="gsi1sk, #name, category",
            ExpressionAttributeNames={"#name": "name"},
            ExpressionAttributeValues=dynamo.pack({":catalogue": CATALOGUE}),
        )
        for page in pages:
            for item in map(dynamo.unpack, page["Items"]):
                yield Entry(item["gsi1sk"], item["name"], item["category"])


class DynamoStock:
    """Stock and reservations in the service's table.

    Args:
        client: a DynamoDB client.
        table: the table's name.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._catalogue = DynamoCatalogue(client, table)

    def levels(self, skus: Collection[str]) -> Mapping[str, Inventory]:
        """As `ports.Stock.levels`."""
        return {sku: stocked.inventory for sku, stocked in self._catalogue.find_all(skus).items()}

    def reservation(self, order_id: str) -> Reservation | None:
        """As `ports.Stock.reservation`."""
        answer = self._client.get_item(
            TableName=self._table, Key=dynamo.pack(_reservation_key(order_id)), ConsistentRead=True
        )
        return _to_reservation(order_id, dynamo.unpack(answer["Item"])) if "Item" in answer else None

    def save(self, reservation: Reservation, was: State | None, move: Move | None) -> None:
        """As `ports.Stock.save`; at most 99 products (AWS limit of a transaction)."""
        changes = [self._moving(item, move.source, move.target) for item in move.items] if move else []
        try:
            self._client.transact_write_items(TransactItems=[self._writing(reservation, was), *changes])
        except ClientError as error:
            if _OVERTAKEN.intersection(dynamo.refusals(error)):
                raise Stale(reservation.order_id) from error
            raise

    def _writing(self, reservation: Reservation, was: State | None) -> "TransactWriteItemTypeDef":
        item = dynamo.pack(_to_item(reservation))
        if was is None:
            return {
                "Put": {
                    "TableName": self._table,
                    "Item": item,
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": "#state = :was",
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": dynamo.pack({":was": was.value}),
            }
        }

    def _moving(self, item: Item, source: Shelf, target: Shelf) -> "TransactWriteItemTypeDef":
        return {
            "Update": {
                "TableName": self._table,
                "Key": dynamo.pack(_product_key(item.sku)),
                "UpdateExpression": "SET #source = #source - :quantity, #target = #target + :quantity",
                "ConditionExpression": "#source >= :quantity",
                "ExpressionAttributeNames": {"#source": source.value, "#target": target.value},
                "ExpressionAttributeValues": dynamo.pack({":quantity": item.quantity}),
            }
        }


def _product_key(sku: str) -> dict[str, str]:
    return {"pk": f"PRODUCT#{sku}", "sk": "PRODUCT"}


def _reservation_key(order_id: str) -> dict[str, str]:
    return {"pk": f"ORDER#{order_id}", "sk": "RESERVATION"}


def _to_stocked(packed: Mapping[str, Any]) -> Stocked:
    item = dynamo.unpack(packed)
    sku = item["gsi1sk"]
    return Stocked(
        Product(
            sku=sku,
            name=item["name"],
            category=item["category"],
            price=Money.from_dict(item["price"]),
            updated_at=clock.parse(item["updated_at"]),
        ),
        Inventory(sku, item[Shelf.AVAILABLE], item[Shelf.RESERVED], item[Shelf.SOLD]),
    )


def _to_item(reservation: Reservation) -> dict[str, Any]:
    optional = {
        "ended_at": clock.rfc3339(reservation.ended_at) if reservation.ended_at else None,
        "error": reservation.error,
        "cause": reservation.cause,
    }
    return {
        **_reservation_key(reservation.order_id),
        "state": reservation.state.value,
        "items": [{"sku": item.sku, "quantity": item.quantity} for item in reservation.items],
        "decided_at": clock.rfc3339(reservation.decided_at),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _to_reservation(order_id: str, item: Mapping[str, Any]) -> Reservation:
    return Reservation(
        order_id=order_id,
        state=State(item["state"]),
        items=tuple(Item(each["sku"], each["quantity"]) for each in item["items"]),
        decided_at=clock.parse(item["decided_at"]),
        ended_at=clock.parse(item["ended_at"]) if "ended_at" in item else None,
        error=item.get("error"),
        cause=item.get("cause"),
    )
