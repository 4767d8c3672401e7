"""Secrets that one service hands over to another, by name, in a table of their own. They expire after one day.

As a result, no message, log, workflow or backup contains them. The writing service can delete secrets, but not read them. The
reading service cannot list them. See the IAM policies of both services.
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
        """The write that stores a secret, for a transaction."""
        item = {**_key(name), "secret": secret, "expires_at": int((self._now() + KEPT).timestamp())}
        return {"Put": {"TableName": self._table, "Item": dynamo.pack(item)}}

    def removal(self, name: str) -> "TransactWriteItemTypeDef":
        """The write that deletes a secret, for a transaction. Has no effect if the secret does not exist."""
        return {"Delete": {"TableName": self._table, "Key": dynamo.pack(_key(name))}}

    def find(self, name: str) -> str | None:
        """The secret with a name, or None if it does not exist or has expired."""
        return self._find(_key(name), self._unexpired, "secret")

    def forget(self, name: str) -> None:
        """Deletes the secret with a name. Has no effect if it does not exist."""
        self._client.delete_item(TableName=self._table, Key=dynamo.pack(_key(name)))

    def _unexpired(self, item: dynamo.Item) -> str | None:
        # DynamoDB deletes expired items within a few days (AWS documentation of TTL).
        return typed.text(item["secret"]) if item["expires_at"] > self._now().timestamp() else None


def _key(name: str) -> dict[str, str]:
    return {"pk": name, "sk": "SECRET"}
