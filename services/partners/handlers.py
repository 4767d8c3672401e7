"""The use cases of the API keys of partners."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.errors import NotFound
from services.partners import domain
from services.partners.domain import LONGEST_LIFE, InvalidKey, PartnerKey
from services.partners.ports import AlreadyRevoked, Keys


class NoSuchKey(NotFound):
    """The key does not exist."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"key {key_id} not found")


def authorize(key: str, *, keys: Keys, pepper: bytes, now: Clock = clock.now) -> PartnerKey | None:
    """The record of an active key, or None if the key is invalid for any reason."""
    key_id = domain.id_of(key)
    found = keys.find(key_id) if key_id else None
    return found if found and found.opens(key, pepper, now()) else None


def issue(
    partner: str,
    scopes: Iterable[str],
    *,
    keys: Keys,
    pepper: bytes,
    life: timedelta = LONGEST_LIFE,
    now: Clock = clock.now,
) -> tuple[str, PartnerKey]:
    """Issues a key. Returns the key, which is shown only once, and its record.

    Raises:
        InvalidKey: see `domain.issue`.
    """
    key, record = domain.issue(partner, scopes, pepper, now(), life)
    keys.save(record)
    return key, record


def rotate(
    key_id: str, overlap: timedelta, *, keys: Keys, pepper: bytes, now: Clock = clock.now
) -> tuple[str, PartnerKey]:
    """Issues a successor of a key, with the same partner and scopes. The old key expires after the overlap.

    Raises:
        NoSuchKey: the key does not exist.
        InvalidKey: the key is not active, or the overlap is negative.
    """
    at, old = now(), _found(key_id, keys)
    if old.state(at) != "active":
        raise InvalidKey(f"key {key_id} is {old.state(at)}; issue a new one")
    if overlap < timedelta():
        raise InvalidKey("the overlap must not be negative")
    key, record = domain.issue(
        old.partner, old.scopes, pepper, at, min(LONGEST_LIFE, old.ends_at - old.issued_at)
    )
    keys.save(record, old.ending(at + overlap))
    return key, record


def revoke(key_id: str, *, keys: Keys, now: Clock = clock.now) -> PartnerKey:
    """Revokes a key. Returns its record.

    Raises:
        NoSuchKey: the key does not exist.
    """
    found = _found(key_id, keys)
    if found.revoked_at is None:
        found = found.revoked(now())
        with suppress(AlreadyRevoked):
            keys.save(found)
    return found


def _found(key_id: str, keys: Keys) -> PartnerKey:
    found = keys.find(key_id)
    if found is None:
        raise NoSuchKey(key_id)
    return found
