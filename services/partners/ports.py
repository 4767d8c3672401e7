"""The port of the handlers: the storage of keys."""

from collections.abc import Iterator
from typing import Protocol

from services.partners.domain import PartnerKey


class AlreadyRevoked(Exception):
    """A key was already revoked; nothing was written."""


class NotConfirmed(Exception):
    """The write failed in an unknown state: the records may have been written."""


class Keys(Protocol):
    """The records of keys."""

    def find(self, key_id: str) -> PartnerKey | None:
        """The record of a key, as last written, or None if it does not exist."""

    def of(self, partner: str | None) -> Iterator[PartnerKey]:
        """The records of a partner's keys, oldest first. None: of all partners."""

    def save(self, *keys: PartnerKey) -> None:
        """Writes new or existing records in one transaction.

        Raises:
            AlreadyRevoked: a key was revoked since it was read.
            NotConfirmed: the write failed for another reason. It may have succeeded, with a lost response.
        """
