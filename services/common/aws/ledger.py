"""The ledger of a sandbox in a service's own table, so that it survives restarts.

| item | pk | sk |
|---|---|---|
| entry of a key | SANDBOX#<key> | ENTRY |
| attempts under a key | SANDBOX#<key> | TRIES |
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from services.common.aws import dynamo


class DynamoLedger(dynamo.Table):
    """As `ledger.Ledger`."""

    def record(self, key: str, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """As `ledger.Ledger.record`."""
        where = {"pk": f"SANDBOX#{key}", "sk": "ENTRY"}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=dynamo.pack({**where, "entry": dict(entry)}),
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            if not dynamo.is_refused(error):
                raise
            answer = self._client.get_item(TableName=self._table, Key=dynamo.pack(where), ConsistentRead=True)
            before: Mapping[str, Any] = dynamo.unpack(answer["Item"])["entry"]
            return before
        return None

    def count(self, key: str) -> int:
        """As `ledger.Ledger.count`."""
        answer = self._client.update_item(
            TableName=self._table,
            Key=dynamo.pack({"pk": f"SANDBOX#{key}", "sk": "TRIES"}),
            UpdateExpression="ADD tries :one",
            ExpressionAttributeValues=dynamo.pack({":one": 1}),
            ReturnValues="UPDATED_NEW",
        )
        tries: int = dynamo.unpack(answer["Attributes"])["tries"]
        return tries
