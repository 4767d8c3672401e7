"""The outbox in a DynamoDB table, next to the items that its records are about.

| item | pk | sk |
|---|---|---|
| outbox record | OUTBOX#<0-3> | <record> |

Records are distributed over four partitions, because a partition is limited to 1000 writes per second (AWS limit).
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.messaging.outbox import (
    CLAIM_LASTS,
    LONGEST_POSTPONEMENT,
    NO_CLAIM_ENDS_AFTER,
    OutboxMessage,
    OutboxRecord,
)
from services.common.values import clock, ids, typed
from services.common.values.clock import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

PARTITIONS = 4
# Records per page of a query.
PAGE = 50
# The delay before an unreadable record is read again, because another version of the relay may be able to read it.
UNREADABLE_POSTPONEMENT = LONGEST_POSTPONEMENT
_FREE = "(attribute_not_exists(claimed_until) OR claimed_until < :now OR claimed_until > :absurd)"


class DynamoOutbox(dynamo.Table):
    """The outbox in a service's own table."""

    def __init__(self, client: "DynamoDBClient", table: str, now: Clock = clock.now) -> None:
        super().__init__(client, table, now)
        self._arrived: Callable[[OutboxRecord], object] | None = None

    def adopt(self, arrived: Callable[[OutboxRecord], object]) -> None:
        """As `outbox.Outbox.adopt`."""
        self._arrived = arrived

    def transact(
        self,
        writes: "Sequence[TransactWriteItemTypeDef]",
        record: OutboxRecord | None,
        **options: Any,
    ) -> None:
        """Writes items and the outbox record of their change in one transaction.

        Args:
            writes: writes of the change.
            record: outbox record, or None if nothing is published about the change. Its write is the last one.
            options: see `dynamo.transact`.

        Raises:
            ClientError: see `dynamo.transact`.
        """
        added = [self.addition(record)] if record else []
        dynamo.transact(self._client, [*writes, *added], **options)
        if record and self._arrived:
            self._arrived(replace(record, is_claimed=True))

    def addition(self, record: OutboxRecord) -> "TransactWriteItemTypeDef":
        """The write that adds a record, for a transaction."""
        claimed_until = clock.rfc3339(self._now() + CLAIM_LASTS) if self._arrived else ""
        messages = [[message.kind, message.payload] for message in record.messages]
        item = {
            **_key(record),
            "messages": orjson.dumps(messages).decode(),
            "traceparent": record.traceparent,
            "attempts": record.attempts,
            "claimed_until": claimed_until,
        }
        return {"Put": {"TableName": self._table, "Item": dynamo.pack(item)}}

    def put(
        self,
        item: Mapping[str, Any],
        condition: Mapping[str, Any],
        outbox_record: OutboxRecord | None,
        *others: "TransactWriteItemTypeDef",
    ) -> None:
        """Writes an item of the same table and the outbox record of the change in one transaction.

        Args:
            item: item in plain values, see `dynamo.pack`.
            condition: condition as parameters of PutItem, see `dynamo.unchanged_since`.
            outbox_record: outbox record, or None if nothing is published about the change.
            others: additional writes of the transaction.

        Raises:
            ClientError: the write failed; see `dynamo.is_overtaken` for a condition that was not met.
        """
        put: Any = {"TableName": self._table, "Item": dynamo.pack(item), **condition}
        if outbox_record or others:
            self.transact([{"Put": put}, *others], outbox_record)
        else:
            self._client.put_item(**put)

    def pending(self, limit: int) -> list[OutboxRecord]:
        """As `outbox.Outbox.pending`."""
        found = [record for partition in range(PARTITIONS) for record in self._pending_in(partition, limit)]
        return sorted(found, key=lambda record: record.id)[:limit]

    def claim(self, record: OutboxRecord) -> bool:
        """As `outbox.Outbox.claim`."""
        now, claim = self._now(), ids.uuid7()
        values = {":until": clock.rfc3339(now + CLAIM_LASTS), ":one": 1, ":claim": claim, **_bounds(now)}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=dynamo.pack(_key(record)),
                UpdateExpression="SET claimed_until = :until, claimed_by = :claim ADD attempts :one",
                ConditionExpression=f"attribute_exists(pk) AND {_FREE}",
                ExpressionAttributeValues=dynamo.pack(values),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not dynamo.is_refused(error):
                raise
            # The SDK retries a call whose response was lost, and the retry fails because of the first attempt.
            claimed: Mapping[str, Any] = error.response.get("Item", {})  # type: ignore[assignment]  # missing in the stubs
            return bool(dynamo.unpack(claimed).get("claimed_by") == claim)
        return True

    def postpone(self, record: OutboxRecord, pause: timedelta) -> None:
        """As `outbox.Outbox.postpone`."""
        self._hide(dynamo.pack(_key(record)), pause)

    def done(self, *records: OutboxRecord) -> None:
        """As `outbox.Outbox.done`."""
        dynamo.delete_all(self._client, self._table, map(_key, records))

    def oldest(self) -> float:
        """As `outbox.Outbox.oldest`."""
        ages = [0.0]
        for partition in range(PARTITIONS):
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=dynamo.pack({":pk": _partition(partition)}),
                ProjectionExpression="sk",
                Limit=1,
            )
            ages += [ids.age(dynamo.unpack(item)["sk"]) for item in answer["Items"]]
        return max(ages)

    def ping(self) -> None:
        """As `outbox.Outbox.ping`."""
        self._client.get_item(TableName=self._table, Key=dynamo.pack({"pk": "PING", "sk": "PING"}))

    def _pending_in(self, partition: int, limit: int) -> list[OutboxRecord]:
        query: Any = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "FilterExpression": _FREE,
            "ExpressionAttributeValues": dynamo.pack({":pk": _partition(partition), **_bounds(self._now())}),
            "ConsistentRead": True,
            "Limit": PAGE,
        }
        found: list[OutboxRecord] = []
        while len(found) < limit:
            answer = self._client.query(**query)
            found += self._readable(answer["Items"])
            if "LastEvaluatedKey" not in answer:
                break
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return found[:limit]

    def _readable(self, items: Sequence[Mapping[str, Any]]) -> list[OutboxRecord]:
        found: list[OutboxRecord] = []
        for item in items:
            try:
                found.append(_record(dynamo.unpack(item)))
            except dynamo.UNREADABLE as error:
                dynamo.note_unreadable(item, "outbox", error)
                self._hide({"pk": item["pk"], "sk": item["sk"]}, UNREADABLE_POSTPONEMENT)
        return found

    def _hide(self, key: Any, pause: timedelta) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression="SET claimed_until = :until",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues=dynamo.pack({":until": clock.rfc3339(self._now() + pause)}),
            )
        except ClientError as error:
            if not dynamo.is_refused(error):
                raise


class OutboxTable(dynamo.Table):
    """Base of adapters that store items and outbox records in a table.

    Args:
        client: a DynamoDB client.
        table: name of the table.
        outbox: outbox in the same table.
    """

    def __init__(self, client: "DynamoDBClient", table: str, outbox: DynamoOutbox) -> None:
        super().__init__(client, table)
        self._outbox = outbox


def _key(record: OutboxRecord) -> dict[str, str]:
    partition = record.partition or _partition(zlib.crc32(record.id.encode()) % PARTITIONS)
    return {"pk": partition, "sk": record.id}


def _bounds(now: datetime) -> dict[str, str]:
    return {":now": clock.rfc3339(now), ":absurd": clock.rfc3339(now + NO_CLAIM_ENDS_AFTER)}


def _partition(number: int) -> str:
    return f"OUTBOX#{number}"


def _record(item: Mapping[str, Any]) -> OutboxRecord:
    messages = tuple(
        OutboxMessage(kind, typed.mapping(payload)) for kind, payload in orjson.loads(item["messages"])
    )
    attempts = typed.whole(item["attempts"])
    return OutboxRecord(messages, item["traceparent"], item["sk"], attempts, item["pk"])
