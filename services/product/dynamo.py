"""Products, stock and reservations in DynamoDB.

| item | pk | sk | gsi1pk | gsi1sk |
|---|---|---|---|---|
| a product and its stock | PRODUCT#<sku> | PRODUCT | CATALOGUE | <sku> |
| an order's reservation | ORDER#<order> | RESERVATION | | |
"""

from collections.abc import Collection, Mapping
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

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

CATALOGUE = "CATALOGUE"
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

    def find(self, sku: str) -> Stocked | None:
        """As `ports.Catalogue.find`."""
        answer = self._client.get_item(
            TableName=self._table, Key=dynamo.pack(_product_key(sku)), ConsistentRead=True
        )
        return _to_stocked(answer["Item"]) if "Item" in answer else None

    def page(self, search: Search, after: str | None, limit: int) -> Page:
        """As `ports.Catalogue.page`."""
        request = _query(self._table, search)
        if after is not None:
            request["ExclusiveStartKey"] = dynamo.pack(
                {**_product_key(after), "gsi1pk": CATALOGUE, "gsi1sk": after}
            )
        found: list[Stocked] = []
        while len(found) <= limit:
            # DynamoDB filters after it has read a page, so that one may hold few that were searched for, or none.
            answer = self._client.query(**request)
            found += [_to_stocked(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        products = tuple(found[:limit])
        return Page(products, products[-1].product.sku if len(found) > limit else None)

    def put(self, product: Product, initial_stock: int) -> None:
        """As `ports.Catalogue.put`."""
        values = {
            "gsi1pk": CATALOGUE,
            "gsi1sk": product.sku,
            "name": product.name,
            "category": product.category,
            "price": product.price.to_dict(),
            "updated_at": clock.rfc3339(product.updated_at),
            "words": f"{product.name} {product.sku}".lower(),
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

    def ping(self) -> None:
        """As `ports.Catalogue.ping`."""
        self._client.get_item(TableName=self._table, Key=dynamo.pack(_product_key("ping")))


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
        found = [self._catalogue.find(sku) for sku in skus]
        return {stocked.inventory.sku: stocked.inventory for stocked in found if stocked}

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


def _query(table: str, search: Search) -> dict[str, Any]:
    words = {f":word{index}": word.lower() for index, word in enumerate(search.words)}
    filters = [f"contains(words, {name})" for name in words]
    values = {":catalogue": CATALOGUE, **words}
    if search.category is not None:
        filters.append("category = :category")
        values[":category"] = search.category
    return {
        "TableName": table,
        "IndexName": "gsi1",
        "KeyConditionExpression": "gsi1pk = :catalogue",
        "ExpressionAttributeValues": dynamo.pack(values),
        **({"FilterExpression": " AND ".join(filters)} if filters else {}),
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
