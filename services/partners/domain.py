"""A partner's key: how it is made, kept, given a successor, and ended.

A key is `shop_<id>_<secret>`. The id finds its record; the secret is 256 random bits, of which only a keyed hash
(HMAC-SHA-256) is kept. The hash's own key is kept elsewhere, so reading the records does not suffice to make a key, nor to
test one. A deliberately slow hash protects passwords that can be guessed; a secret of 256 random bits needs none.
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
# What a partner's name may be: it becomes a part of the customer id that its orders belong to.
NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")
_ID_BYTES, _SECRET_BYTES = 10, 32
_KEY = re.compile(r"shop_([0-9a-f]{20})_([A-Za-z0-9_-]{43})", re.ASCII)


class InvalidKey(ValueError):
    """A key cannot be issued with these values; the message says why."""


@dataclass(frozen=True, slots=True)
class PartnerKey:
    """What is kept of a key.

    Args:
        id: finds it; no secret.
        partner: its holder.
        scopes: what it is good for.
        digest: keyed hash of the key.
        issued_at: when.
        ends_at: from then on it is refused.
        revoked_at: when it was revoked.
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
        """Whether a key is this one and still good."""
        return hmac.compare_digest(self.digest, digest(key, pepper)) and self.state(at) == "active"

    def ending(self, at: datetime) -> "PartnerKey":
        """The key, valid until then at most."""
        return replace(self, ends_at=min(self.ends_at, at))

    def revoked(self, at: datetime) -> "PartnerKey":
        """The key, revoked."""
        return replace(self, revoked_at=at)


def issue(
    partner: str, scopes: Iterable[str], pepper: bytes, at: datetime, life: timedelta = LONGEST_LIFE
) -> tuple[str, PartnerKey]:
    """A new key, which is shown once, and what is kept of it.

    Raises:
        InvalidKey: when the partner's name, a scope or the life is none.
    """
    wanted = frozenset(scopes)
    if not NAME.fullmatch(partner):
        raise InvalidKey(
            f"a partner's name has 2 to 40 characters of a-z, 0-9 and -, and starts with a letter: {partner!r}"
        )
    if not wanted or not wanted.issubset(SCOPES):
        raise InvalidKey(f"a key must have one or more of the scopes {', '.join(SCOPES)}")
    if not timedelta() < life <= LONGEST_LIFE:
        raise InvalidKey(f"the validity of a key must be positive and at most {LONGEST_LIFE.days} days")
    key_id = secrets.token_hex(_ID_BYTES)
    key = f"shop_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return key, PartnerKey(key_id, partner, wanted, digest(key, pepper), at, at + life)


def id_of(key: str) -> str | None:
    """The id in a key; None when it is of another form."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def digest(key: str, pepper: bytes) -> str:
    """The keyed hash of a key."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).hexdigest()
