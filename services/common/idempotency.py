"""The Idempotency-Key of a request: one key, one effect, one answer (draft-ietf-httpapi-idempotency-key-header).

A request first claims its key. Whoever holds the claim does the work and, in the same transaction, writes the answer
down under the key; `DynamoIdempotency.completion` is that write. A repeat finds the answer. A request that dies in
between leaves a claim that lapses, so the customer's next try takes over; the late one can then not commit any more.
"""

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from services.common import clock, dynamo, ids
from services.common.clock import Clock
from services.common.errors import Conflict, Unprocessable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

# Longer than any request may take: gunicorn ends a worker before.
CLAIM_LASTS = timedelta(seconds=60)
KEPT = timedelta(hours=24)
IN_FLIGHT, DONE = "in_flight", "done"


class InFlight(Conflict):
    """The first request with this key has not been answered yet."""

    def __init__(self) -> None:
        super().__init__(
            "a request with this Idempotency-Key is being worked on; send the same again in a moment",
            headers={"Retry-After": "1"},
        )


class KeyReused(Unprocessable):
    """The key belongs to a request with another body."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for another request; use a new key for a new request")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it is kept: a JSON body, and what cannot be derived from it."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """A request's claim on its key.

    Args:
        scope: whose key it is and for what, such as "guest POST /orders".
        key: the value of the header.
        fingerprint: tells requests apart; see `fingerprint`.
        owner: tells this claim from an earlier or later one of the same request.
    """

    scope: str
    key: str
    fingerprint: str
    owner: str = field(default_factory=ids.uuid7)


class ClaimLost(Exception):
    """The claim lapsed and another request took the key over; nothing was written."""


class IdempotencyStore(Protocol):
    """Where claims and answers are kept."""

    def claim(self, claim: Claim) -> Answer | None:
        """Claims the key, or returns the answer that the same request was given before.

        Raises:
            InFlight: when another claim on the key has not lapsed.
            KeyReused: when the key belongs to another request.
        """

    def release(self, claim: Claim) -> None:
        """Frees the key, unless the answer has been written: the request did nothing."""


def fingerprint(body: Any) -> str:
    """The same for two JSON values that differ in nothing but the order of members."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def once(store: IdempotencyStore, claim: Claim, work: Callable[[], Answer]) -> Answer:
    """The answer of `work`, which is done at most once for a key, and which writes its answer down as it commits.

    Raises:
        InFlight, KeyReused: see `IdempotencyStore.claim`.
        Exception: whatever `work` raises; the key is free again then.
    """
    answered = store.claim(claim)
    if answered is not None:
        return answered
    try:
        return work()
    except ClaimLost as lost:
        raise InFlight from lost
    except Exception:
        # A claim that cannot be released now lapses by itself.
        with contextlib.suppress(BotoCoreError, ClientError):
            store.release(claim)
        raise


