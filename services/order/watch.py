"""The orders that are still to be reconciled, what others know of them, and their executions: on AWS.

| item | pk | sk |
|---|---|---|
| an order that the reconciler checks | WATCH#<0-3> | <order> |

The item is written in the order's own transaction and removed once the order has ended and everything agrees with it.
"""

import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.aws.executions import start_execution
from services.common.values import ids
from services.order.reconciliation import Execution

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef
    from mypy_boto3_stepfunctions import SFNClient

PARTITIONS = 4
# Part of an order -> the keys of its item in its service's table, of which only the state is read.
KEYS: Mapping[str, tuple[str, str]] = {
    "payment": ("PAYMENT#", "PAYMENT"),
    "stock": ("ORDER#", "RESERVATION"),
    "shipment": ("SHIPMENT#", "SHIPMENT"),
}


class Watchlist:
    """The orders to reconcile, in the order service's table.

    Args:
        client: a DynamoDB client.
        table: the table's name.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def addition(self, order_id: str) -> "TransactWriteItemTypeDef":
        """The part of a transaction that adds an order."""
        return {"Put": {"TableName": self._table, "Item": dynamo.pack(_key(order_id))}}

    def placed_before(self, at: datetime) -> Iterator[str]:
        """The ids of the orders that were placed before, of each partition the oldest first."""
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
        """Removes an order that needs no look any more."""
        self._client.delete_item(TableName=self._table, Key=dynamo.pack(_key(order_id)))


class Witnesses:
    """What the other services' tables say of an order.

    Args:
        client: a DynamoDB client.
        tables: part ("payment", "stock", "shipment") -> the table.
    """

    def __init__(self, client: "DynamoDBClient", tables: Mapping[str, str]) -> None:
        self._client = client
        self._tables = tables

    def states(self, order_id: str) -> dict[str, str | None]:
        """Part -> its state; None for none."""
        return {part: self._state(part, order_id) for part in self._tables}

    def _state(self, part: str, order_id: str) -> str | None:
        prefix, sort_key = KEYS[part]
        answer = self._client.get_item(
            TableName=self._tables[part],
            Key=dynamo.pack({"pk": f"{prefix}{order_id}", "sk": sort_key}),
            ConsistentRead=True,
        )
        return str(dynamo.unpack(answer["Item"])["state"]) if "Item" in answer else None


class Executions:
    """The executions of the orders' workflow. The first is called as its order, those that resume it `<order>-2` and on.

    Args:
        client: a Step Functions client.
        arn: the state machine.
    """

    def __init__(self, client: "SFNClient", arn: str) -> None:
        self._client = client
        self._arn = arn

    def latest(self, order_id: str) -> Execution | None:
        """The order's latest execution."""
        latest, number = None, 1
        while (found := self._describe(order_id, number)) is not None:
            status = found["status"]
            latest = Execution(number, status in {"RUNNING", "PENDING_REDRIVE"}, status)
            number += 1
        return latest

    def resume(self, order_id: str, after: Execution) -> None:
        """Starts the workflow with the first execution's input; does nothing when another process was faster."""
        first = self._describe(order_id, 1)
        given: Any = orjson.loads(first["input"]) if first else {}
        start_execution(
            self._client, self._arn, _name(order_id, after.number + 1), {**given, "resumed": True}
        )

    def _describe(self, order_id: str, number: int) -> Mapping[str, Any] | None:
        arn = f"{self._arn.replace(':stateMachine:', ':execution:')}:{_name(order_id, number)}"
        try:
            return self._client.describe_execution(executionArn=arn)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ExecutionDoesNotExist":
                raise
            return None


def _name(order_id: str, number: int) -> str:
    return order_id if number == 1 else f"{order_id}-{number}"


def _key(order_id: str) -> dict[str, str]:
    return {"pk": f"WATCH#{zlib.crc32(order_id.encode()) % PARTITIONS}", "sk": order_id}
