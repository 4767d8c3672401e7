"""The API key of a partner: how it is created, stored, rotated and revoked.

A key has the form `shop_<id>_<secret>`. The ID identifies its record. The secret consists of 256 random bits, of which only a
keyed hash (HMAC-SHA-256) is stored. The key of the hash is stored elsewhere, so access to the records is not sufficient to
create or to test a key. A slow hash protects passwords that can be guessed; 256 random bits do not require one.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

SCOPES = ("orders:read", "orders:write")
LONGEST_LIFE = timedelta(days=365)
# The format of a partner's name, which is part of the customer ID of its orders.
NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")
_ID_BYTES, _SECRET_BYTES = 10, 32
_KEY = re.compile(r"shop_([0-9a-f]{20})_([A-Za-z0-9_-]{43})", re.ASCII)


class InvalidKey(ValueError):
    """A key cannot be issued with these values. The message contains the reason."""


@dataclass(frozen=True, slots=True)
class PartnerKey:
    """The record of a key.

    Args:
        id: ID of the key, which is not secret.
        partner: name of the partner.
        scopes: scopes of the key.
        digest: keyed hash of the key.
        issued_at: time at which it was issued.
        ends_at: time at which it expires.
        revoked_at: time at which it was revoked.
    """

    id: str
    partner: str
    scopes: frozenset[str]
    digest: str
    issued_at: datetime
    ends_at: datetime
    revoked_at: datetime | None = None

    def state(self, at: datetime) -> str:
        """`active`, `ended` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if at < self.ends_at else "ended"

    def opens(self, key: str, pepper: bytes, at: datetime) -> bool:
        """Whether a key matches this record and is active."""
        return hmac.compare_digest(self.digest, digest(key, pepper)) and self.state(at) == "active"

    def ending(self, at: datetime) -> "PartnerKey":
        """The record of a key that expires at `at` at the latest."""
        return replace(self, ends_at=min(self.ends_at, at))

    def revoked(self, at: datetime) -> "PartnerKey":
        """The record of the revoked key."""
        return replace(self, revoked_at=at)


def issue(
    partner: str, scopes: Iterable[str], pepper: bytes, at: datetime, life: timedelta = LONGEST_LIFE
) -> tuple[str, PartnerKey]:
    """A new key, which is shown only once, and its record.

    Raises:
        InvalidKey: the name of the partner, a scope or the validity is invalid.
    """
    wanted = frozenset(scopes)
    if not NAME.fullmatch(partner):
        raise InvalidKey(
            f"the name of a partner must have 2 to 40 characters of a-z, 0-9 and -, and start with a letter: {partner!r}"
        )
    if not wanted or not wanted.issubset(SCOPES):
        raise InvalidKey(f"a key must have one or more of the scopes {', '.join(SCOPES)}")
    if not timedelta() < life <= LONGEST_LIFE:
        raise InvalidKey(f"the validity of a key must be positive and at most {LONGEST_LIFE.days} days")
    key_id = secrets.token_hex(_ID_BYTES)
    key = f"shop_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return key, PartnerKey(key_id, partner, wanted, digest(key, pepper), at, at + life)


def id_of(key: str) -> str | None:
    """The ID in a key, or None if the key has an invalid form."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def digest(key: str, pepper: bytes) -> str:
    """The keyed hash of a key."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).hexdigest()