class DynamoIdempotency:
    """Keeps claims and answers in a service's own table, so that they can be part of its transactions.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        now: the time.
    """

    def __init__(self, client: "DynamoDBClient", table: str, now: Clock = clock.now) -> None:
        self._client = client
        self._table = table
        self._now = now

    def claim(self, claim: Claim) -> Answer | None:
        """As `IdempotencyStore.claim`."""
        now = self._now()
        item = {
            **_key(claim),
            "state": IN_FLIGHT,
            "fingerprint": claim.fingerprint,
            "owner": claim.owner,
            "lapses_at": clock.rfc3339(now + CLAIM_LASTS),
            "expires_at": _epoch(now + KEPT),
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=dynamo.pack(item),
                ConditionExpression="attribute_not_exists(pk) OR expires_at < :today OR "
                "(#state = :in_flight AND lapses_at < :now AND fingerprint = :fingerprint)",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues=dynamo.pack(
                    {
                        ":today": _epoch(now),
                        ":now": clock.rfc3339(now),
                        ":in_flight": IN_FLIGHT,
                        ":fingerprint": claim.fingerprint,
                    }
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if dynamo.is_contended(error):  # the answer is being written down this instant
                raise InFlight from error
            if not dynamo.is_refused(error):
                raise
            return _answer(claim, dynamo.unpack(_found(error)))
        return None

    def release(self, claim: Claim) -> None:
        """As `IdempotencyStore.release`."""
        try:
            self._client.delete_item(
                TableName=self._table,
                Key=dynamo.pack(_key(claim)),
                ConditionExpression="#state = :in_flight AND #owner = :owner",
                ExpressionAttributeNames={"#state": "state", "#owner": "owner"},
                ExpressionAttributeValues=dynamo.pack({":in_flight": IN_FLIGHT, ":owner": claim.owner}),
            )
        except ClientError as error:
            if not dynamo.is_refused(error):
                raise

    def completion(self, claim: Claim, answer: Answer) -> "TransactWriteItemTypeDef":
        """The part of a transaction that writes the answer down; it is refused when the claim was lost."""
        return {
            "Update": {
                "TableName": self._table,
                "Key": dynamo.pack(_key(claim)),
                "UpdateExpression": "SET #state = :done, answer = :answer REMOVE lapses_at",
                "ConditionExpression": "#state = :in_flight AND #owner = :owner",
                "ExpressionAttributeNames": {"#state": "state", "#owner": "owner"},
                "ExpressionAttributeValues": dynamo.pack(
                    {
                        ":done": DONE,
                        ":answer": orjson.dumps([answer.status, answer.body, answer.headers]).decode(),
                        ":in_flight": IN_FLIGHT,
                        ":owner": claim.owner,
                    }
                ),
            }
        }


class MemoryIdempotency:
    """Keeps claims and answers in memory, for tests."""

    def __init__(self, now: Clock = clock.now) -> None:
        self._now = now
        self._items: dict[tuple[str, str], dict[str, Any]] = {}

    def claim(self, claim: Claim) -> Answer | None:
        """As `IdempotencyStore.claim`."""
        now = self._now()
        found = self._items.get((claim.scope, claim.key))
        if found is None or found["expires_at"] < _epoch(now) or _lapsed(found, claim, now):
            self._items[claim.scope, claim.key] = {
                "state": IN_FLIGHT,
                "fingerprint": claim.fingerprint,
                "owner": claim.owner,
                "lapses_at": clock.rfc3339(now + CLAIM_LASTS),
                "expires_at": _epoch(now + KEPT),
            }
            return None
        return _answer(claim, found)

    def release(self, claim: Claim) -> None:
        """As `IdempotencyStore.release`."""
        if self.holds(claim):
            del self._items[claim.scope, claim.key]

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is in flight and its owner's."""
        found = self._items.get((claim.scope, claim.key))
        return found is not None and found["state"] == IN_FLIGHT and found["owner"] == claim.owner

    def complete(self, claim: Claim, answer: Answer) -> None:
        """Writes the answer down, as `DynamoIdempotency.completion` does.

        Raises:
            ClaimLost: when the claim is no longer the owner's.
        """
        if not self.holds(claim):
            raise ClaimLost
        written = orjson.dumps([answer.status, answer.body, answer.headers]).decode()
        self._items[claim.scope, claim.key] |= {"state": DONE, "answer": written}


def _answer(claim: Claim, found: Mapping[str, Any]) -> Answer:
    if found["fingerprint"] != claim.fingerprint:
        raise KeyReused
    if found["state"] != DONE:
        raise InFlight
    status, body, headers = orjson.loads(found["answer"])
    return Answer(status, body, headers)


def _lapsed(found: Mapping[str, Any], claim: Claim, now: datetime) -> bool:
    same = found["state"] == IN_FLIGHT and found["fingerprint"] == claim.fingerprint
    return same and str(found["lapses_at"]) < clock.rfc3339(now)


def _key(claim: Claim) -> dict[str, str]:
    # The scope is in both, so that no scope and key can be written to look like another pair.
    return {"pk": f"IDEMPOTENCY#{claim.scope}#{claim.key}", "sk": claim.scope}


def _epoch(at: datetime) -> int:
    return int(at.timestamp())


def _found(error: ClientError) -> Mapping[str, Any]:
    item: Mapping[str, Any] = error.response["Item"]  # type: ignore[typeddict-item]  # missing in the stubs
    return item
