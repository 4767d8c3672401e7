"""The orders that the reconciler checks.

| item | pk | sk |
|---|---|---|
| order to check | WATCH#<0-3> | <order> |

The item is written in the transaction that creates the order. The reconciler deletes it once the order has ended and is
consistent with the other services.
"""

import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from services.common.aws import dynamo
from services.common.values import ids

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

PARTITIONS = 4


class Watchlist:
    """The orders to check, in the order service's table.

    Args:
        client: a DynamoDB client.
        table: the table's name.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def addition(self, order_id: str) -> "TransactWriteItemTypeDef":
        """The write that adds an order, for a transaction."""
        return {"Put": {"TableName": self._table, "Item": dynamo.pack(_key(order_id))}}

    def placed_before(self, at: datetime) -> Iterator[str]:
        """The IDs of the orders that were placed before `at`: oldest first within each partition."""
        for partition in range(PARTITIONS):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND sk < :first",
                ExpressionAttributeValues=dynamo.pack(
                    {":pk": f"WATCH#{partition}", ":first": ids.first_of(at)}
                ),
            )
            for page in pages:
                for item in page["Items"]:
                    yield dynamo.unpack(item)["sk"]

    def remove(self, order_id: str) -> None:
        """Removes an order that needs no further check."""
        self._client.delete_item(TableName=self._table, Key=dynamo.pack(_key(order_id)))


def _key(order_id: str) -> dict[str, str]:
    return {"pk": f"WATCH#{zlib.crc32(order_id.encode()) % PARTITIONS}", "sk": order_id}
