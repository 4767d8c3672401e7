"""What is done with partners' keys."""

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
    """There is no such key."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"no key {key_id}")


def authorize(key: str, *, keys: Keys, pepper: bytes, now: Clock = clock.now) -> PartnerKey | None:
    """The record of a key that is good; None for every other, whatever is wrong with it."""
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
    """A new key, to show once, and its record.

    Raises:
        InvalidKey: when it cannot be issued so.
    """
    key, record = domain.issue(partner, scopes, pepper, now(), life)
    keys.save(record)
    return key, record


def rotate(
    key_id: str, overlap: timedelta, *, keys: Keys, pepper: bytes, now: Clock = clock.now
) -> tuple[str, PartnerKey]:
    """A successor of a key, for the same partner and the same scopes; the key itself is good for the overlap only.

    Raises:
        NoSuchKey: when there is none of that id.
        InvalidKey: when it is not good any more, or the overlap is negative.
    """
    at, old = now(), _found(key_id, keys)
    if old.state(at) != "active":
        raise InvalidKey(f"the key {key_id} is {old.state(at)}: issue a new one")
    if overlap < timedelta():
        raise InvalidKey("the overlap must not be negative")
    key, record = domain.issue(
        old.partner, old.scopes, pepper, at, min(LONGEST_LIFE, old.ends_at - old.issued_at)
    )
    keys.save(record, old.ending(at + overlap))
    return key, record


def revoke(key_id: str, *, keys: Keys, now: Clock = clock.now) -> PartnerKey:
    """Ends a key at once; answers its record.

    Raises:
        NoSuchKey: when there is none of that id.
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
