"""Products, stock and reservations in DynamoDB.

| item | pk | sk | gsi1pk | gsi1sk |
|---|---|---|---|---|
| product and its stock | PRODUCT#<sku> | PRODUCT | CATALOGUE | <sku> |
| change of the catalog, for seven days | CATALOGUE | CHANGE#<change> | | |
| reservation of an order | ORDER#<order> | RESERVATION | | |
| outbox record | see `common.aws.outbox` | | | |
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.aws.outbox import DynamoOutbox, OutboxTable
from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock, ids, typed
from services.common.values.errors import Stale, UnreadableRow
from services.common.values.money import Money
from services.product.domain import (
    Inventory,
    Item,
    Move,
    Product,
    Reservation,
    Shelf,
    State,
    Stocked,
    StockMissing,
)
from services.product.ports import Page, Search
from services.product.search import CHANGES_KEPT, Change, Entry, Index, Searchable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

CATALOGUE = "CATALOGUE"
RESERVATION = "RESERVATION"
CHANGE = "CHANGE#"
# Concurrent transactions of an import.
WRITERS = 4
# Attempts of a throttled transaction of an import, over a few seconds. A failed import is retried only after half an hour.
PATIENT_TRIES = 8


class DynamoCatalogue(OutboxTable):
    """Products in the service's table, as `ports.Shelves`."""

    def __init__(self, client: "DynamoDBClient", table: str, outbox: DynamoOutbox) -> None:
        super().__init__(client, table, outbox)
        self.searchable = Searchable(self, _empty_index)

    def find(self, sku: str) -> Stocked | None:
        """As `ports.Catalogue.find`."""
        return self._find(_product_key(sku), _to_stocked, "product")

    def page(self, search: Search, after: str | None, limit: int) -> Page:
        """As `ports.Catalogue.page`."""
        found = self.searchable.find(search, after, limit)
        rows = self._rows(found.skus)
        stocked = {each.product.sku: each for each in dynamo.readable(rows, _to_stocked, "product")}
        self.searchable.forget(set(found.skus) - {_sku(row) for row in rows})
        return Page(tuple(stocked[sku] for sku in found.skus if sku in stocked), found.next_after)

    def find_all(self, skus: Collection[str]) -> Mapping[str, Stocked | UnreadableRow]:
        """As `ports.Shelves.find_all`."""
        found: dict[str, Stocked | UnreadableRow] = {}
        for row in self._rows(skus):
            sku = _sku(row)
            try:
                found[sku] = dynamo.parsed(row, _to_stocked, "product")
            except UnreadableRow as unreadable:
                found[sku] = unreadable
        return found

    def _rows(self, skus: Collection[str]) -> list[Mapping[str, Any]]:
        return self._find_all([_product_key(sku) for sku in skus], is_consistent=True)

    def put(self, product: Product, initial_stock: int, outbox_record: OutboxRecord | None) -> None:
        """As `ports.Catalogue.put`."""
        self._put([(product, initial_stock)], outbox_record)

    def put_all(self, batches: Sequence[tuple[Mapping[Product, int], OutboxRecord | None]]) -> list[bool]:
        """As `ports.Shelves.put_all`; at most 98 products a batch (AWS limit of a transaction)."""

        def written(batch: tuple[Mapping[Product, int], OutboxRecord | None]) -> bool:
            products, outbox_record = batch
            try:
                self._put(list(products.items()), outbox_record, PATIENT_TRIES)
            except Stale:
                return False
            return True

        with ThreadPoolExecutor(WRITERS, thread_name_prefix="catalogue") as pool:
            return list(pool.map(written, batches))

    def _put(
        self,
        products: Sequence[tuple[Product, int]],
        outbox_record: OutboxRecord | None,
        tries: int = dynamo.THROTTLED_TRIES,
    ) -> None:
        writes: list[TransactWriteItemTypeDef] = [{"Update": self._naming(*each)} for each in products]
        if renamed := [product for product, _ in products if product.version != product.replaces]:
            writes.append({"Put": {"TableName": self._table, "Item": self._change(renamed)}})
        try:
            self._outbox.transact(writes, outbox_record, tries=tries)
        except ClientError as error:
            if dynamo.is_overtaken(error):
                raise Stale(products[0][0].sku) from error
            raise

    def publish_again(self, outbox_record: OutboxRecord) -> None:
        """As `ports.Catalogue.publish_again`."""
        self._outbox.transact([], outbox_record)

    def _naming(self, product: Product, initial_stock: int) -> Any:
        values = {
            "gsi1pk": CATALOGUE,
            "gsi1sk": product.sku,
            "name": product.name,
            "category": product.category,
            "price": product.price.to_dict(),
            "updated_at": clock.rfc3339(product.updated_at),
            "version": product.version,
        }
        stock = {Shelf.AVAILABLE: initial_stock, Shelf.RESERVED: 0, Shelf.SOLD: 0}
        changes = [f"#{name} = :{name}" for name in values]
        beginnings = [f"#{shelf} = if_not_exists(#{shelf}, :{shelf})" for shelf in stock]
        was = product.replaces
        return {
            "TableName": self._table,
            "Key": dynamo.pack(_product_key(product.sku)),
            "UpdateExpression": f"SET {', '.join(changes + beginnings)}",
            # A row without a version was written by an earlier version of this service.
            "ConditionExpression": "#version = :was AND #updated_at <= :updated_at"
            if was
            else "attribute_not_exists(#version)",
            "ExpressionAttributeNames": {f"#{name}": str(name) for name in (*values, *stock)},
            "ExpressionAttributeValues": dynamo.pack(
                {f":{name}": value for name, value in (*values.items(), *stock.items())}
                | ({":was": was} if was else {})
            ),
        }

    def _change(self, products: Sequence[Product]) -> Any:
        now = self._now()
        entries = [[each.sku, each.name, each.category, each.version] for each in products]
        return dynamo.pack(
            {
                "pk": CATALOGUE,
                "sk": f"{CHANGE}{ids.uuid7()}",
                "products": orjson.dumps(entries).decode(),
                "expires_at": int((now + CHANGES_KEPT).timestamp()),
            }
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

    def now(self) -> datetime:
        """As `ports.Catalogue.now`."""
        answer = self._client.get_item(TableName=self._table, Key=dynamo.pack(_product_key("ping")))
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])

    def entries(self) -> Iterator[Entry]:
        """As `search.Source.entries`."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="gsi1",
            KeyConditionExpression="gsi1pk = :catalogue",
            ProjectionExpression="gsi1sk, #name, category, version",
            ExpressionAttributeNames={"#name": "name"},
            ExpressionAttributeValues=dynamo.pack({":catalogue": CATALOGUE}),
        )
        for page in pages:
            yield from dynamo.readable(page["Items"], _to_entry, "catalogue")

    def changes(self, since: datetime) -> Iterator[Change]:
        """As `search.Source.changes`."""
        between = {":first": f"{CHANGE}{ids.first_of(since)}", ":last": f"{CHANGE}~"}
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :catalogue AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues=dynamo.pack({":catalogue": CATALOGUE, **between}),
            ConsistentRead=True,
        )
        for page in pages:
            yield from dynamo.readable(page["Items"], _to_change, "change")


class DynamoStock(OutboxTable):
    """Stock and reservations in the service's table, as `ports.Stock`."""

    def before_reserving(
        self, order_id: str, skus: Collection[str]
    ) -> tuple[Reservation | None, Mapping[str, Inventory]]:
        """As `ports.Stock.before_reserving`; at most 99 (AWS limit)."""
        keys = [_reservation_key(order_id), *map(_product_key, skus)]
        known: Reservation | None = None
        levels: dict[str, Inventory] = {}
        for row in self._find_all(keys, is_consistent=True):
            if row["sk"]["S"] == RESERVATION:
                known = dynamo.parsed(row, _to_reservation, "reservation")
            else:
                inventory = dynamo.parsed(row, _to_stocked, "product").inventory
                levels[inventory.sku] = inventory
        return known, levels

    def reservation(self, order_id: str) -> Reservation | None:
        """As `ports.Stock.reservation`."""
        return self._find(_reservation_key(order_id), _to_reservation, "reservation")

    def save(
        self,
        reservation: Reservation,
        was: State | None,
        move: Move | None,
        outbox_record: OutboxRecord | None,
    ) -> None:
        """As `ports.Stock.save`; at most 98 products (AWS limit of a transaction)."""
        changes = [self._moving(item, move.source, move.target) for item in move.items] if move else []
        try:
            self._outbox.transact([self._writing(reservation, was), *changes], outbox_record)
        except ClientError as error:
            if not dynamo.is_overtaken(error):
                raise
            reasons = dynamo.refusals(error)
            missing = [
                item
                for item, reason in zip(move.items if move else (), reasons[1:], strict=False)
                if reason == dynamo.CONDITION_FAILED
            ]
            # Only this reservation can take its stock from RESERVED.
            if move and move.source is Shelf.RESERVED and missing and reasons[0] == "None":
                raise StockMissing(reservation.order_id, missing) from error
            raise Stale(reservation.order_id) from error

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
    return {"pk": f"ORDER#{order_id}", "sk": RESERVATION}


