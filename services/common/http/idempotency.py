"""The Idempotency-Key of a request: one key, one effect, one answer (draft-ietf-httpapi-idempotency-key-header).

The answer is recorded under the key in the transaction that has the effect: both are written or neither is, and nothing
is written before. A request that dies leaves the key free. One that repeats another, be it the client's second try, the
SDK's, or a request that runs at the same time, cannot write the record again and answers what the record says.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import orjson

from services.common.values.errors import Conflict, RuleBroken, ServiceError

KEPT = timedelta(hours=24)
"""How long an answer is kept."""


class InFlight(Conflict):
    """A request with this key is being committed at this moment."""

    def __init__(self) -> None:
        super().__init__(
            "a request with this Idempotency-Key is being processed; retry the same request shortly",
            retry_after=1,
        )


class KeyReused(RuleBroken):
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
