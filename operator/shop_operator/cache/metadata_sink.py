"""Handles events of objects that are not stored. A malformed event does not end the watch."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from shop_operator.cache.unreadable import Unreadable


class MetadataSink(ABC):
    """A reflector.Sink that keeps a fact about some objects of a kind. Only their metadata is watched.

    Args:
        unreadable: receives the objects that cannot be read.
    """

    def __init__(self, unreadable: Unreadable | None) -> None:
        self._unreadable = Unreadable() if unreadable is None else unreadable

    @abstractmethod
    def _take(self, obj: Mapping[str, Any], *, gone: bool) -> None:
        """Handle the present state of an object, or its deletion."""

    @abstractmethod
    def _sweep(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None:
        """Handle the deletion of the objects that a LIST of this version did not have."""

    def seen(self, event: str | None, obj: Mapping[str, Any]) -> None:
        """Handle an event of a watch."""
        self._receive(obj, gone=event == "DELETED")

    def begin_list(self) -> None:  # noqa: B027  each page is complete on its own
        """Begin a LIST."""

    def merge(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Handle one page of a LIST."""
        for obj in items:
            self._receive(obj, gone=False)

    def end_list(self, kind: str, namespace: str | None, found: AbstractSet[str], version: int) -> None:
        """End a LIST that had exactly the objects with these UIDs."""
        self._unreadable.swept(kind, namespace, found)
        self._sweep(kind, namespace, found, version)

    def abort_list(self) -> None:  # noqa: B027  as above
        """End a LIST that has failed."""

    def not_served(self, kind: str, namespace: str | None) -> None:
        """End a LIST of a kind that the API server does not serve, which has no objects."""
        self.end_list(kind, namespace, frozenset(), sys.maxsize)

    def _receive(self, obj: Mapping[str, Any], *, gone: bool) -> None:
        try:
            self._take(obj, gone=gone)
        except Exception as error:  # noqa: BLE001  whatever an object holds, the next one is read
            self._unreadable.found(obj, error)
        else:
            self._unreadable.readable(obj)