def _sku(row: Mapping[str, Any]) -> str:
    """The SKU in the key of a packed product."""
    sku: str = row["pk"]["S"].removeprefix("PRODUCT#")
    return sku


def _to_entry(item: Mapping[str, Any]) -> Entry:
    version = typed.whole(item.get("version", 0))
    return Entry(item["gsi1sk"], typed.text(item["name"]), typed.text(item["category"]), version)


def _to_change(item: Mapping[str, Any]) -> Change:
    entries = [
        Entry(typed.text(sku), typed.text(name), typed.text(category), typed.whole(version))
        for sku, name, category, version in orjson.loads(item["products"])
    ]
    return Change(item["sk"], entries)


def _empty_index() -> Index:
    from services.product.fulltext import FullText  # noqa: PLC0415 - only the API searches

    return FullText()


def _to_stocked(item: Mapping[str, Any]) -> Stocked:
    sku = typed.text(item["gsi1sk"])
    return Stocked(
        Product(
            sku=sku,
            name=typed.text(item["name"]),
            category=typed.text(item["category"]),
            price=Money.from_dict(item["price"]),
            updated_at=clock.parse(item["updated_at"]),
            version=typed.whole(item.get("version", 0)),
        ),
        Inventory(
            sku,
            *(typed.whole(item[shelf]) for shelf in (Shelf.AVAILABLE, Shelf.RESERVED, Shelf.SOLD)),
        ),
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
        **({} if reservation.items else dynamo.tombstone(reservation.ended_at or reservation.decided_at)),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _to_reservation(item: Mapping[str, Any]) -> Reservation:
    return Reservation(
        order_id=item["pk"].removeprefix("ORDER#"),
        state=State(item["state"]),
        items=tuple(Item(typed.text(each["sku"]), typed.whole(each["quantity"])) for each in item["items"]),
        decided_at=clock.parse(item["decided_at"]),
        ended_at=clock.parse(item["ended_at"]) if "ended_at" in item else None,
        error=typed.optional_text(item, "error"),
        cause=typed.optional_text(item, "cause"),
    )
