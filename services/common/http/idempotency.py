"""The Idempotency-Key of a request: one key, one effect, one answer (draft-ietf-httpapi-idempotency-key-header).

The answer is recorded under the key in the transaction that has the effect: both are written or neither is, and nothing
is written before. A request that dies leaves the key free. One that repeats another, be it the client's second try, the
SDK's, or a request that runs at the same time, cannot write the record again and answers what the record says.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from services.common.aws import dynamo
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.errors import Conflict, ServiceError, Unprocessable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

KEPT = timedelta(hours=24)


class InFlight(Conflict):
    """A request with this key is being committed at this moment."""

    def __init__(self) -> None:
        super().__init__(
            "a request with this Idempotency-Key is being processed; retry the same request shortly",
            headers={"Retry-After": "1"},
        )


class KeyReused(Unprocessable):
    """The key belongs to a request with another body."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for another request; use a new key for a new request")


class KeyTaken(Exception):
    """The key has a record already; nothing was written. Find out what it says."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it is kept: a JSON body, and what cannot be derived from it."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an Idempotency-Key.

    Args:
        scope: the key's owner and its purpose, such as "guest POST /orders".
        key: the value of the header.
        fingerprint: tells requests apart; see `fingerprint`.
    """

    scope: str
    key: str
    fingerprint: str


class IdempotencyStore(Protocol):
    """Where answers are kept."""

    def find(self, request: KeyedRequest) -> Answer | None:
        """The answer that the same request was given before.

        Raises:
            KeyReused: when the key belongs to another request.
        """


def fingerprint(body: Any) -> str:
    """The same for two JSON values that differ in nothing but the order of members."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def once(store: IdempotencyStore, request: KeyedRequest, work: Callable[[], Answer]) -> Answer:
    """The answer of `work`, which has its effect at most once for a key and records its answer as it commits.

    A refusal has no effect, so it is not recorded. What refuses a repeat may have become true since the request was
    answered: that answer still holds.

    Raises:
        KeyReused: see `IdempotencyStore.find`.
        InFlight: when the record is being written, or expired at this moment.
        Exception: whatever `work` raises; the key is free then.
    """
    try:
        return work()
    except KeyTaken as taken:
        answered = store.find(request)
        if answered is None:
            raise InFlight from taken
        return answered
    except ServiceError:
        answered = store.find(request)
        if answered is None:
            raise
        return answered


class DynamoIdempotency(dynamo.Table):
    """Keeps answers in a service's own table, so that they can be part of its transactions."""

    def find(self, request: KeyedRequest) -> Answer | None:
        """As `IdempotencyStore.find`."""
        return self._find(_key(request), lambda found: _answer(request, found, self._now()), "idempotency")

    def record(self, request: KeyedRequest, answer: Answer) -> "TransactWriteItemTypeDef":
        """The part of a transaction that records the answer; its condition fails when the key has a record."""
        now = self._now()
        return {
            "Put": {
                "TableName": self._table,
                "Item": dynamo.pack({**_key(request), **_record(request, answer, now)}),
                # A record without an answer is a claim of an earlier version, which committed nothing.
                "ConditionExpression": "attribute_not_exists(pk) OR expires_at < :now OR "
                "attribute_not_exists(answer)",
                "ExpressionAttributeValues": dynamo.pack({":now": _epoch(now)}),
            }
        }


class MemoryIdempotency:
    """Keeps answers in memory, for tests."""

    def __init__(self, now: Clock = clock.now) -> None:
        self._now = now
        self._items: dict[tuple[str, str], dict[str, Any]] = {}

    def find(self, request: KeyedRequest) -> Answer | None:
        """As `IdempotencyStore.find`."""
        found = self._items.get((request.scope, request.key))
        return _answer(request, found, self._now()) if found else None

    def record(self, request: KeyedRequest, answer: Answer) -> None:
        """Records the answer, as `DynamoIdempotency.record` does.

        Raises:
            KeyTaken: when the key has a record.
        """
        now = self._now()
        found = self._items.get((request.scope, request.key))
        if found is not None and found["expires_at"] >= _epoch(now):
            raise KeyTaken
        self._items[request.scope, request.key] = _record(request, answer, now)


def _record(request: KeyedRequest, answer: Answer, now: datetime) -> dict[str, Any]:
    return {
        "state": "done",  # for a replica of the version before, while both run
        "fingerprint": request.fingerprint,
        "answer": orjson.dumps([answer.status, answer.body, answer.headers]).decode(),
        "expires_at": _epoch(now + KEPT),
    }


def _answer(request: KeyedRequest, found: Mapping[str, Any], now: datetime) -> Answer | None:
    if found["expires_at"] < _epoch(now) or "answer" not in found:
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
