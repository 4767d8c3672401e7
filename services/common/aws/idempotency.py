"""Recorded responses by Idempotency-Key, in a service's own table, so that they can be part of its transactions.

| item | pk | sk |
|---|---|---|
| recorded response | IDEMPOTENCY#<scope>#<key> | <scope> |
"""

from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from services.common.aws import dynamo
from services.common.http.idempotency import KEPT, Answer, KeyedRequest, KeyReused

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


class DynamoIdempotency(dynamo.Table):
    """As `idempotency.IdempotencyStore`."""

    def find(self, request: KeyedRequest) -> Answer | None:
        """As `idempotency.IdempotencyStore.find`."""
        return self._find(_key(request), lambda found: self._answer(request, found), "idempotency")

    def record(self, request: KeyedRequest, answer: Answer) -> "TransactWriteItemTypeDef":
        """The write that records a response, for a transaction. Its condition fails if the key has a record."""
        now = self._now()
        item = {
            **_key(request),
            "state": "done",  # for replicas of the previous version during an upgrade
            "fingerprint": request.fingerprint,
            "answer": orjson.dumps([answer.status, answer.body, answer.headers]).decode(),
            "expires_at": _epoch(now + KEPT),
        }
        return {
            "Put": {
                "TableName": self._table,
                "Item": dynamo.pack(item),
                # A record without a response is a claim of an earlier version, which committed nothing.
                "ConditionExpression": "attribute_not_exists(pk) OR expires_at < :now OR "
                "attribute_not_exists(answer)",
                "ExpressionAttributeValues": dynamo.pack({":now": _epoch(now)}),
            }
        }

    def _answer(self, request: KeyedRequest, found: dynamo.Item) -> Answer | None:
        if found["expires_at"] < _epoch(self._now()) or "answer" not in found:
            return None
        if found["fingerprint"] != request.fingerprint:
            raise KeyReused
        status, body, headers = orjson.loads(found["answer"])
        return Answer(status, body, headers)


def _key(request: KeyedRequest) -> dict[str, str]:
    # Both keys contain the scope, so that no other pair of scope and key has the same item.
    return {"pk": f"IDEMPOTENCY#{request.scope}#{request.key}", "sk": request.scope}


def _epoch(at: datetime) -> int:
    return int(at.timestamp())
