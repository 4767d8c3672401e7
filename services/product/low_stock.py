"""Which products run low: a projection of the changes of the product table, and a fact for each time that one does.

A change is counted once, however often and however late the stream brings it: each has a sequence number, and the
projection remembers the last one per product. A fact is written down with the change that makes it true, and is crossed
out once it is told; a run that dies in between leaves it to the next.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from services.common.messaging.events import Publisher
from services.product import messages

# A product can run low again once it has this many times the threshold: orders that are cancelled bring a
# few pieces back, and would have it run low again and again.
REARMED_AT = 2


@dataclass(frozen=True, slots=True)
class Change:
    """A product's stock has changed.

    Args:
        sku: of the product.
        available: pieces that can be ordered from now on.
        sequence: orders the changes of one product; texts compare as the changes follow each other.
        at: when.
    """

    sku: str
    available: int
    sequence: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LowStock:
    """A product has run low.

    Args:
        sku: of the product.
        available: pieces that could be ordered then.
        threshold: low is this or less.
        episode: 1 is the first time that the product ran low.
        at: when.
    """

    sku: str
    available: int
    threshold: int
    episode: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Level:
    """What is known of a product.

    Args:
        sku: of the product.
        available: pieces that can be ordered.
        sequence: of the last change that was counted.
        low: whether it has run low, and was not filled up since.
        episodes: how often it has run low.
        untold: the fact that is to be told.
    """

    sku: str
    available: int
    sequence: str = ""
    low: bool = False
    episodes: int = 0
    untold: LowStock | None = None

    def after(self, change: Change, threshold: int) -> "Level":
        """The level after a change; itself when the change was counted."""
        if change.sequence <= self.sequence:
            return self
        after = replace(self, available=change.available, sequence=change.sequence)
        if self.low:
            return replace(after, low=change.available < max(threshold * REARMED_AT, threshold + 1))
        if change.available > threshold:
            return after
        episode = self.episodes + 1
        fact = LowStock(change.sku, change.available, threshold, episode, change.at)
        return replace(after, low=True, episodes=episode, untold=fact)


class Levels(Protocol):
    """The projection."""

    def find(self, sku: str) -> Level | None:
        """What is known of a product.

        Raises:
            UnreadableRow: when that cannot be read.
        """

    def save(self, level: Level, was: Level | None) -> None:
        """Writes what is known now.

        Raises:
            Stale: when it is not what it was.
        """


def count(change: Change, *, threshold: int, levels: Levels, publisher: Publisher) -> None:
    """Counts a change, and tells of the product when it runs low.

    Raises:
        Stale: when another run counts a change of the same product.
        UnreadableRow: when what is known of the product cannot be read.
    """
    known = levels.find(change.sku)
    if known and known.untold:
        known = _tell(known, levels, publisher)
    after = (known or Level(change.sku, change.available)).after(change, threshold)
    if after == known:
        return
    levels.save(after, known)
    if after.untold:
        _tell(after, levels, publisher)


def _tell(level: Level, levels: Levels, publisher: Publisher) -> Level:
    if level.untold:
        publisher.publish([messages.low(level.untold)])
    told = replace(level, untold=None)
    levels.save(told, level)
    return told
