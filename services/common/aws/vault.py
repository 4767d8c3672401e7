"""Secrets that one service leaves for another: each under a name, in a table that nothing else is in, and for a day.

So they are in no message, log, workflow or backup. Who may leave some may remove but not read them, and who may read them
may not list them: see the policies of both services.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from services.common.aws import dynamo
from services.common.values import typed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

KEPT = timedelta(days=1)


class DynamoVault(dynamo.Table):
    """Secrets in a table of their own."""

    def addition(self, name: str, secret: str) -> "TransactWriteItemTypeDef":
        """The part of a transaction that leaves the secret."""
        item = {**_key(name), "secret": secret, "expires_at": int((self._now() + KEPT).timestamp())}
        return {"Put": {"TableName": self._table, "Item": dynamo.pack(item)}}

    def removal(self, name: str) -> "TransactWriteItemTypeDef":
        """The part of a transaction that removes the secret; does nothing when there is none."""
        return {"Delete": {"TableName": self._table, "Key": dynamo.pack(_key(name))}}

    def find(self, name: str) -> str | None:
        """The secret of a name, while it is kept."""
        return self._find(_key(name), self._unexpired, "secret")

    def forget(self, name: str) -> None:
        """Removes the secret of a name; does nothing when there is none."""
        self._client.delete_item(TableName=self._table, Key=dynamo.pack(_key(name)))

    def _unexpired(self, item: dynamo.Item) -> str | None:
        # DynamoDB removes what has expired within some days (AWS documentation of TTL).
        return typed.text(item["secret"]) if item["expires_at"] > self._now().timestamp() else None


def _key(name: str) -> dict[str, str]:
    return {"pk": name, "sk": "SECRET"}
