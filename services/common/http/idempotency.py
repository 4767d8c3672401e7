"""The Idempotency-Key of a request: one key, one effect, one response (draft-ietf-httpapi-idempotency-key-header).

The response is recorded under the key in the transaction that has the effect, and nothing is written before. A request that
crashes leaves the key unused. A retry, or a concurrent request with the same key, cannot write the record again and returns
the recorded response.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import orjson

from services.common.values.errors import Conflict, RuleBroken, ServiceError

KEPT = timedelta(hours=24)
"""Retention of a recorded response."""


class InFlight(Conflict):
    """Another request with this key is being processed."""

    def __init__(self) -> None:
        super().__init__(
            "a request with this Idempotency-Key is being processed; retry with the same key",
            retry_after=1,
        )


class KeyReused(RuleBroken):
    """The key was used for a request with a different body."""

    def __init__(self) -> None:
        super().__init__(
            "this Idempotency-Key was used for a different request; use a new key for each request"
        )


class KeyTaken(Exception):
    """A response is already recorded under the key; nothing was written."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded HTTP response: status, JSON body and additional headers."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an Idempotency-Key.

    Args:
        scope: owner and operation of the key, such as "guest POST /orders".
        key: value of the header.
        fingerprint: identifies the body, see `fingerprint`.
    """

    scope: str
    key: str
    fingerprint: str


class IdempotencyStore(Protocol):
    """The storage of recorded responses."""

    def find(self, request: KeyedRequest) -> Answer | None:
        """The recorded response of the same request, or None.

        Raises:
            KeyReused: the key was used for a different request.
        """


def fingerprint(body: Any) -> str:
    """A hash of a JSON value that does not depend on the order of members."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def once(store: IdempotencyStore, request: KeyedRequest, work: Callable[[], Answer]) -> Answer:
    """The response of `work`, which takes effect at most once per key and records its response as it commits.

    A rejected request has no effect and is not recorded. A retry may be rejected for a reason that arose after the request
    succeeded; it then returns the recorded response.

    Raises:
        KeyReused: see `IdempotencyStore.find`.
        InFlight: the record is being written, or expired at this moment.
        Exception: `work` failed; the key remains unused.
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
