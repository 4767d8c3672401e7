"""Detects products that run low, from the changes of the product table, and publishes an event each time.

A change is processed once, even if the stream delivers it repeatedly or late: the level of a product stores the sequence number
of its last change. An event is stored together with the change that causes it, and removed after it is published. If a run
crashes in between, the next one publishes it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from services.common.messaging.events import Publisher
from services.product import messages

# A product can run low again after its stock reaches this multiple of the threshold. Otherwise, cancelled orders, which return
# a few pieces, would cause repeated events.
REARMED_AT = 2


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the stock of a product.

    Args:
        sku: SKU of the product.
        available: number of pieces that can be ordered after the change.
        sequence: sequence number, as a string that sorts in the order of the changes of a product.
        at: time of the change.
    """

    sku: str
    available: int
    sequence: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LowStock:
    """The event that a product runs low.

    Args:
        sku: SKU of the product.
        available: number of pieces that could be ordered at that time.
        threshold: a product with at most this many pieces is low.
        episode: 1 for the first time that the product ran low.
        at: time of the change.
    """

    sku: str
    available: int
    threshold: int
    episode: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Level:
    """The stock level of a product.

    Args:
        sku: SKU of the product.
        available: number of pieces that can be ordered.
        sequence: sequence number of the last processed change.
        low: whether the product has run low and has not been restocked since.
        episodes: number of times that it ran low.
        untold: event to publish.
    """

    sku: str
    available: int
    sequence: str = ""
    low: bool = False
    episodes: int = 0
    untold: LowStock | None = None

    def after(self, change: Change, threshold: int) -> "Level":
        """The level after a change. Returns the same level if the change was already processed."""
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
    """The storage of stock levels."""

    def find(self, sku: str) -> Level | None:
        """The level of a product, or None if there is none.

        Raises:
            UnreadableRow: the level cannot be parsed.
        """

    def save(self, level: Level, was: Level | None) -> None:
        """Writes a level that replaces `was`.

        Raises:
            Stale: the level was written since it was read.
        """


def count(change: Change, *, threshold: int, levels: Levels, publisher: Publisher) -> None:
    """Processes a change, and publishes an event if the product runs low.

    Raises:
        Stale: another run processed a change of the same product at the same time.
        UnreadableRow: the level of the product cannot be parsed.
    """
    known = levels.find(change.sku)
    if known and known.untold:
        known = _publish(known, levels, publisher)
    after = (known or Level(change.sku, change.available)).after(change, threshold)
    if after == known:
        return
    levels.save(after, known)
    if after.untold:
        _publish(after, levels, publisher)


def _publish(level: Level, levels: Levels, publisher: Publisher) -> Level:
    if level.untold:
        publisher.publish([messages.low(level.untold)])
    published = replace(level, untold=None)
    levels.save(published, level)
    return published
