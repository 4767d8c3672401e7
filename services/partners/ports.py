"""What the handlers need from the outside."""

from collections.abc import Iterator
from typing import Protocol

from services.partners.domain import PartnerKey


class AlreadyRevoked(Exception):
    """A key is revoked, and stays so; nothing was written."""


class NotConfirmed(Exception):
    """Records may have been written, or not."""


class Keys(Protocol):
    """The records of keys."""

    def find(self, key_id: str) -> PartnerKey | None:
        """The record of a key, as it was last written."""

    def of(self, partner: str | None) -> Iterator[PartnerKey]:
        """The records of a partner's keys, or of all, the oldest first."""

    def save(self, *keys: PartnerKey) -> None:
        """Writes records, all or none: new ones, and those that are there already.

        Raises:
            AlreadyRevoked: when one was revoked meanwhile.
            NotConfirmed: when the write failed otherwise. It may have had its effect, and its answer been lost.
        """
