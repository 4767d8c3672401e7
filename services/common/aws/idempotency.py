"""Answers under their Idempotency-Key, in a service's own table, so that they can be part of its transactions.

| item | pk | sk |
|---|---|---|
| an answer | IDEMPOTENCY#<scope>#<key> | <scope> |
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
        """The part of a transaction that records the answer; its condition fails when the key has a record."""
        now = self._now()
        item = {
            **_key(request),
            "state": "done",  # for a replica of the version before, while both run
            "fingerprint": request.fingerprint,
            "answer": orjson.dumps([answer.status, answer.body, answer.headers]).decode(),
            "expires_at": _epoch(now + KEPT),
        }
        return {
            "Put": {
                "TableName": self._table,
                "Item": dynamo.pack(item),
                # A record without an answer is a claim of an earlier version, which committed nothing.
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
    # The scope is in both, so that no scope and key can be written to look like another pair.
    return {"pk": f"IDEMPOTENCY#{request.scope}#{request.key}", "sk": request.scope}


def _epoch(at: datetime) -> int:
    return int(at.timestamp())
